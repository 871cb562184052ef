// A run that this scheduler leases, in memory: its state for deciding, and what its attempts need.
import { randomUUID } from 'node:crypto'
import { notMapped } from '../../runtime/ids.ts'
import { attemptLogPath } from '../../runtime/log-line.ts'
import type { AttemptOrder } from '../../runtime/task-runner/protocol.ts'
import type { DagRunRow } from '../database/rows.ts'
import type { RunCommandRow } from '../database/run-commands.ts'
import type { RunRows } from '../database/run-rows.ts'
import { createRunState, type RunState } from '../decide/run-state.ts'
import type { DispatchOrder } from '../executors/executor.ts'
import type { DagVersion } from './version-cache.ts'

/** The attempt of a task that is queued or running now. */
export interface ActiveAttempt {
  token: string
  tryNumber: number
}

export interface LeasedRun {
  readonly row: DagRunRow
  readonly version: DagVersion
  readonly state: RunState
  /** Directory of the run's commit. */
  readonly sourcePath: string
  /** JSON text of the Dag's default params under the run's own. */
  readonly params: string
  /** Task → JSON text of its result; only of tasks that are inputs of others. */
  readonly results: Map<number, string>
  readonly attempts: Map<number, ActiveAttempt>
  /** Tasks that were up_for_retry when the run was leased → when, in milliseconds since the epoch. */
  readonly retriesAt: ReadonlyMap<number, number>
  /** Not fulfilled yet, in the order given. */
  commands: RunCommandRow[]
  /** Ids of commands that were fulfilled since it was leased. */
  readonly commandsDone: Set<number>
  /** How many changes were decided and are not committed. */
  uncommitted: number
  /** Ends the wait for its dagrun_timeout. */
  cancelTimeout?: () => void
  /** Something other than a report was decided and is not committed: reports wait until it is. */
  isExclusive: boolean
}

/** @param rows what the database has of it; nothing for a run that was just started */
export function createLeasedRun(input: {
  row: DagRunRow
  version: DagVersion
  sourcePath: string
  commands?: RunCommandRow[]
  rows?: RunRows
}): LeasedRun {
  const { row, version, sourcePath, rows } = input
  const { numberOf, manifest } = version.graph
  const numberOfRow = ({ task_id }: { task_id: string }) => numberOf.get(task_id)!
  return {
    row,
    version,
    state: createRunState(version.graph, rows?.taskInstances, row.state),
    sourcePath,
    params: JSON.stringify({ ...manifest.params, ...(JSON.parse(row.params) as object) }),
    results: new Map(rows?.results.map((result) => [numberOfRow(result), result.value])),
    attempts: new Map(
      rows?.activeAttempts.map((attempt) => [
        numberOfRow(attempt),
        { token: attempt.token, tryNumber: attempt.try_number },
      ]),
    ),
    retriesAt: new Map(
      rows?.taskInstances
        .filter(({ next_try_at }) => next_try_at !== null)
        .map((instance) => [numberOfRow(instance), instance.next_try_at!.getTime()]),
    ),
    commands: input.commands ?? [],
    commandsDone: new Set(),
    uncommitted: 0,
    isExclusive: false,
  }
}

/** Names one attempt for good: the primary key of its row. */
export function attemptId(dagRunId: number, taskId: string, mapIndex: number, tryNumber: number): string {
  return `${dagRunId}/${taskId}/${mapIndex}/${tryNumber}`
}

/** A token for a new attempt; with it, and with it alone, the attempt is reported. */
export const newToken = randomUUID

/** What the executor needs to run the active attempt of `task`. */
export function dispatchOrder(run: LeasedRun, task: number, logsDir: string): DispatchOrder {
  const { row, version } = run
  const manifest = version.graph.tasks[task]!
  const { token, tryNumber } = run.attempts.get(task)!
  const inputs: Record<string, string> = {}
  for (const [name, taskId] of Object.entries(manifest.inputs)) {
    const result = run.results.get(version.graph.numberOf.get(taskId)!)
    if (result !== undefined) inputs[name] = result
  }
  const place = {
    dag_id: row.dag_id,
    run_id: row.run_id,
    task_id: manifest.task_id,
    map_index: notMapped,
    try_number: tryNumber,
  }
  const order: AttemptOrder = {
    attempt_id: attemptId(row.dag_run_id, manifest.task_id, notMapped, tryNumber),
    token,
    ...place,
    max_tries: run.state.tasks[task]!.maxTries,
    run_type: row.run_type,
    logical_date: row.logical_date?.toISOString() ?? null,
    data_interval_start: row.data_interval_start?.toISOString() ?? null,
    data_interval_end: row.data_interval_end?.toISOString() ?? null,
    params: run.params,
    inputs,
    bundle_hash: version.bundleHash,
    bundle_path: version.bundlePath,
    source_path: run.sourcePath,
    commit_sha: row.commit_sha,
    log_path: attemptLogPath(logsDir, place),
    execution_timeout_ms: manifest.execution_timeout_ms,
  }
  return { order, priorityWeight: manifest.priority_weight, isolation: manifest.isolation }
}
