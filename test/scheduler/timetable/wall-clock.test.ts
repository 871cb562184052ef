import fc from 'fast-check'
import { expect, test } from 'vitest'
import { compileCron } from '../../../scheduler/timetable/cron.ts'
import type { Recurrence } from '../../../scheduler/timetable/recurrence.ts'
import { timeZone } from '../../../scheduler/timetable/time-zone.ts'
import { inTimeZone } from '../../../scheduler/timetable/wall-clock.ts'

const minuteMs = 60_000
const hourMs = 60 * minuteMs
const dayMs = 24 * hourMs

const recurrence = (expression: string, zone: string) => inTimeZone(compileCron(expression), timeZone(zone))

function between(schedule: Recurrence, from: number, to: number): number[] {
  const instants: number[] = []
  for (
    let at = schedule.firstAtOrAfter(from);
    at !== null && at <= to;
    at = schedule.firstAtOrAfter(at + 1)
  ) {
    instants.push(at)
  }
  return instants
}

function betweenFromBehind(schedule: Recurrence, from: number, to: number): number[] {
  const instants: number[] = []
  for (
    let at = schedule.lastAtOrBefore(to);
    at !== null && at >= from;
    at = schedule.lastAtOrBefore(at - 1)
  ) {
    instants.unshift(at)
  }
  return instants
}

const isoBetween = (expression: string, zone: string, from: string, to: string) =>
  between(recurrence(expression, zone), Date.parse(from), Date.parse(to)).map((at) =>
    new Date(at).toISOString().slice(0, 16),
  )

test('a schedule of every hour on some days begins at their midnight also after a change of the clock', () => {
  // Airflow adds the difference of the wall times to its last run, and is an hour late here, or early in autumn.
  expect(isoBetween('0 * * * 1', 'Europe/Berlin', '2026-03-23T22:30:00Z', '2026-03-29T23:30:00Z')).toEqual([
    '2026-03-29T22:00',
    '2026-03-29T23:00',
  ])
  expect(isoBetween('0 * * * 1', 'Europe/Berlin', '2026-10-19T22:30:00Z', '2026-10-26T00:30:00Z')).toEqual([
    '2026-10-25T23:00',
    '2026-10-26T00:00',
  ])
})

test('a schedule of every hour keeps its minute where the clock changes by half an hour', () => {
  // Lord Howe: 02:00 becomes 02:30. Airflow runs at 02:30.
  expect(
    isoBetween('0 * * * *', 'Australia/Lord_Howe', '2026-10-03T14:30:00Z', '2026-10-03T17:00:00Z'),
  ).toEqual(['2026-10-03T14:30', '2026-10-03T16:00', '2026-10-03T17:00'])
})

test('a skipped time that comes later than a time of its own is left out', () => {
  // Troll: 01:00 becomes 03:00. 02:35 would be made up for at 04:35, but 03:35 is there before. Airflow makes up
  // for it and leaves out 03:35.
  expect(
    isoBetween('35 2-8 * * *', 'Antarctica/Troll', '2026-03-28T20:00:00Z', '2026-03-29T03:00:00Z'),
  ).toEqual(['2026-03-29T01:35', '2026-03-29T02:35'])
})

test('a start within the hour after a skipped one still sees the run that is made up for', () => {
  // 02:30 in Berlin on 29 March runs at 03:30; the Dag starts at 03:10.
  expect(isoBetween('30 2 * * *', 'Europe/Berlin', '2026-03-29T01:10:00Z', '2026-03-29T12:00:00Z')).toEqual([
    '2026-03-29T01:30',
  ])
})

test('a leap day is found years ahead and behind', () => {
  const schedule = recurrence('0 12 29 2 *', 'Europe/Berlin')
  expect(schedule.firstAtOrAfter(Date.UTC(2026, 0))).toBe(Date.UTC(2028, 1, 29, 11))
  expect(schedule.lastAtOrBefore(Date.UTC(2027, 11))).toBe(Date.UTC(2024, 1, 29, 11))
})

test('a schedule whose years are over has no next run, and still its last', () => {
  const schedule = recurrence('0 12 1 1 * 0 2020', 'Europe/Berlin')
  expect(schedule.firstAtOrAfter(Date.UTC(2021, 0))).toBeNull()
  expect(schedule.lastAtOrBefore(Date.UTC(2026, 0))).toBe(Date.UTC(2020, 0, 1, 11))
  expect(schedule.lastAtOrBefore(Date.UTC(2019, 0))).toBeNull()
})

// The rules told minute by minute: list what the clock reads, leave the first pass of what it reads twice to the
// second, and make up once for what it never reads.
interface Fields {
  minutes: number[]
  hours: number[] | null
  weekdays: number[] | null
}

function expressionOf({ minutes, hours, weekdays }: Fields): string {
  return `${minutes} ${hours ?? '*'} * * ${weekdays ?? '*'}`
}

