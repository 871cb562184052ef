// Commits what was decided, one commit at a time: while one is under way, what comes gathers for the next, so the
// busier it is the more each commit carries, and an idle one commits at once. A database that is away is waited
// for; the same commit is made again under the same number, because its answer alone may have been lost.
import { setTimeout as delay } from 'node:timers/promises'
import { DatabaseUnavailableError, messageOf } from '../../runtime/errors.ts'
import type { Logger } from '../../runtime/log.ts'
import { type CommitRefusal, commitChanges, commitRefusal } from '../database/commit-changes.ts'
import type { Connection, Database } from '../database/connection.ts'
import { createPendingBatch, type PendingBatch } from './change-batch.ts'

/** Starts alone wait so long for company: most tasks are over by then, and one write tells both. */
const startDelayMs = 10
const retryCommitMinMs = 50
const retryCommitMaxMs = 1_000

export interface CommitLoop {
  /** Opens its connection. @throws DatabaseUnavailableError */
  start(): Promise<void>
  /** What the next commit will carry; call `added` after adding to it. */
  pending(): PendingBatch
  added(): void
  /** What was added came as early as this: it counts as uncommitted since then. */
  holdsSince(at: number): void
  /** Milliseconds since the epoch: everything that was added before is committed. */
  committedUntil(): number
  /** True after a refusal or a stop: nothing that is added will be committed. */
  isOver(): boolean
  /** Commits what is pending and closes; gives up on a database that is away after `timeoutMs`. */
  stop(timeoutMs: number): Promise<void>
}

export function createCommitLoop(deps: {
  db: Database
  schedulerId: number
  leaseTtlMs: number
  /** After each commit, in their order; the next may be under way by then. */
  onMade: (batch: PendingBatch) => void
  /** The lease is lost, or rows are not as they were left: nothing more is committed. Called once. */
  onRefused: (refusal: CommitRefusal, error: unknown) => void
  log: Logger
}): CommitLoop {
  const { db, schedulerId, leaseTtlMs, log } = deps
  let pending = createPendingBatch()
  let pendingSince: number | undefined
  let underWaySince: number | undefined
  let commitNumber = 0
  let connection: Connection | undefined
  let isCommitting = false
  let isKicked = false
  let isOver = false
  let startTimer: NodeJS.Timeout | undefined

  function kick(): void {
    if (isKicked || isCommitting) return
    isKicked = true
    // After everything that this turn of the event loop brings: reports come in chunks.
    setImmediate(() => {
      isKicked = false
      void commitPending()
    })
  }

  async function commitPending(): Promise<void> {
    if (isCommitting) return
    isCommitting = true
    let made: PendingBatch | undefined
    while (!isOver && pendingSince !== undefined) {
      const batch = takePending()
      const isMade = commitUntilMade(batch)
      // While Postgres works on this one, the one before is acted on: together they take the longer of both.
      if (made) deps.onMade(made)
      made = undefined
      if (!(await isMade)) break
      underWaySince = undefined
      if (pendingSince === undefined) deps.onMade(batch)
      else made = batch
    }
    isCommitting = false
  }

  function takePending(): PendingBatch {
    const batch = pending
    underWaySince = pendingSince
    pending = createPendingBatch()
    pendingSince = undefined
    batch.changes.started = [...batch.started.values()]
    commitNumber += 1
    return batch
  }

  /** @returns false where it was refused, or the loop was stopped while the database was away */
  async function commitUntilMade(batch: PendingBatch): Promise<boolean> {
    let waitMs = retryCommitMinMs
    for (;;) {
      try {
        connection ??= await connect()
        await commitChanges(connection, { schedulerId, commitNumber, leaseTtlMs, batch: batch.changes })
        if (waitMs > retryCommitMinMs) log.info('postgres is back, waiting changes are committed')
        return true
      } catch (error) {
        if (isOver) return false
        if (!(error instanceof DatabaseUnavailableError)) {
          isOver = true
          deps.onRefused(commitRefusal(error) ?? 'inconsistent', error)
          return false
        }
        if (waitMs === retryCommitMinMs) {
          log.warn({ error: messageOf(error) }, 'postgres is away, changes wait for it')
        }
        void connection?.close()
        connection = undefined
        await delay(waitMs)
        if (isOver) return false
        waitMs = Math.min(waitMs * 2, retryCommitMaxMs)
      }
    }
  }

  const connect = (): Promise<Connection> =>
    db.connect(() => {
      connection = undefined
    })

  return {
    async start() {
      // Postgres may be away by now; the first commit waits for it.
      connection = await connect().catch(() => undefined)
    },
    pending: () => pending,
    added() {
      pendingSince ??= Date.now()
      if (pending.isUrgent) kick()
      else {
        startTimer ??= setTimeout(() => {
          startTimer = undefined
          kick()
        }, startDelayMs)
      }
    },
    holdsSince(at) {
      if (pendingSince !== undefined) pendingSince = Math.min(pendingSince, at)
    },
    // What is pending may have come before what is under way: see holdsSince.
    committedUntil: () => Math.min(underWaySince ?? Date.now(), pendingSince ?? Date.now()),
    isOver: () => isOver,
    async stop(timeoutMs) {
      const deadline = Date.now() + timeoutMs
      clearTimeout(startTimer)
      kick()
      while (!isOver && (isCommitting || isKicked || pendingSince !== undefined) && Date.now() < deadline) {
        await delay(2)
      }
      isOver = true
      await connection?.close()
    },
  }
}
