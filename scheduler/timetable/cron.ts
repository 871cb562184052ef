// Compiled cron expressions on a wall clock without a time zone: the one place that speaks to croner. A wall time
// is a number, the milliseconds of Date.UTC for what the clock on the wall reads; time-zone.ts and wall-clock.ts
// turn it into an instant. croner's own time zones are not used, for its rules for skipped and doubled hours are
// not Airflow's, and it asks Intl at each step (a few microseconds more for each).
import { CronDate, type CronOptions, CronPattern } from 'croner'
import { BranchlineError, DagDefinitionError } from '../../runtime/errors.ts'
import { parseCron } from './cron-fields.ts'

/** A schedule on the wall clock. Stateless; may be shared. */
export interface WallSchedule {
  /** See CronFields. */
  everyHour: boolean
  /** The first matching wall time after `wall`, or null where none comes before the year 3000. */
  after(wall: number): number | null
  /** The last matching wall time that is not after `wall`, or null. */
  atOrBefore(wall: number): number | null
}

/** Expressions kept compiled. A deployment has some hundreds; more than this are compiled again (20 µs each). */
const cacheSize = 2_000
const cache = new Map<string, WallSchedule>()

// croner marks each of 10,000 years in an array of its own, 80 kB for each expression; one is enough for all.
const everyYear: number[] = Array(10_000).fill(1)
const utcOffset = 0
const matchOptions: CronOptions = {}

/**
 * The schedule of a cron expression or preset; the same expression gives the same object while it is cached.
 * @throws DagDefinitionError where the expression is not valid or no date can ever match it
 */
export function compileCron(expression: string): WallSchedule {
  const known = cache.get(expression)
  if (known !== undefined) return known
  const compiled = compile(expression)
  if (cache.size >= cacheSize) cache.delete(cache.keys().next().value!)
  cache.set(expression, compiled)
  return compiled
}

/** Why a cron expression cannot be used (the field, what is wrong and what is allowed), or null where it can. */
export function validateCron(expression: string): string | null {
  try {
    compileCron(expression)
    return null
  } catch (error) {
    if (error instanceof BranchlineError) return error.message
    throw error
  }
}

function compile(expression: string): WallSchedule {
  const { pattern: text, everyHour } = parseCron(expression)
  const pattern = new CronPattern(text)
  if (pattern.starYear) pattern.year = everyYear
  const schedule: WallSchedule = {
    everyHour,
    after: (wall) =>
      new CronDate(new Date(wall), utcOffset).increment(pattern, matchOptions, false)?.getTime() ?? null,
    atOrBefore: (wall) => {
      // croner looks strictly before a whole second.
      const nextSecond = Math.floor(wall / 1_000) * 1_000 + 1_000
      return new CronDate(new Date(nextSecond), utcOffset).decrement(pattern, matchOptions)?.getTime() ?? null
    },
  }
  if (schedule.after(-1) === null) {
    throw new DagDefinitionError(
      `cron expression ${JSON.stringify(expression)} matches no date: no month that it names has such a day`,
      { details: { expression } },
    )
  }
  return schedule
}
