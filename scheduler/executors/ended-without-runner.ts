// The end of an attempt that no task runner reports: it never began, or what ran it is gone.
import type { ErrorReport } from '../../runtime/task-runner/protocol.ts'
import type { ExecutorReport } from './executor.ts'

/** It failed with `error`, now, and may be retried. */
export function endedWithoutRunner(
  attempt: { attempt_id: string; token: string },
  error: ErrorReport,
): Extract<ExecutorReport, { type: 'finish' }> {
  const now = Date.now()
  return {
    type: 'finish',
    attempt_id: attempt.attempt_id,
    token: attempt.token,
    state: 'failed',
    retryable: true,
    result: null,
    error,
    exit_code: null,
    start_ms: now,
    end_ms: now,
    hostname: null,
    pid: null,
  }
}
