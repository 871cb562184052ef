// The task execution interface as messages: what a scheduler says to a task runner and what the runner reports.
// A local runner speaks it as one JSON object a line, inward on file descriptor 3 and outward on 4. Outward
// writes are synchronous, so that a `start` has left the process before the task's code runs, and everything
// that an attempt logged is in its file before its `finish` leaves. Keys are spelled as in JSON and SQL.
//
// Each `start` and `finish` is also appended to the runner's journal file, before it is sent: when a scheduler dies,
// the next one learns from the journals which attempts never began, which were running, and how those ended
// whose outcome was not committed yet.
//
// Every report carries the attempt's token. A report whose token is not that of the current attempt is refused
// by the scheduler and changes nothing.
import type { AttemptState, RunType } from '../states.ts'

/** File descriptors of a local runner. */
export const ordersFd = 3
export const reportsFd = 4

/** What an attempt needs to know; all of it is committed before it is sent. */
export interface AttemptOrder {
  attempt_id: string
  token: string
  dag_id: string
  run_id: string
  task_id: string
  map_index: number
  /** 1 for the first. */
  try_number: number
  /** retries + 1. */
  max_tries: number
  run_type: RunType
  /** ISO 8601, UTC; null for a manual run without one. */
  logical_date: string | null
  data_interval_start: string | null
  data_interval_end: string | null
  /** JSON text of the run's params, the Dag's defaults already merged in. */
  params: string
  /** Input name → JSON text of the upstream task's result; undefined results are absent. */
  inputs: Record<string, string>
  /** SHA-256 of the bundle, and the file that has it. */
  bundle_hash: string
  bundle_path: string
  /** Directory of the run's commit: the task's working directory and base of `import.meta.dirname`. */
  source_path: string
  commit_sha: string | null
  /** File to which the attempt's lines are appended; its directory may not exist yet. */
  log_path: string
  execution_timeout_ms: number | null
}

export type RunnerOrder =
  /**
   * Run these, in this order, one at a time, after those already given.
   * @property xcom_max_bytes from now on instead of the one in the settings
   */
  | { type: 'run'; attempts: AttemptOrder[]; xcom_max_bytes?: number }
  /**
   * Abort the signal of the running attempt with `reason`; nothing where it is not the running one.
   * @property message of the signal's reason, instead of the usual one for `reason`
   */
  | { type: 'cancel'; attempt_id: string; reason: CancelReason; message?: string }
  /** Give back those of these that have not begun; answered by `revoked`. */
  | { type: 'revoke'; attempt_ids: string[] }

/** Why an attempt's AbortSignal fired. */
export type CancelReason = 'timeout' | 'run_timeout' | 'cancelled' | 'shutdown'

/** An error as it stands in the database: the stack names lines of the user's own files. */
export interface ErrorReport {
  name: string
  message: string
  stack: string | null
}

export interface FinishReport {
  type: 'finish'
  attempt_id: string
  token: string
  state: Extract<AttemptState, 'success' | 'failed' | 'skipped'>
  /** False where the error says 'fail, do not retry'. */
  retryable: boolean
  /** JSON text of the result; null where the task returned undefined. */
  result: string | null
  error: ErrorReport | null
  /** Of a bash task's command. */
  exit_code: number | null
  /** Milliseconds since the epoch, by the runner's clock. */
  start_ms: number
  end_ms: number
  /** False: the runner is in doubt of itself (leaked handles, size, age) and is to be replaced. */
  reusable: boolean
}

export type RunnerReport =
  /** The runner accepts orders. Sent once. */
  | { type: 'ready'; pid: number }
  | { type: 'start'; attempt_id: string; token: string; start_ms: number }
  /** Sent every heartbeat interval while an attempt runs and the event loop turns. */
  | { type: 'heartbeat'; attempt_id: string; token: string }
  /** These had not begun and never will in this runner. */
  | { type: 'revoked'; attempt_ids: string[] }
  | FinishReport

/** How a runner is to behave; the scheduler passes it as one JSON argument. */
export interface RunnerSettings {
  /** Directory of this runner alone, with its `output` (file descriptors 1 and 2) and its `journal`. */
  directory: string
  heartbeat_interval_ms: number
  /** After so many attempts the runner asks to be replaced. */
  max_attempts: number
  /** Above this resident size it asks to be replaced. */
  max_rss_mb: number
  /** A result whose JSON is longer fails its attempt. */
  xcom_max_bytes: number
}
