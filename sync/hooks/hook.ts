// When a hook is run: once for each commit, with the newest one first. A hook that is behind skips what came in
// between; one that fails is run again after its backoff, with what is newest by then, for ever. What it does is
// in exechook.ts and webhook.ts; that a failure is nobody's but the hook's is decided here.
import { setTimeout as sleep } from 'node:timers/promises'
import { messageOf } from '../../runtime/errors.ts'
import type { CommitSha } from '../../runtime/ids.ts'
import type { Logger } from '../../runtime/log.ts'
import { maxTimerMs } from '../deadline.ts'
import type { CallStatus, HookName } from '../http/sync-metrics.ts'

/** What the one attempt of a one-time sync came to. */
export type HookOutcome = 'success' | 'failed'

export interface Hook {
  /** A commit to run for; returns at once. May be called for each sync, also with the same commit. */
  send(commit: CommitSha): void
  /** The commit that it succeeded for is run again when it is next sent: its worktree was repaired. */
  reset(): void
  /** The outcome of the first attempt; `success` at once where nothing was sent yet. */
  settled(): Promise<HookOutcome>
  /** Ends what runs and what waits; resolves when nothing of it runs any more. May be called twice. */
  stop(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/**
 * @param deps.run does it once; ends early by the signal, whose abort is no failure
 * @param deps.backoffMs from a failure to the next attempt
 * @param deps.isOneTime one attempt, whatever comes of it
 * @param deps.onRun told after each attempt
 * @param deps.onError told of each failure after it was logged, for the error file
 */
export function createHook(deps: {
  name: HookName
  run: (commit: CommitSha, signal: AbortSignal) => Promise<void>
  backoffMs: number
  isOneTime: boolean
  log: Logger
  onRun: (status: CallStatus) => void
  onError?: (error: unknown, message: string) => Promise<void>
}): Hook {
  const { log } = deps
  const stopping = new AbortController()
  const first = Promise.withResolvers<HookOutcome>()
  let newest: CommitSha | undefined
  let succeeded: CommitSha | undefined
  let isPending = false
  let isWorking = false
  let resets = 0
  let attempts = 0
  let working: Promise<void> = Promise.resolve()

  async function attempt(commit: CommitSha): Promise<HookOutcome | 'stopped'> {
    attempts += 1
    try {
      await deps.run(commit, stopping.signal)
    } catch (error) {
      if (stopping.signal.aborted) return 'stopped'
      log.error(
        { error: messageOf(error), hash: commit, ...(!deps.isOneTime && { retry_ms: deps.backoffMs }) },
        'hook failed',
      )
      deps.onRun('error')
      await deps.onError?.(error, 'hook failed')
      return 'failed'
    }
    deps.onRun('success')
    return 'success'
  }

  async function work(): Promise<void> {
    isWorking = true
    while (isPending && !stopping.signal.aborted) {
      isPending = false
      const commit = newest!
      if (commit === succeeded) break
      const resetsBefore = resets
      const outcome = await attempt(commit)
      first.resolve(outcome === 'stopped' ? 'failed' : outcome)
      if (deps.isOneTime || outcome === 'stopped') break
      // A reset that came meanwhile is about files that this run may have read before their repair.
      if (outcome === 'success' && resets === resetsBefore) succeeded = commit
      if (outcome === 'failed') {
        await sleep(Math.min(deps.backoffMs, maxTimerMs), undefined, { signal: stopping.signal }).catch(
          () => {},
        )
        isPending = true
      }
    }
    isWorking = false
  }

  const stop = async (): Promise<void> => {
    stopping.abort(new Error('sync is stopping'))
    await working
    first.resolve('failed')
  }

  return {
    send: (commit) => {
      if (stopping.signal.aborted || (deps.isOneTime && attempts > 0)) return
      newest = commit
      isPending = true
      if (!isWorking) working = work()
    },
    reset: () => {
      resets += 1
      succeeded = undefined
    },
    settled: () => (newest === undefined ? Promise.resolve('success') : first.promise),
    stop,
    [Symbol.asyncDispose]: stop,
  }
}
