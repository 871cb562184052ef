// The executor interface: how a scheduler hands committed attempts to whatever runs them. Small on purpose; an
// executor decides nothing about a run. What it is told may be told again after a restart; what it reports is
// checked against the attempt's token, so a report of an attempt that is no longer current changes nothing.

import type { AttemptPlace } from '../../runtime/log-line.ts'
import type { DagManifest, TaskManifest } from '../../runtime/manifest.ts'
import type {
  AttemptOrder,
  CancelReason,
  ErrorReport,
  FinishReport,
} from '../../runtime/task-runner/protocol.ts'

export interface DispatchOrder {
  order: AttemptOrder
  dagRunId: number
  /** Of the run's version. */
  dag: DagManifest
  task: TaskManifest
}

export type ExecutorReport =
  | { type: 'start'; attempt_id: string; token: string; start_ms: number; hostname: string; pid: number }
  | (Omit<FinishReport, 'reusable'> & {
      hostname: string | null
      pid: number | null
      /** The cluster failed it, not the task; absent: the task did, or nothing failed. */
      isInfrastructure?: boolean
    })

/** An attempt that was committed by a scheduler that is gone. */
export interface Orphan {
  attempt_id: string
  token: string
  dag_run_id: number
  place: AttemptPlace
  task: TaskManifest
  log_path: string
  /** What it was dispatched with. */
  order: () => AttemptOrder
}

export type Adoption =
  /** It never began anywhere: dispatch it again, it is the same attempt. */
  | { attempt_id: string; fate: 'not_begun' }
  /** It goes on. Nothing of it is reported before `follow` is called, which is done once its run can take reports. */
  | { attempt_id: string; fate: 'running'; follow: () => void }
  /** It ended, and this is how. */
  | { attempt_id: string; fate: 'finished'; report: Extract<ExecutorReport, { type: 'finish' }> }
  /** It began and does not run any more. */
  | { attempt_id: string; fate: 'lost'; error: ErrorReport }

export interface Executor {
  /** What a task's `executor` option names. */
  readonly name: string
  start(): Promise<void>
  /** Takes any number of attempts and returns at once; what goes wrong is reported as a failed finish. */
  dispatch(orders: readonly DispatchOrder[]): void
  /** Ends an attempt: not begun: reported as failed at once; running: signal, grace, kill. Unknown: nothing. */
  cancel(attemptId: string, reason: CancelReason): void
  /**
   * Makes sure that no attempt of a scheduler that is gone runs unseen, and says what became of each.
   * May be called again for the same scheduler.
   */
  adopt(schedulerId: number, orphans: readonly Orphan[]): Promise<Adoption[]>
  /**
   * Ends what runs (signal, `graceMs`, kill), reporting each end, and then itself. What has not begun is left
   * unreported: it stays queued, and the next scheduler dispatches it.
   */
  stop(graceMs: number): Promise<void>
}
