// Whether what claims to be a manifest is one. It comes from a process that ran user code, or from a file, and the
// scheduler decides by it without looking again: so every key, and the order of the tasks. The shapes are typed by
// the manifest, so that a key that is added there is missing here for the compiler.
import { messageOf } from '../errors.ts'
import { asDagId, asTaskId } from '../ids.ts'
import {
  type DagManifest,
  type SpotManifest,
  type TaskGroupManifest,
  type TaskManifest,
  TriggerRule,
} from '../manifest.ts'
import { podOverrideFault } from '../pod-override.ts'
import { jsonbFault } from '../storable.ts'
import { operatorFault } from './operator-check.ts'
import type { BundlePosition, ModuleReading } from './reader-protocol.ts'
import { type Check, isCount, isObject, isText, listOf, oneOf, orNull, type Shape } from './shape-check.ts'

const isBoolean: Check = (value) => typeof value === 'boolean'
const isNumber: Check = (value) => typeof value === 'number' && Number.isFinite(value)
const isPositive: Check = (value) => isCount(value) && value !== 0
const isTime: Check = (value) => isText(value) && !Number.isNaN(Date.parse(value as string))

const isSchedule: Check = (value) => {
  if (!isObject(value)) return false
  const schedule = value as Record<string, unknown>
  if (schedule.type === 'cron') return isText(schedule.expression) && isText(schedule.timezone)
  return schedule.type === 'interval' ? isPositive(schedule.every_ms) : schedule.type === 'once'
}

const isPodOverride: Check = (value) => podOverrideFault(value) === null

const spotShape: Shape<SpotManifest> = {
  node_selector: (value) => isObject(value) && Object.values(value as object).every(isText),
  tolerations: listOf(isObject),
  affinity: orNull(isObject),
  on_demand_attempts: isCount,
}
const isSpot: Check = (value) => checkShape('spot', value, spotShape) === null

const isOperator: Check = (value) => operatorFault(value) === null

const dagShape: Shape<DagManifest> = {
  dag_id: isText,
  description: orNull(isText),
  tags: listOf(isText),
  schedule: orNull(isSchedule),
  timezone: isText,
  start_date: orNull(isTime),
  end_date: orNull(isTime),
  catchup: isBoolean,
  max_active_runs: isPositive,
  max_active_tasks: isPositive,
  dagrun_timeout_ms: orNull(isCount),
  is_paused_upon_creation: orNull(isBoolean),
  params: isObject,
  pod_override: orNull(isPodOverride),
  tasks: listOf(isObject),
  task_groups: listOf(isObject),
}

const taskShape: Shape<TaskManifest> = {
  task_id: isText,
  kind: oneOf('task', 'bash', 'pod', 'job', 'resource'),
  upstream_task_ids: listOf(isText),
  inputs: (value) => isObject(value) && Object.values(value as object).every(isText),
  trigger_rule: oneOf(...Object.values(TriggerRule)),
  retries: isCount,
  retry_delay_ms: isNumber,
  retry_exponential_backoff: isNumber,
  max_retry_delay_ms: isNumber,
  execution_timeout_ms: orNull(isCount),
  priority_weight: Number.isSafeInteger,
  executor: orNull(isText),
  isolation: oneOf('warm', 'fresh'),
  pod_override: orNull(isPodOverride),
  pod_template_file: orNull(isText),
  spot: orNull(isSpot),
  operator: orNull(isOperator),
  doc: orNull(isText),
}

const groupShape: Shape<TaskGroupManifest> = {
  group_id: isText,
  tooltip: orNull(isText),
  pod_override: orNull(isPodOverride),
}

/** @returns what is wrong with it, or null where it is a reading as its type says */
export function checkReading(reading: unknown): string | null {
  const { dags, unexported } = (reading ?? {}) as Partial<ModuleReading>
  if (!Array.isArray(dags) || !Array.isArray(unexported)) return 'it is no list of Dags'
  for (const made of [...dags, ...unexported]) {
    if (!isObject(made) || !isPosition(made.made_at)) return 'the place of a Dag is none'
  }
  if (!unexported.every(({ dag_id }) => isText(dag_id))) return 'a dag_id is no text'
  return firstOf(dags, ({ manifest }) => checkManifest(manifest))
}

function isPosition(value: BundlePosition | null): boolean {
  return value === null || (isObject(value) && isPositive(value.line) && isPositive(value.column))
}

/** @returns what is wrong with it, or null */
function checkManifest(manifest: unknown): string | null {
  const wrong = checkShape('Dag', manifest, dagShape)
  if (wrong !== null) return wrong
  const { dag_id, tasks, task_groups } = manifest as DagManifest
  try {
    asDagId(dag_id)
    const seen = new Set<string>()
    const wrongTask = firstOf(tasks, (task) => {
      const wrongShape = checkShape('task', task, taskShape)
      if (wrongShape !== null) return wrongShape
      asTaskId(task.task_id)
      if (seen.has(task.task_id)) return `task_id ${task.task_id} stands twice`
      const unknown = [...task.upstream_task_ids, ...Object.values(task.inputs)].find((id) => !seen.has(id))
      seen.add(task.task_id)
      return unknown === undefined
        ? null
        : `task ${task.task_id} needs ${unknown}, which does not stand before it`
    })
    const wrongGroup = firstOf(task_groups, (group) => checkShape('group', group, groupShape))
    const fault = jsonbFault(JSON.stringify(manifest))
    return wrongTask ?? wrongGroup ?? (fault === null ? null : `Dag '${dag_id}' ${fault}`)
  } catch (error) {
    return messageOf(error)
  }
}

function checkShape<Type>(what: string, value: unknown, shape: Shape<Type>): string | null {
  if (!isObject(value)) return `a ${what} is no object`
  const given = value as Record<string, unknown>
  const wrong = Object.keys(shape).find((key) => !shape[key as keyof Type](given[key]))
  if (wrong !== undefined) return `${what}: ${wrong} is ${JSON.stringify(given[wrong])}`
  const extra = Object.keys(given).find((key) => !(key in shape))
  return extra === undefined ? null : `${what}: ${extra} is no key of it`
}

function firstOf<Item>(items: readonly Item[], problemOf: (item: Item) => string | null): string | null {
  for (const item of items) {
    const problem = problemOf(item)
    if (problem !== null) return problem
  }
  return null
}
