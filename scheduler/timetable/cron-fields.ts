// What a cron expression says, read field by field, so that a mistake is named with its field and the range that
// is allowed, and so that the library which walks the calendar is given plain lists that can be read in one way
// only. The grammar is Airflow's (croniter): `minute hour day-of-month month day-of-week [second [year]]`, presets,
// names, `?`, `L`, `15W`, `5#2`, `L5`, and ranges that go round the end (`10-5`, `FRI-MON`).
//
// Refused although Airflow accepts it, because it is read in two ways: a range of one value (`5-5` is the whole
// field there, and 5 elsewhere), a step over a range that goes round the end (`50-30/7` is off by one there), `*`
// inside a list, 29W to 31W, and W, `#` or L5 joined with the other day field (intersected there, while all other
// days are united). Refused for what it is: `R`, whose times change with every reading.
import { didYouMean } from '../../runtime/nearest.ts'
import { dayLists } from './cron-days.ts'
import { type CronField, refusedExpression, valueList } from './cron-field.ts'

const minuteField: CronField = { name: 'minute', min: 0, max: 59, range: '0 to 59' }
const hourField: CronField = { name: 'hour', min: 0, max: 23, range: '0 to 23' }
const monthField: CronField = {
  name: 'month',
  min: 1,
  max: 12,
  names: ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'],
  range: '1 to 12 or JAN to DEC',
}
const secondField: CronField = { name: 'second', min: 0, max: 59, range: '0 to 59' }
const yearField: CronField = { name: 'year', min: 1970, max: 2099, range: '1970 to 2099' }

/** Preset → the expression it stands for. */
const presets: Readonly<Record<string, string>> = {
  '@hourly': '0 * * * *',
  '@daily': '0 0 * * *',
  '@midnight': '0 0 * * *',
  '@weekly': '0 0 * * 0',
  '@monthly': '0 0 1 * *',
  '@quarterly': '0 0 1 */3 *',
  '@yearly': '0 0 1 1 *',
  '@annually': '0 0 1 1 *',
}

export interface CronFields {
  /** `second minute hour day-of-month month day-of-week year`: each `*` or a list, names resolved. */
  pattern: string
  /** True where no hour is left out: such a schedule also runs in both passes of a doubled hour. */
  everyHour: boolean
}

/**
 * Reads a cron expression or preset. Letter case and surplus white space do not matter.
 * @throws DagDefinitionError naming the field, what is wrong with it, and what is allowed
 */
export function parseCron(expression: string): CronFields {
  const text = expression.trim().toLowerCase()
  const parts = (text.startsWith('@') ? presetOf(expression, text) : text).match(/\S+/g) ?? []
  if (parts.length < 5 || parts.length > 7) {
    throw refusedExpression(
      expression,
      `${parts.length} fields instead of 5: write 'minute hour day-of-month month day-of-week' (a sixth is for seconds, a seventh for years)`,
    )
  }
  const [minute, hour, monthDay, month, weekDay, second = '0', year = '*'] = parts as [
    string,
    string,
    string,
    string,
    string,
    string?,
    string?,
  ]
  const list = (field: CronField, text: string) => valueList({ expression, field, text })
  const hours = list(hourField, hour)
  const minutes = list(minuteField, minute)
  const [monthDays, weekDays] = dayLists(expression, monthDay, weekDay)
  const calendar = [monthDays, list(monthField, month), weekDays, list(yearField, year)]
  return {
    pattern: [list(secondField, second), minutes, hours, ...calendar].join(' '),
    everyHour: hours === '*',
  }
}

function presetOf(expression: string, text: string): string {
  const known = presets[text]
  if (known !== undefined) return known
  const names = Object.keys(presets)
  throw refusedExpression(
    expression,
    text === '@once' || text === '@continuous'
      ? `${text} is no preset of cron but a schedule of its own`
      : `there is no such preset.${didYouMean(text, names)} Presets: ${names.join(', ')}`,
  )
}
