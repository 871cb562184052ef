// What an attempt needs to know, from its run and its task: all of the order but what depends on where it runs. The
// scheduler that leases a run makes it from memory, a server from the database, for an attempt in a pod.
import { attemptId } from '../../runtime/ids.ts'
import type { TaskManifest } from '../../runtime/manifest.ts'
import type { AttemptOrder } from '../../runtime/task-runner/protocol.ts'
import type { DagRunRow } from '../database/rows.ts'

export type PlacelessOrder = Omit<AttemptOrder, 'token' | 'bundle_path' | 'source_path' | 'log_path'>

/**
 * @param input.params JSON text of the Dag's default params under the run's own
 * @param input.resultOf JSON text of a task's result; undefined where it has none
 */
export function attemptOrder(input: {
  run: Pick<
    DagRunRow,
    | 'dag_run_id'
    | 'dag_id'
    | 'run_id'
    | 'run_type'
    | 'logical_date'
    | 'data_interval_start'
    | 'data_interval_end'
    | 'commit_sha'
  >
  task: Pick<TaskManifest, 'task_id' | 'inputs' | 'execution_timeout_ms'>
  attempt: { mapIndex: number; tryNumber: number; maxTries: number }
  params: string
  resultOf: (taskId: string) => string | undefined
  bundleHash: string
}): PlacelessOrder {
  const { run, task, attempt, resultOf } = input
  const inputs: Record<string, string> = {}
  for (const [name, taskId] of Object.entries(task.inputs)) {
    const result = resultOf(taskId)
    if (result !== undefined) inputs[name] = result
  }
  return {
    attempt_id: attemptId(run.dag_run_id, task.task_id, attempt.mapIndex, attempt.tryNumber),
    dag_id: run.dag_id,
    run_id: run.run_id,
    task_id: task.task_id,
    map_index: attempt.mapIndex,
    try_number: attempt.tryNumber,
    max_tries: attempt.maxTries,
    run_type: run.run_type,
    logical_date: run.logical_date?.toISOString() ?? null,
    data_interval_start: run.data_interval_start?.toISOString() ?? null,
    data_interval_end: run.data_interval_end?.toISOString() ?? null,
    params: input.params,
    inputs,
    bundle_hash: input.bundleHash,
    commit_sha: run.commit_sha,
    execution_timeout_ms: task.execution_timeout_ms,
  }
}

/** JSON text. @param given the run's own, as JSON text */
export function mergedParams(defaults: Record<string, unknown>, given: string): string {
  return JSON.stringify({ ...defaults, ...(JSON.parse(given) as object) })
}
