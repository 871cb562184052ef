// The loop around syncOnce: when a pass is made, how long it may take, how many may fail. A wake during a pass
// is remembered as one more pass, however many there were: each pass reads the present, so one is enough.
import { createDeadline, type Deadline, maxTimerMs } from './deadline.ts'
import type { PassReason, SyncResult } from './sync-once.ts'

/**
 * The root is checked whole (`git fsck`) after this long, though nothing failed. Shorter: an idle sync is not
 * idle. Longer: damage to the disk that no poll sees stays that much longer.
 */
const checkIntervalMs = 30 * 60_000

/** Why the loop ended; `refused`: the one sync that was asked for found a commit that may not be published. */
export type LoopEnd = 'one_time' | 'refused' | 'too_many_failures' | 'stopped'

export interface SyncLoop {
  /** Begins; resolves when the loop has ended, by itself or by `stop`. Call once. */
  start(): Promise<LoopEnd>
  /** A pass at once, or right after the one that runs. */
  wake(): void
  /** Ends the pass that runs, with its git processes, and the loop. May be called twice. */
  stop(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/** How often, and how many failures in a row are too many: 0 is as 1; negative: none are. */
export interface Patience {
  periodMs: number
  maxFailures: number
}

/**
 * @param deps.pass one sync; the deadline ends it, by its timeout or by `stop`
 * @param deps.onSuccess after each pass that succeeded, before the next may begin
 * @param deps.onFailure after each that failed; `isLast` where the loop gives up
 * @param deps.initially until the first success
 * @param deps.usually from then on
 * @param deps.isFinal whether after this result nothing can ever be new (the ref is a commit)
 */
export function createSyncLoop(deps: {
  pass: (reason: PassReason, deadline: Deadline) => Promise<SyncResult>
  initially: Patience
  usually: Patience
  timeoutMs: number
  oneTime: boolean
  isFinal: (result: SyncResult) => boolean
  onSuccess: (result: SyncResult, deadline: Deadline) => Promise<void>
  onFailure: (error: unknown, failures: number, isLast: boolean) => Promise<void>
}): SyncLoop {
  const stopping = new AbortController()
  let running: Promise<LoopEnd> | undefined
  let isWoken = false
  let endWait: (() => void) | undefined

  /** Until the period is over or somebody wakes; then why the next pass is made. */
  const wait = async (periodMs: number): Promise<PassReason> => {
    if (!isWoken && !stopping.signal.aborted) {
      let timer: NodeJS.Timeout | undefined
      await new Promise<void>((resolve) => {
        endWait = resolve
        timer = setTimeout(resolve, Math.min(periodMs, maxTimerMs))
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
    let checkedAt = performance.now()
    let reason: PassReason = 'start'
    let patience = deps.initially
    let isDone = false
    while (!stopping.signal.aborted) {
      const deadline = createDeadline(deps.timeoutMs, stopping.signal)
      try {
        const result = await deps.pass(reason, deadline)
        failures = 0
        if (result.commit !== undefined) patience = deps.usually
        if (reason === 'start' || reason === 'check') checkedAt = performance.now()
        await deps.onSuccess(result, deadline)
        if (deps.oneTime) return result.refused === undefined ? 'one_time' : 'refused'
        isDone = deps.isFinal(result)
      } catch (error) {
        if (stopping.signal.aborted) break
        failures += 1
        isDone = false
        const isLast = patience.maxFailures >= 0 && failures >= patience.maxFailures
        await deps.onFailure(error, failures, isLast)
        if (isLast) return 'too_many_failures'
      } finally {
        deadline.clear()
      }
      const woken = await wait(isDone ? maxTimerMs : patience.periodMs)
      const isCheckDue = performance.now() - checkedAt > checkIntervalMs && woken !== 'wake'
      if (failures === 0) reason = isCheckDue ? 'check' : woken
      // A process that has not succeeded yet trusts nothing, however often it tried.
      else if (reason !== 'start') reason = 'check'
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
