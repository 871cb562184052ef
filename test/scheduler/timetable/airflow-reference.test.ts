// Every case that was measured from Airflow's CronTriggerTimetable (fixtures/cron.json; `how` in it says how),
// compared run by run. Where we differ on purpose the expression stands in `differences` with its reason.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { DagRunInfo, Timetable } from '../../../scheduler/timetable/timetable.ts'
import { timetableOf } from '../../../scheduler/timetable/timetable.ts'

interface Measured {
  /** [interval start, interval end, run after] of six runs in a row. */
  runs?: [string, string, string][]
  /** The time zone was refused. */
  error?: string
  /** The expression was refused. */
  validate_error?: string
  /** The expression was accepted, and asking for the next run failed. */
  runs_error?: string
  manual_interval_at_start_date?: { start: string; end: string }
}
interface Case {
  expression: string
  timezone: string
  start_date: string
  CronTriggerTimetable: Measured
}
interface Reference {
  cases: Case[]
  schedule_string_mapping: { schedule: string | null; core_timetable?: string; summary?: string }[]
}

const reference = JSON.parse(
  readFileSync(join(import.meta.dirname, 'fixtures', 'cron.json'), 'utf8'),
) as Reference

/** Accepted by Airflow, refused here: expression → [reason, what the message says]. */
const differences: Record<string, [reason: string, message: RegExp]> = {
  'R * * * *': [
    'its times change with every reading, so two schedulers would disagree',
    /minute 'R' is random/,
  ],
  'R(0-5) * * * *': ['as above, with bounds', /minute 'R\(0-5\)' is random/],
  '0 0 30 2 *': ['never matches: Airflow only finds out while scheduling', /matches no date/],
  '0 0 31 2 *': ['never matches: Airflow only finds out while scheduling', /matches no date/],
  '0 0 31 4,6,9,11 *': ['never matches: Airflow only finds out while scheduling', /matches no date/],
}

/** Refused by both: what our message must say. */
const refusals: Record<string, RegExp> = {
  '@once': /@once is no preset of cron but a schedule of its own/,
  '0 0 * * 5L': /day of week '5L' is not a value; allowed: .*L5 for the last/,
  '0 0 LW * *': /day of month 'LW' is not a value; allowed: 1 to 31, L for the last day/,
  '0 0 * *': /4 fields instead of 5/,
  '': /0 fields instead of 5/,
  '60 * * * *': /minute '60' is out of range; allowed: 0 to 59/,
  '* 24 * * *': /hour '24' is out of range; allowed: 0 to 23/,
  '* * 0 * *': /day of month '0' is out of range; allowed: 1 to 31/,
  '* * 32 * *': /day of month '32' is out of range; allowed: 1 to 31/,
  '* * * 13 *': /month '13' is out of range; allowed: 1 to 12 or JAN to DEC/,
  '* * * 0 *': /month '0' is out of range; allowed: 1 to 12/,
  '* * * * 8': /day of week '8' is out of range; allowed: 0 to 7 \(both are Sunday\)/,
  '*/0 * * * *': /minute '\*\/0' has the step '0', which is not a whole number from 1/,
  '-1 * * * *': /minute '-1' is negative; allowed: 0 to 59/,
  '0 0 * * Monday': /day of week 'Monday' is not a value; allowed: .*SUN to SAT/,
  '1.5 * * * *': /minute '1\.5' is not a value; allowed: 0 to 59/,
  '0 0 32-1 * *': /day of month '32-1' is out of range/,
}
const refusedZones: Record<string, RegExp> = {
  '+02:00': /timezone "\+02:00" is an offset: write the name of a zone/,
  'Nowhere/None': /timezone "Nowhere\/None" is not known/,
}

const timetable = ({ expression, timezone }: Pick<Case, 'expression' | 'timezone'>) =>
  timetableOf({ type: 'cron', expression, timezone })

function firstRuns(table: Timetable, startDate: number, count: number): DagRunInfo[] {
  const runs: DagRunInfo[] = []
  while (runs.length < count) {
    const after = runs.at(-1) ?? null
    const run = table.next({ after, earliest: startDate, latest: null, catchup: true, now: 0, firstSeen: 0 })
    if (run === null) break
    runs.push(run)
  }
  return runs
}

const isDifference = ({ expression }: Case) => Object.hasOwn(differences, expression)
const accepted = reference.cases.filter((one) => one.CronTriggerTimetable.runs && !isDifference(one))
const refused = reference.cases.filter(
  ({ CronTriggerTimetable: { error, validate_error } }) =>
    error !== undefined || validate_error !== undefined,
)
const different = reference.cases.filter(isDifference)

test('each measured case is compared, refused by both, or a named difference', () => {
  expect(accepted.length + refused.length + different.length).toBe(reference.cases.length)
  expect(accepted.length).toBe(119)
  const used = new Set(different.map(({ expression }) => expression))
  expect(Object.keys(differences).filter((expression) => !used.has(expression))).toEqual([])
})

test.each(accepted)('$expression in $timezone from $start_date runs when Airflow runs it', (one) => {
  const runs = firstRuns(timetable(one), Date.parse(one.start_date), 6)
  const times = runs.map((run) => [run.data_interval.start, run.data_interval.end, run.run_after])
  expect(times.map((row) => row.map((time) => new Date(time).toISOString()))).toEqual(
    one.CronTriggerTimetable.runs!.map((row) => row.map((time) => new Date(time).toISOString())),
  )
  expect(runs.map((run) => run.logical_date)).toEqual(runs.map((run) => run.run_after))
})

test.each(accepted)(
  '$expression in $timezone gives a manual run at $start_date the interval of Airflow',
  (one) => {
    const { start, end } = one.CronTriggerTimetable.manual_interval_at_start_date!
    expect(timetable(one).manualInterval(Date.parse(one.start_date))).toEqual({
      start: Date.parse(start),
      end: Date.parse(end),
    })
  },
)

test.each(refused)('$expression in $timezone is refused as in Airflow, and the message says why', (one) => {
  const message = refusedZones[one.timezone] ?? refusals[one.expression]
  expect(message, 'a refusal of Airflow without a message of ours').toBeDefined()
  expect(() => timetable(one)).toThrow(message)
})

test.each(different)('$expression is refused, unlike in Airflow, for a reason', (one) => {
  expect(() => timetable(one)).toThrow(differences[one.expression]![1])
})

test('schedule strings that Airflow maps to a cron timetable are accepted as they are', () => {
  const ofCron = reference.schedule_string_mapping.filter(
    ({ core_timetable }) => core_timetable === 'CronTriggerTimetable',
  )
  expect(ofCron.length).toBe(5)
  const start = Date.parse('2026-01-15T10:17:30Z')
  for (const { schedule, summary } of ofCron) {
    const [asWritten, spelt] = [schedule!, summary!].map((expression) =>
      firstRuns(timetable({ expression, timezone: 'UTC' }), start, 3),
    )
    expect(asWritten).toHaveLength(3)
    expect(asWritten).toEqual(spelt)
  }
})
