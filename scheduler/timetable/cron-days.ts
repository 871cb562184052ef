// The two day fields of a cron expression. They decide together (both restricted: either matches), and they have
// members that are no plain values: `L`, `15W`, `5#2`, `L5`.
import { type CronField, type CronTerm, listed, membersOf, refused, valuesOf } from './cron-field.ts'

const dayOfMonth: CronField = {
  name: 'day of month',
  min: 1,
  max: 31,
  range: '1 to 31, L for the last day, or 15W for the weekday nearest to the 15th',
}
const dayOfWeek: CronField = {
  name: 'day of week',
  min: 0,
  max: 6,
  alias: 7,
  names: ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'],
  range: '0 to 7 (both are Sunday), SUN to SAT, 5#2 for the second Friday, or L5 for the last',
}

interface Days {
  /** As croner reads it. */
  list: string
  isStar: boolean
  /** Each day is listed. */
  isFull: boolean
  /** Days that a plain list can't name: W, `#` or L5. */
  isSpecial: boolean
}

const star: Days = { list: '*', isStar: true, isFull: true, isSpecial: false }

/** `[day of month, day of week]` as croner reads them. @throws DagDefinitionError */
export function dayLists(expression: string, monthText: string, weekText: string): [string, string] {
  const monthTerm: CronTerm = { expression, field: dayOfMonth, text: monthText }
  const weekTerm: CronTerm = { expression, field: dayOfWeek, text: weekText }
  const month = daysOfMonth(monthTerm)
  const week = daysOfWeek(weekTerm)
  // A list of every day is a restriction too (`1-31` or `MON` is every day), unless the other field has a star in
  // it (`1-31` and `*/2` is every second weekday). So reads Airflow.
  const monthIsStar = month.isStar || (month.isFull && weekText.includes('*'))
  const weekIsStar = week.isStar || (week.isFull && monthText.includes('*'))
  if (month.isSpecial && !weekIsStar) throw refused(monthTerm, "can't be joined with a day of week")
  if (week.isSpecial && !monthIsStar) throw refused(weekTerm, "can't be joined with a day of month")
  return [monthIsStar ? '*' : month.list, weekIsStar ? '*' : week.list]
}

function daysOfMonth(term: CronTerm): Days {
  if (term.text === '*' || term.text === '?') return star
  const nearest = /^(?:w(\d+)|(\d+)w)$/.exec(term.text)
  if (nearest !== null) {
    const day = Number(nearest[1] ?? nearest[2])
    // Months without that day: Airflow takes their last weekday, other crons take none.
    if (day < 1 || day > 28) throw refused(term, 'is not a day of every month: use 1W to 28W')
    return { list: `${day}W`, isStar: false, isFull: false, isSpecial: true }
  }
  const members = membersOf(term)
  const plain = new Set(members.filter(({ text }) => text !== 'l').flatMap(valuesOfMonth))
  const list = [listed(plain), members.some(({ text }) => text === 'l') ? 'L' : ''].filter(Boolean).join(',')
  return { list, isStar: false, isFull: plain.size === 31, isSpecial: false }
}

/** `15-L` counts to the 31st. */
function valuesOfMonth(member: CronTerm): number[] {
  return valuesOf({ ...member, text: member.text.replace(/-l(?=$|\/)/, '-31') })
}

function daysOfWeek(term: CronTerm): Days {
  if (term.text === '*' || term.text === '?') return star
  const members = membersOf(term)
  const special = members.flatMap(specialDaysOfWeek)
  const plain = new Set(members.filter((member) => specialDaysOfWeek(member).length === 0).flatMap(valuesOf))
  if (special.length > 0 && plain.size > 0) {
    throw refused(term, 'mixes days of every week with days of one week (# or L)')
  }
  return special.length > 0
    ? { list: special.join(','), isStar: false, isFull: false, isSpecial: true }
    : { list: listed(plain), isStar: false, isFull: plain.size === 7, isSpecial: false }
}

/** `5#2` or `L5` as croner writes it; nothing for a plain member. */
function specialDaysOfWeek(member: CronTerm): string[] {
  const last = /^l(\d+)$/.exec(member.text)
  if (last !== null) return valuesOf({ ...member, text: last[1]! }).map((day) => `${day}L`)
  const [days, week, ...rest] = member.text.split('#')
  if (week === undefined) return []
  if (!/^[1-5]$/.test(week) || rest.length > 0)
    throw refused(member, `names no week of a month: use #1 to #5`)
  return valuesOf({ ...member, text: days! }).map((day) => `${day}#${week}`)
}
