import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { ScheduleManifest } from '../../../runtime/manifest.ts'
import {
  type DagRunInfo,
  type NextRunQuestion,
  type Timetable,
  timetableOf,
} from '../../../scheduler/timetable/timetable.ts'

const hourMs = 3_600_000
const at = (text: string) => Date.parse(`${text}Z`)
const hourly = timetableOf({ type: 'cron', expression: '0 * * * *', timezone: 'UTC' })
const everyHour = timetableOf({ type: 'interval', every_ms: hourMs })

const run = (instant: number): DagRunInfo => ({
  logical_date: instant,
  data_interval: { start: instant, end: instant },
  run_after: instant,
})

/** run_after of the answer, as ISO without zone; the question's defaults are those of a new Dag at 10:17:30. */
function nextOf(timetable: Timetable, question: Partial<NextRunQuestion>): string | null {
  const now = at('2026-01-15T10:17:30')
  const answer = timetable.next({
    after: null,
    earliest: null,
    latest: null,
    catchup: false,
    now,
    firstSeen: now,
    ...question,
  })
  return answer && new Date(answer.run_after).toISOString().slice(0, 19)
}

test('without a schedule there is no next run', () => {
  expect(nextOf(timetableOf(null), { earliest: 0, catchup: true })).toBeNull()
})

test('a run of any schedule has a data interval of length zero at its logical date', () => {
  const answer = hourly.next({
    after: null,
    earliest: 0,
    latest: null,
    catchup: true,
    now: 0,
    firstSeen: 0,
  })
  expect(answer).toEqual(run(0))
  const schedules: (ScheduleManifest | null)[] = [
    null,
    { type: 'once' },
    { type: 'interval', every_ms: 1_000 },
    { type: 'cron', expression: '@daily', timezone: 'Europe/Berlin' },
  ]
  for (const schedule of schedules) {
    expect(timetableOf(schedule).manualInterval(12_345)).toEqual({ start: 12_345, end: 12_345 })
  }
})

test('with catchup each missed run since start_date is made, in order', () => {
  const earliest = at('2026-01-15T07:30:00')
  const runs: string[] = []
  for (let after: DagRunInfo | null = null; runs.length < 4; after = run(at(runs.at(-1)!))) {
    runs.push(nextOf(hourly, { after, earliest, catchup: true })!)
  }
  expect(runs).toEqual([
    '2026-01-15T08:00:00',
    '2026-01-15T09:00:00',
    '2026-01-15T10:00:00',
    '2026-01-15T11:00:00',
  ])
})

test('without catchup only the latest missed run is made, once', () => {
  const earliest = at('2026-01-01T00:00:00')
  expect(nextOf(hourly, { earliest })).toBe('2026-01-15T10:00:00')
  expect(nextOf(hourly, { earliest, after: run(at('2026-01-15T04:00:00')) })).toBe('2026-01-15T10:00:00')
  expect(nextOf(hourly, { earliest, after: run(at('2026-01-15T10:00:00')) })).toBe('2026-01-15T11:00:00')
})

test('without catchup a run that is not due yet is not skipped', () => {
  expect(nextOf(hourly, { after: run(at('2026-01-15T12:00:00')) })).toBe('2026-01-15T13:00:00')
})

test('a run that is due at this moment counts as missed', () => {
  const now = at('2026-01-15T10:00:00')
  expect(nextOf(hourly, { now, earliest: 0 })).toBe('2026-01-15T10:00:00')
})

test.each([true, false])(
  'without start_date nothing before the Dag was first seen is run (catchup %s)',
  (catchup) => {
    expect(nextOf(hourly, { catchup })).toBe('2026-01-15T11:00:00')
    expect(nextOf(hourly, { catchup, firstSeen: at('2026-01-15T10:00:00') })).toBe('2026-01-15T10:00:00')
  },
)

test('without start_date and with catchup what was missed since the Dag was first seen is run', () => {
  expect(nextOf(hourly, { catchup: true, firstSeen: at('2026-01-15T06:30:00') })).toBe('2026-01-15T07:00:00')
})

test.each([true, false])(
  'a start_date in the future is waited for, also by a Dag that has run (catchup %s)',
  (catchup) => {
    const earliest = at('2026-02-01T00:30:00')
    expect(nextOf(hourly, { catchup, earliest })).toBe('2026-02-01T01:00:00')
    expect(nextOf(hourly, { catchup, earliest, after: run(at('2026-01-15T10:00:00')) })).toBe(
      '2026-02-01T01:00:00',
    )
  },
)

test('a run at end_date is made and none after it', () => {
  const after = run(at('2026-01-15T10:00:00'))
  expect(nextOf(hourly, { after, latest: at('2026-01-15T11:00:00') })).toBe('2026-01-15T11:00:00')
  expect(nextOf(hourly, { after, latest: at('2026-01-15T10:59:59') })).toBeNull()
})

test('a cron schedule is read in its time zone', () => {
  const berlin = timetableOf({ type: 'cron', expression: '0 6 * * 1-5', timezone: 'Europe/Berlin' })
  expect(nextOf(berlin, {})).toBe('2026-01-16T05:00:00')
  expect(nextOf(berlin, { now: at('2026-07-03T12:00:00'), earliest: 0 })).toBe('2026-07-03T04:00:00')
})

test('an interval counts from start_date', () => {
  const earliest = at('2026-01-15T07:05:00')
  expect(nextOf(everyHour, { earliest, catchup: true })).toBe('2026-01-15T07:05:00')
  expect(nextOf(everyHour, { earliest, catchup: true, after: run(earliest) })).toBe('2026-01-15T08:05:00')
  expect(nextOf(everyHour, { earliest })).toBe('2026-01-15T10:05:00')
  expect(nextOf(everyHour, { earliest: at('2026-03-01T00:00:00') })).toBe('2026-03-01T00:00:00')
})

