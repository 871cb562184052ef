// The loop around syncOnce: when a pass is made, how long it may take, how many may fail. A wake during a pass
// is remembered as one more pass, however many there were: each pass reads the present, so one is enough.
import { GitError } from '../runtime/errors.ts'
import type { PassReason, SyncResult } from './sync-once.ts'

/**
 * The root is checked whole (`git fsck`) after this long, though nothing failed. Shorter: an idle sync is not
 * idle. Longer: damage to the disk that no poll sees stays that much longer.
 */
const checkIntervalMs = 30 * 60_000

/** Why the loop ended by itself. */
export type LoopEnd = 'one_time' | 'too_many_failures' | 'stopped'

export interface SyncLoop {
  /** Begins; resolves when the loop has ended, by itself or by `stop`. Call once. */
  start(): Promise<LoopEnd>
  /** A pass at once, or right after the one that runs. */
  wake(): void
  /** Ends the pass that runs, with its git processes, and the loop. May be called twice. */
  stop(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/**
 * @param deps.pass one sync; the signal ends it, by its timeout or by `stop`
 * @param deps.onSuccess after each pass that succeeded, before the next may begin
 * @param deps.onFailure after each that failed; `isLast` where the loop gives up
 * @param deps.maxFailures consecutive failures that end the loop; 0 is as 1; negative: none do
 * @param deps.isFinal whether after this result nothing can ever be new (the ref is a commit)
 */
export function createSyncLoop(deps: {
  pass: (reason: PassReason, signal: AbortSignal) => Promise<SyncResult>
  periodMs: number
  timeoutMs: number
  maxFailures: number
  oneTime: boolean
  isFinal: (result: SyncResult) => boolean
  onSuccess: (result: SyncResult, signal: AbortSignal) => Promise<void>
  onFailure: (error: unknown, failures: number, isLast: boolean) => Promise<void>
}): SyncLoop {
  const stopping = new AbortController()
  let running: Promise<LoopEnd> | undefined
  let isWoken = false
  let endWait: (() => void) | undefined

  /** Until the period is over or somebody wakes; then why the next pass is made. */
  const wait = async (isForEver: boolean): Promise<PassReason> => {
    if (!isWoken && !stopping.signal.aborted) {
      let timer: NodeJS.Timeout | undefined
      await new Promise<void>((resolve) => {
        endWait = resolve
        timer = setTimeout(resolve, isForEver ? maxTimerMs : deps.periodMs)
      })
      clearTimeout(timer)
      endWait = undefined
    }
    const reason = isWoken ? 'wake' : 'poll'
    isWoken = false
    return reason
  }

  const run = async (): Promise<LoopEnd> => {
    let failures = 0
    let checkedAt = Number.NEGATIVE_INFINITY
    let reason: PassReason = 'check'
    let isDone = false
    while (!stopping.signal.aborted) {
      if (performance.now() - checkedAt > checkIntervalMs && reason !== 'wake') reason = 'check'
      const deadline = deadlineOf(deps.timeoutMs)
      const signal = AbortSignal.any([stopping.signal, deadline.signal])
      try {
        const result = await deps.pass(reason, signal)
        failures = 0
        if (reason === 'check') checkedAt = performance.now()
        await deps.onSuccess(result, signal)
        if (deps.oneTime) return 'one_time'
        isDone = deps.isFinal(result)
      } catch (error) {
        if (stopping.signal.aborted) break
        failures += 1
        checkedAt = Number.NEGATIVE_INFINITY
        const isLast = deps.maxFailures >= 0 && failures >= deps.maxFailures
        await deps.onFailure(error, failures, isLast)
        if (isLast) return 'too_many_failures'
      } finally {
        deadline.clear()
      }
      reason = await wait(isDone)
      if (failures > 0) reason = 'check'
    }
    return 'stopped'
  }

  const stop = async (): Promise<void> => {
    stopping.abort(new Error('sync is stopping'))
    endWait?.()
    await running
  }
  return {
    start: () => {
      running ??= run()
      return running
    },
    wake: () => {
      isWoken = true
      endWait?.()
    },
    stop,
    [Symbol.asyncDispose]: stop,
  }
}

/** The longest that a timer can wait, 24.8 days; a pass then is harmless. */
const maxTimerMs = 2 ** 31 - 1

function deadlineOf(timeoutMs: number): { signal: AbortSignal; clear: () => void } {
  const controller = new AbortController()
  const reason = new GitError(
    `the sync took longer than --sync-timeout (${timeoutMs} ms) and was ended. Check that the server answers, or raise the timeout for a large repository`,
    { details: { kind: 'timeout', timeout_ms: timeoutMs } },
  )
  const timer = setTimeout(() => controller.abort(reason), Math.min(timeoutMs, maxTimerMs))
  return { signal: controller.signal, clear: () => clearTimeout(timer) }
}
