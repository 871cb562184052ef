// How an attempt failed whose runner ended before it did, in words: the same for every executor.
import type { CancelReason, ErrorReport } from './protocol.ts'
import type { RunnerExit } from './runner-process.ts'

/** Why it was to end, within a sentence. */
const reasons: Record<CancelReason, string> = {
  timeout: 'it took longer than its execution timeout',
  run_timeout: "its run took longer than its Dag's dagrunTimeout",
  cancelled: 'it was cancelled',
  shutdown: 'the scheduler shut down',
}

/**
 * @param cancelReason why it was killed, where that was asked for
 * @param options.why what is known beside the exit; default: what it may have been
 * @param options.reason instead of the usual words for `cancelReason`
 */
export function runnerEnded(
  exit: RunnerExit,
  cancelReason: CancelReason | null,
  options: { why?: string | undefined; reason?: string } = {},
): ErrorReport {
  if (cancelReason !== null) {
    return {
      name: 'AttemptKilled',
      message: `the attempt was killed after its grace period: ${options.reason ?? reasons[cancelReason]}`,
      stack: null,
    }
  }
  const how = exit.signal === null ? `with exit code ${exit.code}` : `by ${exit.signal}`
  const why = options.why ?? 'the task ended it, it ran out of memory, or somebody killed it'
  return {
    name: 'TaskRunnerEnded',
    message: `the process that ran the attempt ended ${how} before the task did: ${why}`,
    stack: null,
  }
}
