// The time that one sync may take. It does not run while publication waits for the operator's own program, which
// has a limit of its own.
import { GitError } from '../runtime/errors.ts'

/** The longest that a timer can wait, 24.8 days. */
export const maxTimerMs = 2 ** 31 - 1

export interface Deadline {
  /** Aborted when the time is over, or with `stopping`; its reason is told in git's errors. */
  signal: AbortSignal
  /** Runs the work on a stopped clock. */
  suspended<Result>(work: () => Promise<Result>): Promise<Result>
  /** Ends the timer. */
  clear(): void
}

/** @param stopping ends the pass too, whatever time is left */
export function createDeadline(timeoutMs: number, stopping: AbortSignal): Deadline {
  const controller = new AbortController()
  const reason = new GitError(
    `the sync took longer than --sync-timeout (${timeoutMs} ms) and was ended. Check that the server answers, or raise the timeout for a large repository`,
    { details: { kind: 'timeout', timeout_ms: timeoutMs } },
  )
  let leftMs = timeoutMs
  let startedAt = 0
  let timer: NodeJS.Timeout | undefined
  const run = (): void => {
    startedAt = performance.now()
    timer = setTimeout(() => controller.abort(reason), Math.min(leftMs, maxTimerMs))
  }
  const clear = (): void => clearTimeout(timer)
  run()
  return {
    signal: AbortSignal.any([stopping, controller.signal]),
    suspended: async (work) => {
      clear()
      leftMs -= performance.now() - startedAt
      try {
        return await work()
      } finally {
        run()
      }
    },
    clear,
  }
}
