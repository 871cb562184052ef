// What a scheduler says to the process that runs the callbacks of one attempt, and what that one answers: one JSON object
// a line, inward on file descriptor 3 and outward on 4, outward with synchronous writes. One call at a time.
import type { V1Pod } from '../kubernetes-types.ts'
import type { LogLine } from '../log-line.ts'
import type { PodCallbackName } from '../pod-callback-names.ts'
import type { AttemptOrder, ErrorReport } from '../task-runner/protocol.ts'

export { ordersFd, reportsFd } from '../task-runner/protocol.ts'

/** The attempt whose callbacks run. Its token stays where attempts are reported. */
export type CallbackAttempt = Omit<AttemptOrder, 'token' | 'log_path'>

export interface CallbackCall {
  /** Its number; the answer has it. */
  call: number
  name: PodCallbackName
  /** Which of the functions with that name, 0 for the first. */
  index: number
  pod: V1Pod | null
  /** Of `progressCallback`. */
  line?: string
  container?: string
  /** After so long its signal fires. */
  timeout_ms: number
}

export type CallbackOrder = { type: 'begin'; attempt: CallbackAttempt } | ({ type: 'call' } & CallbackCall)

export type CallbackReport =
  | { type: 'line'; line: LogLine }
  | { type: 'began'; call: number }
  /**
   * @property error null: it returned
   * @property is_last nothing more is called in this process, which ends
   */
  | { type: 'done'; call: number; error: ErrorReport | null; is_last: boolean }
