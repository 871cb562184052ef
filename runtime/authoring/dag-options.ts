// The options of a Dag and their values in the manifest. Defaults are Airflow's, but for catchup and the absence
// of a schedule, which are off.
import type { Duration } from '../duration.ts'
import { DagDefinitionError, messageOf } from '../errors.ts'
import type { DagManifest } from '../manifest.ts'
import { didYouMean } from '../nearest.ts'
import type { PodOverride } from '../pod-override.ts'
import { isTimezone, readInstant } from './instant.ts'
import {
  checkOptionNames,
  readBoolean,
  readDurationMs,
  readInteger,
  readText,
  refuse,
} from './option-values.ts'
import { readSchedule, type Schedule } from './schedule.ts'
import type { TaskDefaults } from './task-options.ts'
import { readPodOverride } from './worker-pod-options.ts'

/** Options of `dag()`. */
export interface DagOptions {
  description?: string | null
  tags?: readonly string[]
  /** Default null: runs only when somebody triggers it. */
  schedule?: Schedule
  /** IANA name of the zone in which cron expressions and dates without an offset are read. Default 'UTC'. */
  timezone?: string
  /** The first instant that the schedule may cover; text without an offset is in `timezone`. */
  startDate?: string | Date | null
  /** The schedule makes no run for what is later. */
  endDate?: string | Date | null
  /** Whether intervals that have passed get their runs belatedly. Default false. */
  catchup?: boolean
  /** Runs of this Dag that may be active at once; further ones wait. Default 16. */
  maxActiveRuns?: number
  /** Attempts of one run that may be queued or running at once. Default 16. */
  maxActiveTasks?: number
  /** A run that takes longer fails. Default: no limit. */
  dagrunTimeout?: Duration | null
  /** Whether a Dag that is new to the deployment begins paused. Default: as the deployment says. */
  isPausedUponCreation?: boolean | null
  /** Params of a run and their default values; plain JSON. */
  params?: Readonly<Record<string, unknown>>
  /** Laid over the pods of all its tasks; groups and tasks may have further ones. */
  podOverride?: PodOverride | null
  /** Options of every task that does not have its own. */
  defaults?: TaskDefaults
}

const dagOptionNames = [
  'description',
  'tags',
  'schedule',
  'timezone',
  'startDate',
  'endDate',
  'catchup',
  'maxActiveRuns',
  'maxActiveTasks',
  'dagrunTimeout',
  'isPausedUponCreation',
  'params',
  'podOverride',
  'defaults',
] as const satisfies readonly (keyof DagOptions)[]

/** Airflow's `max_active_runs_per_dag` and `max_active_tasks_per_dag`. */
const defaultMaxActive = 16

/**
 * The manifest's fields that come from options (`defaults` goes to the tasks).
 * @throws DagDefinitionError
 */
export function readDagOptions(
  place: string,
  options: DagOptions,
): Omit<DagManifest, 'dag_id' | 'tasks' | 'task_groups'> {
  checkOptionNames(place, options, dagOptionNames)
  const at = (option: keyof DagOptions) => ({ place, option })
  const timezone = readTimezone(place, options.timezone)
  const startDate = readInstant(at('startDate'), options.startDate, timezone)
  const endDate = readInstant(at('endDate'), options.endDate, timezone)
  if (startDate !== null && endDate !== null && endDate < startDate) {
    refuse(at('endDate'), options.endDate, `no earlier than startDate, which is ${startDate}`)
  }
  return {
    description: readText(at('description'), options.description),
    tags: readTags(place, options.tags),
    schedule: readSchedule(at('schedule'), options.schedule, timezone),
    timezone,
    start_date: startDate,
    end_date: endDate,
    catchup: readBoolean(at('catchup'), options.catchup) ?? false,
    max_active_runs: readInteger(at('maxActiveRuns'), options.maxActiveRuns, defaultMaxActive, 1),
    max_active_tasks: readInteger(at('maxActiveTasks'), options.maxActiveTasks, defaultMaxActive, 1),
    dagrun_timeout_ms: readDurationMs(at('dagrunTimeout'), options.dagrunTimeout, 1),
    is_paused_upon_creation: readBoolean(at('isPausedUponCreation'), options.isPausedUponCreation),
    params: readParams(place, options.params),
    pod_override: readPodOverride(at('podOverride'), options.podOverride),
  }
}

function readTimezone(place: string, timezone: unknown): string {
  if (timezone === undefined) return 'UTC'
  if (typeof timezone === 'string' && isTimezone(timezone)) return timezone
  const known = Intl.supportedValuesOf('timeZone')
  const hint = typeof timezone === 'string' ? didYouMean(timezone, known) : ''
  return refuse({ place, option: 'timezone' }, timezone, `an IANA name such as 'Europe/Berlin'.${hint}`)
}

function readTags(place: string, tags: unknown): string[] {
  if (tags === undefined) return []
  if (!Array.isArray(tags) || !tags.every((tag) => typeof tag === 'string' && tag.trim() !== '')) {
    refuse({ place, option: 'tags' }, tags, 'a list of texts that are not blank')
  }
  return [...new Set<string>(tags)]
}

/** As they come back from JSON, so that a default behaves in a test as it does in production. */
function readParams(place: string, params: unknown): Record<string, unknown> {
  if (params === undefined) return {}
  if (typeof params !== 'object' || params === null || Array.isArray(params)) {
    refuse({ place, option: 'params' }, params, 'an object: name → default value')
  }
  try {
    return JSON.parse(JSON.stringify(params)) as Record<string, unknown>
  } catch (error) {
    throw new DagDefinitionError(`${place}: option 'params' cannot be written as JSON: ${messageOf(error)}`, {
      cause: error,
    })
  }
}