test('an interval without start_date begins when the Dag is first seen', () => {
  expect(nextOf(everyHour, {})).toBe('2026-01-15T10:17:30')
  expect(nextOf(everyHour, { catchup: true, firstSeen: at('2026-01-15T08:00:01') })).toBe(
    '2026-01-15T08:00:01',
  )
})

test('an interval without start_date keeps the phase of its last run over a delay', () => {
  const after = run(at('2026-01-15T05:07:00'))
  expect(nextOf(everyHour, { after })).toBe('2026-01-15T10:07:00')
  expect(nextOf(everyHour, { after, catchup: true })).toBe('2026-01-15T06:07:00')
})

test.each([0, -1, 0.5, Number.NaN, Number.POSITIVE_INFINITY])(
  'an interval of %s ms is refused',
  (every_ms) => {
    expect(() => timetableOf({ type: 'interval', every_ms })).toThrow('schedule interval of')
  },
)

test('once runs at start_date or when the Dag was first seen, whatever catchup says, and never again', () => {
  const once = timetableOf({ type: 'once' })
  const earliest = at('2026-01-01T00:00:00')
  expect(nextOf(once, {})).toBe('2026-01-15T10:17:30')
  expect(nextOf(once, { earliest })).toBe('2026-01-01T00:00:00')
  expect(nextOf(once, { earliest, catchup: true })).toBe('2026-01-01T00:00:00')
  expect(nextOf(once, { earliest, latest: earliest - 1 })).toBeNull()
  expect(nextOf(once, { after: run(earliest) })).toBeNull()
})

const instant = fc.integer({ min: Date.UTC(2020, 0), max: Date.UTC(2032, 0) })
const schedule: fc.Arbitrary<ScheduleManifest> = fc.oneof(
  fc.record({
    type: fc.constant('interval' as const),
    every_ms: fc.integer({ min: 1, max: 40 * 24 * hourMs }),
  }),
  fc.record({
    type: fc.constant('cron' as const),
    expression: fc.constantFrom(
      '*/5 * * * *',
      '30 2 * * *',
      '*/20 1-3 * * *',
      '0 * * * 1',
      '15 0 L,15 * *',
      '0 6 * * 1-5',
      '0 0 29 2 *',
      '0 9 * * 5#2',
      '@quarterly',
      '10 3 * * * 20,40',
    ),
    timezone: fc.constantFrom(
      'UTC',
      'Europe/Berlin',
      'America/New_York',
      'Australia/Lord_Howe',
      'Asia/Kathmandu',
    ),
  }),
)
const question = fc.record({
  earliest: fc.option(instant),
  latest: fc.option(instant),
  catchup: fc.boolean(),
  firstSeen: instant,
})

test('runs strictly increase and stay within start_date and end_date while time goes on', () => {
  const delays = fc.array(fc.integer({ min: 0, max: 3 * 24 * hourMs }), { minLength: 1, maxLength: 20 })
  fc.assert(
    fc.property(schedule, question, delays, (manifest, given, waits) => {
      const timetable = timetableOf(manifest)
      let now = given.firstSeen
      let after: DagRunInfo | null = null
      for (const wait of waits) {
        now += wait
        const next: DagRunInfo | null = timetable.next({ ...given, after, now })
        if (next === null) break
        expect(next.run_after).toBeGreaterThan(after?.run_after ?? Number.NEGATIVE_INFINITY)
        expect(next.run_after).toBeGreaterThanOrEqual(given.earliest ?? given.firstSeen)
        if (given.latest !== null) expect(next.run_after).toBeLessThanOrEqual(given.latest)
        after = next
      }
    }),
  )
})

/** All runs with catchup from `from` to `to`, one question after the other. */
function fold(timetable: Timetable, from: number, to: number): number[] {
  const runs: number[] = []
  for (let after: DagRunInfo | null = null; ; ) {
    after = timetable.next({ after, earliest: from, latest: to, catchup: true, now: to, firstSeen: from })
    if (after === null) return runs
    runs.push(after.run_after)
  }
}

test('runs from one date to another are those of its parts, and without catchup the last of them is made', () => {
  const cron = schedule.filter(({ type }) => type === 'cron')
  const days = fc.integer({ min: 1, max: 20 * 24 * hourMs })
  fc.assert(
    fc.property(cron, instant, days, days, (manifest, from, first, second) => {
      const timetable = timetableOf(manifest)
      const [middle, to] = [from + first, from + first + second]
      const runs = fold(timetable, from, to)
      expect(runs).toEqual([...fold(timetable, from, middle - 1), ...fold(timetable, middle, to)])
      const latest = timetable.next({
        after: null,
        earliest: from,
        latest: null,
        catchup: false,
        now: to,
        firstSeen: from,
      })
      if (runs.length > 0) expect(latest?.run_after).toBe(runs.at(-1))
      else expect(latest?.run_after ?? Number.POSITIVE_INFINITY).toBeGreaterThan(to)
    }),
    { numRuns: 40 },
  )
})

test('an interval from start_date is enumerated by multiplication', () => {
  fc.assert(
    fc.property(
      instant,
      fc.integer({ min: 1, max: 1e9 }),
      fc.integer({ min: 0, max: 200 }),
      (from, every, count) => {
        const runs = fold(timetableOf({ type: 'interval', every_ms: every }), from, from + every * count)
        expect(runs).toEqual(Array.from({ length: count + 1 }, (_, index) => from + index * every))
      },
    ),
  )
})
