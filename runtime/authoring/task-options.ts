// The options that every kind of task has, and their values in the manifest. Defaults are Airflow's.
import type { Duration } from '../duration.ts'
import { type Isolation, type TaskManifest, TriggerRule } from '../manifest.ts'
import type { Orderable } from './handles.ts'
import {
  checkOptionNames,
  readChoice,
  readDurationMs,
  readInteger,
  readText,
  refuse,
} from './option-values.ts'
import {
  readPodOverride,
  readPodTemplateFile,
  readSpot,
  type WorkerPodOptions,
} from './worker-pod-options.ts'

/** Options of `task()` and `bash()`. */
export interface TaskOptions extends WorkerPodOptions {
  /** Tasks and groups that must have finished first, without their results being needed. */
  after?: readonly Orderable[]
  /** Further attempts after a failed one. Default 0. */
  retries?: number
  /** From the end of a failed attempt to the next one. Default '5m'. */
  retryDelay?: Duration
  /** Factor by which each further delay grows. Default 1: all are alike. */
  retryExponentialBackoff?: number
  /** Upper bound of the delay. Default '24h', or `retryDelay` where that is longer. */
  maxRetryDelay?: Duration
  /** After this time an attempt's signal fires, and the attempt fails. Default: no limit. */
  executionTimeout?: Duration | null
  /** Which outcomes upstream let the task run. Default 'all_success'. */
  triggerRule?: TriggerRule
  /** Among queued tasks the higher goes first. Default 1. */
  priorityWeight?: number
  /** Name of the executor; default: the deployment's own. */
  executor?: string | null
  /** 'fresh' gives each attempt a process of its own. Default 'warm'. */
  isolation?: Isolation
  /** Free text for people. */
  doc?: string | null
}

/** Options for all tasks of a Dag, each of which may have its own. */
export type TaskDefaults = Omit<TaskOptions, 'after' | 'podOverride' | 'doc'>

const taskDefaultNames = [
  'retries',
  'retryDelay',
  'retryExponentialBackoff',
  'maxRetryDelay',
  'executionTimeout',
  'triggerRule',
  'priorityWeight',
  'executor',
  'isolation',
  'podTemplateFile',
  'spot',
] as const satisfies readonly (keyof TaskDefaults)[]

export const taskOptionNames = [
  'after',
  ...taskDefaultNames,
  'podOverride',
  'doc',
] as const satisfies readonly (keyof TaskOptions)[]

const defaultRetryDelayMs = 5 * 60_000
/** Bounds growth; it does not cut a delay that was written longer on purpose. */
const defaultMaxRetryDelayMs = 24 * 3_600_000

type TaskOptionValues = Omit<TaskManifest, 'task_id' | 'kind' | 'upstream_task_ids' | 'inputs' | 'operator'>

/**
 * A task's options over its Dag's defaults, in the manifest's terms. Names are checked by the caller, who knows
 * which further options its kind of task has.
 * @throws DagDefinitionError
 */
export function readTaskOptions(
  place: string,
  own: TaskOptions,
  defaults: TaskDefaults = {},
): TaskOptionValues {
  // An option that is present but undefined counts as absent, so that it does not hide the default.
  const given = Object.fromEntries(Object.entries(own).filter(([, value]) => value !== undefined))
  const options: TaskOptions = { ...defaults, ...given }
  const at = (option: keyof TaskOptions) => ({ place, option })
  const backoff = options.retryExponentialBackoff ?? 1
  if (typeof backoff !== 'number' || !Number.isFinite(backoff) || backoff < 1) {
    refuse(at('retryExponentialBackoff'), backoff, 'a factor of 1 or more')
  }
  const retryDelayMs = readDurationMs(at('retryDelay'), options.retryDelay) ?? defaultRetryDelayMs
  return {
    trigger_rule: readChoice(
      at('triggerRule'),
      options.triggerRule,
      'all_success',
      Object.values(TriggerRule),
    ),
    retries: readInteger(at('retries'), options.retries, 0, 0),
    retry_delay_ms: retryDelayMs,
    retry_exponential_backoff: backoff,
    max_retry_delay_ms:
      readDurationMs(at('maxRetryDelay'), options.maxRetryDelay) ??
      Math.max(defaultMaxRetryDelayMs, retryDelayMs),
    execution_timeout_ms: readDurationMs(at('executionTimeout'), options.executionTimeout, 1),
    priority_weight: readInteger(at('priorityWeight'), options.priorityWeight, 1, Number.MIN_SAFE_INTEGER),
    executor: readText(at('executor'), options.executor),
    isolation: readChoice(at('isolation'), options.isolation, 'warm', ['warm', 'fresh']),
    pod_override: readPodOverride(at('podOverride'), options.podOverride),
    pod_template_file: readPodTemplateFile(at('podTemplateFile'), options.podTemplateFile),
    spot: readSpot(at('spot'), options.spot),
    doc: readText(at('doc'), options.doc),
  }
}

/**
 * A Dag's `defaults`, checked at once: a bad one is reported as the Dag's, even if it has no tasks.
 * @throws DagDefinitionError
 */
export function readTaskDefaults(place: string, defaults: unknown): TaskDefaults {
  if (defaults === undefined) return {}
  const defaultsPlace = `${place}, option 'defaults'`
  checkOptionNames(defaultsPlace, defaults, taskDefaultNames)
  readTaskOptions(defaultsPlace, defaults as TaskDefaults)
  return { ...(defaults as TaskDefaults) }
}
