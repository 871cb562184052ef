// Knows whether an attempt has ended without asking Postgres at every look: only after its run changed, or after a
// while, since a notification may be lost.
import { DatabaseUnavailableError } from '../../runtime/errors.ts'
import type { Queryable } from '../../scheduler/database/connection.ts'
import { readAttemptEnded } from '../../scheduler/database/queries/read-attempt-ended.ts'
import type { AttemptKey } from '../../scheduler/database/queries/read-attempts.ts'
import type { ChangeFeed } from './live/change-feed.ts'

/** Longer: after a lost notification, a follower waits for so long at an ended attempt. */
const askAgainMs = 1_000

export interface AttemptEnd extends Disposable {
  /** False also while Postgres is away: a follower goes on with the file. */
  hasEnded(): Promise<boolean>
}

/** Dispose it when nobody asks any more. */
export function watchAttemptEnd(
  deps: { db: Queryable; feed: ChangeFeed },
  key: AttemptKey,
  tryNumber: number,
): AttemptEnd {
  let askedAt = Number.NEGATIVE_INFINITY
  const unsubscribe = deps.feed.subscribe((change) => {
    if (change.type === 'missed' || (change.type === 'runs' && change.dagRunIds.includes(key.dag_run_id))) {
      askedAt = Number.NEGATIVE_INFINITY
    }
  })
  return {
    async hasEnded() {
      const now = performance.now()
      if (now - askedAt < askAgainMs) return false
      askedAt = now
      try {
        return await readAttemptEnded(deps.db, key, tryNumber)
      } catch (error) {
        if (error instanceof DatabaseUnavailableError) return false
        throw error
      }
    },
    [Symbol.dispose]: unsubscribe,
  }
}
