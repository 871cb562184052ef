// When a Dag's next run is due. A timetable is pure: it has no clock and no database, and the same question has
// the same answer, so that two schedulers that ask at once propose the same run.
//
// Semantics are those of Airflow's CronTriggerTimetable, DeltaTriggerTimetable, OnceTimetable and NullTimetable:
// the data interval has length zero, so logical_date = run_after. Where Airflow's answer depends on the moment of
// asking, this one does not:
// - without start_date nothing is due before the Dag was first seen (Airflow runs a time that was missed by less
//   than 10 % of the distance or 5 minutes);
// - an interval keeps its phase: it counts from start_date, without one from the last run, and before any from
//   the moment the Dag was first seen, which is its first run. Airflow without catchup counts anew from now after
//   each delay;
// - a start_date moved later than the last run is honoured.
import { DagDefinitionError } from '../../runtime/errors.ts'
import type { ScheduleManifest } from '../../runtime/manifest.ts'
import { compileCron } from './cron.ts'
import { everyInterval, type Recurrence } from './recurrence.ts'
import { timeZone } from './time-zone.ts'
import { inTimeZone } from './wall-clock.ts'

/** Milliseconds since the Unix epoch; `start` ≤ `end`. */
export interface DataInterval {
  start: number
  end: number
}

/** A run that is to be made at `run_after`; milliseconds since the Unix epoch. */
export interface DagRunInfo {
  logical_date: number
  data_interval: DataInterval
  run_after: number
}

/** What the next run depends on; times are milliseconds since the Unix epoch. */
export interface NextRunQuestion {
  /** The last scheduled run (not a manual one), or null where there was none. */
  after: Pick<DagRunInfo, 'data_interval'> | null
  /** start_date: no run before it. */
  earliest: number | null
  /** end_date: no run after it; a run at it is made. */
  latest: number | null
  /** True: every run since start_date or the last run. False: of those missed until `now`, only the latest. */
  catchup: boolean
  now: number
  /** When the Dag was first seen; what stands for start_date where there is none. Must not change later. */
  firstSeen: number
}

export interface Timetable {
  /** The next run, which is due once `run_after` has come, or null where there will be none. */
  next(question: NextRunQuestion): DagRunInfo | null
  /** The data interval of a run that somebody triggers for `runAfter`. */
  manualInterval(runAfter: number): DataInterval
}

/**
 * The timetable of a schedule. Cheap to make again: compiled expressions and time zones are shared.
 * @param schedule null: a Dag that only runs when somebody triggers it
 * @throws DagDefinitionError where expression, time zone or interval cannot be used; it says why
 */
export function timetableOf(schedule: ScheduleManifest | null): Timetable {
  return { next: nextOf(schedule), manualInterval: (runAfter) => ({ start: runAfter, end: runAfter }) }
}

function nextOf(schedule: ScheduleManifest | null): Timetable['next'] {
  switch (schedule?.type) {
    case undefined:
      return () => null
    case 'once':
      return nextOnce
    case 'interval': {
      const everyMs = checkInterval(schedule.every_ms)
      return (question) => nextOfMany(everyInterval(everyMs, anchorOf(question)), question)
    }
    case 'cron': {
      const recurrence = inTimeZone(compileCron(schedule.expression), timeZone(schedule.timezone))
      return (question) => nextOfMany(recurrence, question)
    }
  }
}

function checkInterval(everyMs: number): number {
  if (Number.isSafeInteger(everyMs) && everyMs > 0) return everyMs
  throw new DagDefinitionError(
    `schedule interval of ${everyMs} ms is not valid: use a whole number of milliseconds from 1`,
    { details: { every_ms: everyMs } },
  )
}

function anchorOf({ after, earliest, firstSeen }: NextRunQuestion): number {
  return earliest ?? after?.data_interval.end ?? firstSeen
}

function nextOfMany(recurrence: Recurrence, question: NextRunQuestion): DagRunInfo | null {
  const { after, earliest, catchup, now, firstSeen } = question
  let from = Math.max(
    after === null ? (earliest ?? firstSeen) : after.data_interval.end + 1,
    earliest ?? -Infinity,
  )
  if (!catchup) from = Math.max(from, recurrence.lastAtOrBefore(now) ?? from)
  return runAt(recurrence.firstAtOrAfter(from), question)
}

function nextOnce(question: NextRunQuestion): DagRunInfo | null {
  return question.after === null ? runAt(question.earliest ?? question.firstSeen, question) : null
}

function runAt(instant: number | null, { latest }: NextRunQuestion): DagRunInfo | null {
  if (instant === null || (latest !== null && instant > latest)) return null
  return { logical_date: instant, data_interval: { start: instant, end: instant }, run_after: instant }
}
