// Hears what changed, once for the whole server, from Postgres' NOTIFY. What is heard only says where to look; and
// whenever hearing was interrupted, listeners are told that they may have missed something.
import { setTimeout as sleep } from 'node:timers/promises'
import { messageOf } from '../../../runtime/errors.ts'
import type { Logger } from '../../../runtime/log.ts'
import type { Connection, Database } from '../../../scheduler/database/connection.ts'
import { changesChannel, dagsChanged } from '../../../scheduler/database/notifications.ts'

type Change =
  | { type: 'runs'; dagRunIds: readonly number[] }
  | { type: 'dags' }
  /** Anything may have changed. */
  | { type: 'missed' }

export interface ChangeFeed extends AsyncDisposable {
  /** Begins to listen, and goes on trying while Postgres is away. */
  start(): void
  stop(): Promise<void>
  /** Calls back for each change until the returned function is called. */
  subscribe(listener: (change: Change) => void): () => void
}

/** Shorter: a dead Postgres costs CPU. Longer: live views stand still for longer after it is back. */
const reconnectMs = 250

export function createChangeFeed({ db, log }: { db: Database; log: Logger }): ChangeFeed {
  const listeners = new Set<(change: Change) => void>()
  const stopping = new AbortController()
  let running: Promise<void> | undefined

  const tell = (change: Change): void => {
    for (const listener of listeners) listener(change)
  }

  /** Until the connection is lost. */
  async function hear(onListening: () => void): Promise<void> {
    const lost = Promise.withResolvers<void>()
    let connection: Connection | undefined
    stopping.signal.addEventListener('abort', () => lost.resolve(), { once: true })
    try {
      connection = await db.listen(
        changesChannel,
        (payload) => tell(changeOf(payload)),
        () => lost.resolve(),
      )
      onListening()
      await lost.promise
    } finally {
      await connection?.close()
    }
  }

  async function run(): Promise<void> {
    let isDeaf = false
    while (!stopping.signal.aborted) {
      try {
        await hear(() => {
          if (isDeaf) log.info('changes are heard again')
          isDeaf = false
          tell({ type: 'missed' })
        })
        if (!stopping.signal.aborted) log.warn('connection for changes was lost')
      } catch (error) {
        if (!isDeaf) log.warn({ reason: messageOf(error) }, 'changes cannot be heard')
      }
      isDeaf = true
      await sleep(reconnectMs, undefined, { signal: stopping.signal }).catch(() => {})
    }
  }

  const stop = async (): Promise<void> => {
    stopping.abort()
    await running
  }
  return {
    start() {
      running ??= run()
    },
    stop,
    subscribe(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    [Symbol.asyncDispose]: stop,
  }
}

/** A payload that is not understood (of a newer scheduler, say) may mean anything. */
function changeOf(payload: string): Change {
  if (payload === dagsChanged) return { type: 'dags' }
  try {
    const dagRunIds: unknown = JSON.parse(payload)
    if (Array.isArray(dagRunIds) && dagRunIds.every(Number.isSafeInteger)) return { type: 'runs', dagRunIds }
  } catch {}
  return { type: 'missed' }
}
