// Rows of task instances, attempts and results as the API's JSON. A task that was not reached yet has no row; here
// it is an instance in state `none`.
import { notMapped } from '../../../runtime/ids.ts'
import type { DagManifest, TaskManifest } from '../../../runtime/manifest.ts'
import type { AttemptRow } from '../../../scheduler/database/queries/read-attempts.ts'
import type { ShownPodRow } from '../../../scheduler/database/queries/read-pods.ts'
import type { ShownTaskInstanceRow } from '../../../scheduler/database/queries/read-task-instances.ts'
import type { ShownXComRow } from '../../../scheduler/database/queries/read-xcom.ts'
import type { Attempt, TaskInstance, XComEntry } from '../schemas/task-instance.ts'
import { durationSeconds, jsonRow } from './dates.ts'
import { podJson } from './pod.ts'

/** One instance at least for each task of the manifest, in its (topological) order. */
export function taskInstancesJson(
  manifest: DagManifest,
  rows: readonly ShownTaskInstanceRow[],
): TaskInstance[] {
  const rowsOf = Map.groupBy(rows, (row) => row.task_id)
  return manifest.tasks.flatMap((task) =>
    (rowsOf.get(task.task_id) ?? [notReached(task)]).map((row) => taskInstanceJson(task, row)),
  )
}

function notReached(task: TaskManifest): ShownTaskInstanceRow {
  return {
    task_id: task.task_id,
    map_index: notMapped,
    state: 'none',
    try_number: 0,
    max_tries: task.retries + 1,
    next_try_at: null,
    start_date: null,
    end_date: null,
  }
}

function taskInstanceJson(task: TaskManifest, row: ShownTaskInstanceRow): TaskInstance {
  return {
    ...jsonRow(row),
    kind: task.kind,
    upstream_task_ids: task.upstream_task_ids,
    duration: durationSeconds(row.start_date, row.end_date),
  }
}

/** @param pods of attempts of the same task instance */
export function attemptJson(row: AttemptRow, pods: readonly ShownPodRow[]): Attempt {
  const pod = pods.find((one) => one.try_number === row.try_number)
  return {
    ...jsonRow(row),
    duration: durationSeconds(row.start_date, row.end_date),
    error: row.error === null ? null : (JSON.parse(row.error) as Attempt['error']),
    pod: pod === undefined ? null : podJson(pod),
  }
}

export function xcomJson(row: ShownXComRow): XComEntry {
  return { ...jsonRow(row), value: JSON.parse(row.value) as unknown }
}
