// Keeps a scheduler's lease: renews it several times within its length, and hands on what each renewal saw. It
// also judges whether this scheduler may take over others: only after it has itself renewed its lease without a gap
// for a whole length. After an outage of Postgres every lease has run out, and whoever comes back first must not
// take the runs of those who are about to.
import { setTimeout as delay } from 'node:timers/promises'
import { DatabaseUnavailableError, messageOf } from '../runtime/errors.ts'
import type { Logger } from '../runtime/log.ts'
import type { Queryable } from './database/connection.ts'
import { type Beat, beat } from './database/scheduler-lease.ts'

/** Renewals within one length of the lease: several may fail or come late before it is lost. */
const beatsPerLease = 5

export interface LeaseKeeper {
  start(): void
  /** Whether leases that have run out may be taken over. */
  mayTakeOver(): boolean
  /** Whether the lease was renewed so lately that nobody can have taken it over. */
  isHeld(): boolean
  /** Since the loop last began a turn, whether that renewed or found Postgres away. One that grows hangs. */
  turnedMs(): number
  stop(): Promise<void>
}

/** @param deps.onLost the lease is gone: another scheduler has the runs. Called once. */
export function createLeaseKeeper(deps: {
  db: Queryable
  schedulerId: number
  leaseTtlMs: number
  onBeat: (beat: Beat) => void
  onLost: () => void
  log: Logger
}): LeaseKeeper {
  const { db, schedulerId, leaseTtlMs, log } = deps
  const beatMs = Math.max(20, Math.floor(leaseTtlMs / beatsPerLease))
  const stopping = new AbortController()
  let heldSince = performance.now()
  let renewedAt = performance.now()
  /** Before the newest renewal was asked for: the lease runs at least its length from here. */
  let askedAt = performance.now()
  let turnedAt = performance.now()
  let isAway = false
  let running: Promise<void> | undefined

  async function renew(): Promise<void> {
    const sentAt = performance.now()
    const seen = await beat(db, schedulerId, leaseTtlMs)
    if (stopping.signal.aborted) return
    if (seen === null) {
      stopping.abort()
      deps.onLost()
      return
    }
    const now = performance.now()
    // Whoever else is late for the same reason needs as long as this one to come back.
    if (isAway || now - renewedAt > leaseTtlMs / 2) heldSince = now
    renewedAt = now
    askedAt = sentAt
    if (isAway) log.info('postgres is back')
    isAway = false
    deps.onBeat(seen)
  }

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      turnedAt = performance.now()
      try {
        await renew()
      } catch (error) {
        if (!(error instanceof DatabaseUnavailableError))
          log.error({ err: error }, 'lease could not be renewed')
        else if (!isAway) log.warn({ error: messageOf(error) }, 'postgres is away, everything waits for it')
        isAway = true
      }
      await delay(beatMs, undefined, { signal: stopping.signal }).catch(() => {})
    }
  }
  return {
    start() {
      running = run()
    },
    mayTakeOver: () => performance.now() - heldSince >= leaseTtlMs,
    isHeld: () => !stopping.signal.aborted && performance.now() - askedAt < leaseTtlMs,
    turnedMs: () => performance.now() - turnedAt,
    async stop() {
      stopping.abort()
      await running
    },
  }
}
