// What was decided since the last commit, in the shape that the commit writes, and what to do when it is made.
import { attemptId, notMapped } from '../../runtime/ids.ts'
import type { ErrorReport } from '../../runtime/task-runner/protocol.ts'
import { type ChangeBatch, emptyChangeBatch, type StartedChange } from '../database/commit-changes.ts'
import type { Change } from '../decide/decide.ts'
import { executorOf } from '../executors/executor-of.ts'
import { type LeasedRun, newToken } from './leased-run.ts'

/** Done after the commit, in this order: what was decided first is acted on first. */
export type Act =
  | { type: 'dispatch'; run: LeasedRun; task: number; tryNumber: number }
  | { type: 'cancel_attempt'; attemptId: string; reason: 'cancelled' | 'run_timeout' }
  | { type: 'retry'; run: LeasedRun; task: number; at: number }
  | { type: 'release'; run: LeasedRun }

/** What an attempt's report says beside the change of state that it means. */
export interface AttemptReport {
  startMs: number
  endMs: number
  hostname: string | null
  pid: number | null
  exitCode: number | null
  error: ErrorReport | null
  result: string | null
}

export interface PendingBatch {
  readonly changes: ChangeBatch
  readonly acts: Act[]
  /** How many changes of each run are in it. */
  readonly runs: Map<LeasedRun, number>
  /** Starts not known to have ended; a finish in the same batch takes its place. */
  readonly started: Map<string, StartedChange>
  /** Anything that somebody waits for; starts alone are written a little later, with what comes. */
  isUrgent: boolean
}

export function createPendingBatch(): PendingBatch {
  return {
    changes: emptyChangeBatch(),
    acts: [],
    runs: new Map(),
    started: new Map(),
    isUrgent: false,
  }
}

const iso = (ms: number) => new Date(ms).toISOString()

/**
 * Adds what one event changed in `run`.
 * @param report of the event, where it was an attempt's
 */
export function addChanges(
  batch: PendingBatch,
  run: LeasedRun,
  changes: readonly Change[],
  context: { defaultExecutor: string; report?: AttemptReport },
): void {
  const { dag_run_id } = run.row
  const { tasks } = run.version.graph
  const { report } = context
  for (const change of changes) {
    if (change.type !== 'start') batch.isUrgent = true
    if (change.type === 'run') {
      batch.changes.runs.push({ dag_run_id, state: change.state })
      if (change.state !== 'running') batch.acts.push({ type: 'release', run })
      continue
    }
    const task = tasks[change.task]!
    const key = { dag_run_id, task_id: task.task_id, map_index: notMapped }
    switch (change.type) {
      case 'queue': {
        const token = newToken()
        const { tryNumber, maxTries, from } = change
        run.attempts.set(change.task, { token, tryNumber })
        const queued = {
          ...key,
          try_number: tryNumber,
          max_tries: maxTries,
          token,
          executor: executorOf(task, context.defaultExecutor),
        }
        const again = { from_state: from, infrastructure_retries: change.infrastructureRetries }
        if (change.hasRow) batch.changes.queuedAgain.push({ ...queued, ...again })
        else batch.changes.queuedNew.push(queued)
        batch.acts.push({ type: 'dispatch', run, task: change.task, tryNumber })
        break
      }
      case 'start': {
        const started = {
          ...key,
          try_number: change.tryNumber,
          start_date: iso(report!.startMs),
          hostname: report!.hostname,
          pid: report!.pid,
        }
        batch.started.set(attemptId(dag_run_id, task.task_id, notMapped, change.tryNumber), started)
        break
      }
      case 'finish': {
        const id = attemptId(dag_run_id, task.task_id, notMapped, change.tryNumber)
        // A start that was not committed is left out: the row still says queued.
        const wasStartPending = batch.started.delete(id)
        const nextTryAt = change.retryDelayMs === null ? null : report!.endMs + change.retryDelayMs
        run.attempts.delete(change.task)
        batch.changes.finished.push({
          ...key,
          try_number: change.tryNumber,
          from_state: wasStartPending ? 'queued' : change.from,
          to_state: change.to,
          attempt_state: change.attemptState,
          start_date: iso(report!.startMs),
          end_date: iso(report!.endMs),
          next_try_at: nextTryAt === null ? null : iso(nextTryAt),
          hostname: report!.hostname,
          pid: report!.pid,
          exit_code: report!.exitCode,
          error: report!.error,
          result: report!.result,
          max_tries: change.maxTries,
          infrastructure_retries: change.infrastructureRetries,
        })
        if (nextTryAt !== null) batch.acts.push({ type: 'retry', run, task: change.task, at: nextTryAt })
        break
      }
      case 'set': {
        const { from, to, maxTries, infrastructureRetries, hasRow } = change
        const budget = { max_tries: maxTries, infrastructure_retries: infrastructureRetries }
        if (hasRow) batch.changes.decided.push({ ...key, from_state: from, to_state: to, ...budget })
        else batch.changes.decidedNew.push({ ...key, state: to, max_tries: maxTries })
        break
      }
      case 'cancel_attempt':
        batch.acts.push({
          type: 'cancel_attempt',
          attemptId: attemptId(dag_run_id, task.task_id, notMapped, change.tryNumber),
          reason: change.reason,
        })
        break
    }
  }
  batch.runs.set(run, (batch.runs.get(run) ?? 0) + changes.length)
  run.uncommitted += changes.length
}