function told({ minutes, hours, weekdays }: Fields, zone: string, from: number, to: number): number[] {
  const format = new Intl.DateTimeFormat('sv-SE', { timeZone: zone, dateStyle: 'short', timeStyle: 'medium' })
  const wallAt = (instant: number) => Date.parse(`${format.format(instant).replace(' ', 'T')}Z`)
  const matches = (wall: number) => {
    const date = new Date(wall)
    return (
      minutes.includes(date.getUTCMinutes()) &&
      (hours?.includes(date.getUTCHours()) ?? true) &&
      (weekdays?.includes(date.getUTCDay()) ?? true)
    )
  }
  const margin = 4 * hourMs
  const clock: [instant: number, wall: number][] = []
  for (let at = from - margin; at <= to + margin; at += minuteMs) clock.push([at, wallAt(at)])
  const lastReading = new Map(clock.map(([at, wall]) => [wall, at]))
  const runs = new Set<number>()
  for (const [index, [at, wall]] of clock.entries()) {
    if (matches(wall) && (hours === null || lastReading.get(wall) === at)) runs.add(at)
    const expected = index === 0 ? wall : clock[index - 1]![1] + minuteMs
    if (hours === null || wall <= expected) continue
    for (let skipped = expected; skipped < wall; skipped += minuteMs) {
      if (!matches(skipped)) continue
      const late = at + (skipped - expected)
      const hasOwn = clock.some(([instant, own]) => instant >= at && instant <= late && matches(own))
      if (!hasOwn) runs.add(late)
      break
    }
  }
  return [...runs].filter((at) => at >= from && at <= to).sort((a, b) => a - b)
}

const changes: [zone: string, instant: number][] = [
  ['Europe/Berlin', Date.UTC(2026, 2, 29, 1)],
  ['Europe/Berlin', Date.UTC(2026, 9, 25, 1)],
  ['America/New_York', Date.UTC(2026, 2, 8, 7)],
  ['America/New_York', Date.UTC(2026, 10, 1, 6)],
  ['America/Havana', Date.UTC(2026, 2, 8, 5)],
  ['America/Havana', Date.UTC(2026, 10, 1, 5)],
  ['Australia/Lord_Howe', Date.UTC(2026, 3, 4, 15)],
  ['Australia/Lord_Howe', Date.UTC(2026, 9, 3, 15, 30)],
  ['Antarctica/Troll', Date.UTC(2026, 2, 29, 1)],
  ['Antarctica/Troll', Date.UTC(2026, 9, 25, 1)],
  ['America/Sao_Paulo', Date.UTC(2018, 10, 4, 3)],
  ['America/Sao_Paulo', Date.UTC(2018, 1, 18, 2)],
  ['Asia/Kolkata', Date.UTC(2026, 0, 1)],
]
const some = (min: number, max: number) =>
  fc.uniqueArray(fc.integer({ min, max }), { minLength: 1, maxLength: 6 })
const question = fc.record({
  fields: fc.record({
    minutes: some(0, 59),
    // Most schedules of one of the hours around a change.
    hours: fc.oneof(fc.constant(null), some(0, 4), some(0, 23)),
    weekdays: fc.oneof(fc.constant(null), fc.constant(null), some(0, 6)),
  }),
  change: fc.constantFrom(...changes),
  before: fc.integer({ min: 0, max: 30 * 60 }),
  length: fc.integer({ min: 0, max: 40 * 60 }),
})

test('around every kind of change the instants are those of the rules told minute by minute, from both sides', () => {
  fc.assert(
    fc.property(question, ({ fields, change: [zone, instant], before, length }) => {
      const schedule = recurrence(expressionOf(fields), zone)
      const from = instant - before * minuteMs
      const to = from + length * minuteMs
      const expected = told(fields, zone, from, to)
      expect(between(schedule, from, to)).toEqual(expected)
      expect(betweenFromBehind(schedule, from, to)).toEqual(expected)
    }),
    { numRuns: 250 },
  )
})

test('instants do not depend on where one starts to ask', () => {
  const zones = fc.constantFrom(...changes.map(([zone]) => zone))
  const start = fc.integer({ min: Date.UTC(2015, 0), max: Date.UTC(2035, 0) })
  const steps = fc.array(fc.integer({ min: 1, max: 40 * dayMs }), { minLength: 1, maxLength: 4 })
  fc.assert(
    fc.property(question, zones, start, steps, ({ fields }, zone, from, lengths) => {
      const schedule = recurrence(expressionOf({ ...fields, minutes: fields.minutes.slice(0, 1) }), zone)
      const cuts = [from]
      for (const length of lengths) cuts.push(cuts.at(-1)! + length)
      const pieces = cuts.slice(1).flatMap((to, index) => between(schedule, cuts[index]!, to - 1))
      const whole = between(schedule, from, cuts.at(-1)! - 1)
      expect(pieces).toEqual(whole)
      expect(whole).toEqual([...new Set(whole)].sort((a, b) => a - b))
      expect(betweenFromBehind(schedule, from, cuts.at(-1)! - 1)).toEqual(whole)
    }),
    { numRuns: 60 },
  )
})
