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
import { attemptOrder, mergedParams } from './attempt-order.ts'
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
    params: mergedParams(manifest.params, row.params),
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

/** A token for a new attempt; with it, and with it alone, the attempt is reported. */
export const newToken = randomUUID

/** What the executor needs to run the active attempt of `task`. */
export function dispatchOrder(run: LeasedRun, task: number, logsDir: string): DispatchOrder {
  const { row, version } = run
  const manifest = version.graph.tasks[task]!
  const { token, tryNumber } = run.attempts.get(task)!
  const placeless = attemptOrder({
    run: row,
    task: manifest,
    attempt: { mapIndex: notMapped, tryNumber, maxTries: run.state.tasks[task]!.maxTries },
    params: run.params,
    resultOf: (taskId) => run.results.get(version.graph.numberOf.get(taskId)!),
    bundleHash: version.bundleHash,
  })
  const order: AttemptOrder = {
    ...placeless,
    token,
    bundle_path: version.bundlePath,
    source_path: run.sourcePath,
    log_path: attemptLogPath(logsDir, placeless),
  }
  return { order, dagRunId: row.dag_run_id, dag: version.graph.manifest, task: manifest }
}
