// What one subscriber has not looked at yet. It is a set and not a queue: however slow the subscriber is, it gets the
// newest state of what changed, and what it holds up is no more than the ids.
import type { ChangeFeed } from './change-feed.ts'

export interface Pending {
  dagRunIds: Set<number>
  dags: boolean
  /** Anything may have changed. */
  missed: boolean
}

export interface PendingChanges extends Disposable {
  /** Waits until something is pending, the signal fires, or the time is over. */
  wait(timeoutMs: number): Promise<void>
  isEmpty(): boolean
  /** All that is pending; from now on nothing is. */
  take(): Pending
  /** Puts back what could not be dealt with. */
  giveBack(pending: Pending): void
}

const nothing = (): Pending => ({ dagRunIds: new Set(), dags: false, missed: false })

/** Collects from now on, until it is disposed. */
export function collectChanges(feed: ChangeFeed, signal: AbortSignal): PendingChanges {
  let pending = nothing()
  let wake = (): void => {}
  const isEmpty = () => pending.dagRunIds.size === 0 && !pending.dags && !pending.missed

  const unsubscribe = feed.subscribe((change) => {
    if (change.type === 'runs') for (const id of change.dagRunIds) pending.dagRunIds.add(id)
    else pending[change.type] = true
    wake()
  })
  const onAbort = () => wake()
  signal.addEventListener('abort', onAbort)

  return {
    isEmpty,
    wait(timeoutMs) {
      if (signal.aborted || !isEmpty()) return Promise.resolve()
      return new Promise((resolve) => {
        const timer = setTimeout(() => wake(), timeoutMs)
        wake = () => {
          clearTimeout(timer)
          wake = () => {}
          resolve()
        }
      })
    },
    take() {
      const taken = pending
      pending = nothing()
      return taken
    },
    giveBack(taken) {
      for (const id of taken.dagRunIds) pending.dagRunIds.add(id)
      pending.dags ||= taken.dags
      pending.missed ||= taken.missed
    },
    [Symbol.dispose]() {
      unsubscribe()
      signal.removeEventListener('abort', onAbort)
    },
  }
}
