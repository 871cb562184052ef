// What a watch has heard, until whoever applies it has committed it. One batch at a time; what comes meanwhile is
// gathered, the newest word on each pod, so that memory is bounded by the number of pods however slow the database is.
// A batch whose commit failed is offered again: the stored resourceVersion never runs ahead of what is stored.
import { setTimeout as delay } from 'node:timers/promises'
import type { Clock } from '../runtime/clock.ts'
import { messageOf } from '../runtime/errors.ts'
import type { Logger } from '../runtime/log.ts'
import { backoffMs } from './backoff.ts'

/** The newest word on one pod. `deleted`: it is not there any more, and `pod` is what was seen last. */
export interface PodEvent<Summary> {
  type: 'present' | 'deleted'
  pod: Summary
}

/** What is to be committed together with its `resourceVersion`. */
export type PodBatch<Summary> =
  | {
      kind: 'events'
      resourceVersion: string
      /** In the order in which they happened; none where only time has passed. */
      pods: PodEvent<Summary>[]
    }
  | {
      /** All pods that there are: one that is not among them, and was made before `beganAt`, is gone. */
      kind: 'list'
      resourceVersion: string
      pods: Summary[]
      /** When the list was asked for. */
      beganAt: Date
    }

/** How often a version alone is handed over. Shorter: writes for nothing; longer: the stored version grows old. */
const versionEveryMs = 10_000

/**
 * After a batch, events gather for so long. Shorter: a commit for every few events where thousands come in a minute;
 * longer: the second of two events of a pod is known later. One that comes alone is handed over at once.
 */
const gatherMs = 50
/** Pods that are worth a commit of their own at once. */
const gatherAtMost = 200
/**
 * Events that nobody waits for gather for so long, or until one comes that somebody does. Of the ten or so that a pod
 * has in its life two or three decide anything.
 */
const idleGatherMs = 400

export interface HandOver<Summary> {
  events(resourceVersion: string, events: { uid: string; event: PodEvent<Summary> }[]): void
  list(list: Extract<PodBatch<Summary>, { kind: 'list' }>): void
  /** Nothing happened up to this version. */
  version(resourceVersion: string): void
  /** How long the present try to commit a batch has taken; 0 where there is none. */
  busyMs(): number
  /** Why the batch at hand is not committed, in the words of whoever applies it; null where all is well. */
  readonly trouble: string | null
  /** Resolves when the signal has fired and no batch is under way. */
  readonly done: Promise<void>
}

export function createHandOver<Summary>(deps: {
  apply: (batch: PodBatch<Summary>) => Promise<void>
  /** Whether somebody waits for this. */
  isDecisive: (pod: Summary) => boolean
  log: Logger
  clock: Clock
  signal: AbortSignal
}): HandOver<Summary> {
  const { apply, isDecisive, log, clock, signal } = deps
  let list: Extract<PodBatch<Summary>, { kind: 'list' }> | null = null
  let events = new Map<string, PodEvent<Summary>>()
  let version: string | null = null
  let appliedAt = Number.NEGATIVE_INFINITY
  let busySince: number | null = null
  let trouble: string | null = null
  /** Something was heard. */
  let heard = Promise.withResolvers<void>()
  /** It is worth a commit now. */
  let due = Promise.withResolvers<void>()
  const wake = (isDue: boolean): void => {
    heard.resolve()
    if (isDue) due.resolve()
  }
  signal.addEventListener('abort', () => wake(true), { once: true })

  const take = (): PodBatch<Summary> | null => {
    if (list !== null) {
      const batch = list
      list = null
      return batch
    }
    if (version === null || (events.size === 0 && clock.now() - appliedAt < versionEveryMs)) return null
    const batch = { kind: 'events' as const, resourceVersion: version, pods: [...events.values()] }
    events = new Map()
    version = null
    return batch
  }

  /** @returns whether it is committed; why not is `trouble` */
  const tryToApply = async (batch: PodBatch<Summary>): Promise<boolean> => {
    busySince = clock.now()
    try {
      await apply(batch)
      appliedAt = clock.now()
      trouble = null
    } catch (error) {
      trouble = messageOf(error)
    }
    busySince = null
    return trouble === null
  }

  /** Until it is committed, whatever the database does. A watch that is stopped meanwhile is read again from there. */
  const commit = async (batch: PodBatch<Summary>): Promise<void> => {
    for (let failures = 0; !signal.aborted; failures += 1) {
      if (await tryToApply(batch)) {
        if (failures > 0) log.info('pod events are taken again')
        return
      }
      if (failures === 0) log.warn({ err: trouble }, 'pod events cannot be taken, they wait')
      const waitMs = backoffMs(failures, { firstMs: 100, mostMs: 5_000 })
      await delay(waitMs, undefined, { signal }).catch(() => {})
    }
  }

  const run = async (): Promise<void> => {
    while (!signal.aborted) {
      await heard.promise
      const timer = setTimeout(due.resolve, idleGatherMs)
      await due.promise
      clearTimeout(timer)
      heard = Promise.withResolvers()
      due = Promise.withResolvers()
      for (let batch = take(); batch !== null && !signal.aborted; batch = take()) {
        const isList = batch.kind === 'list'
        await commit(batch)
        // What came after a list is not heard of again.
        if (!isList) break
      }
      if (events.size < gatherAtMost) await delay(gatherMs, undefined, { signal }).catch(() => {})
    }
  }

  return {
    events(resourceVersion, them) {
      let isDue = false
      for (const { uid, event } of them) {
        // Taken out first: the order of a map is that of insertion, and this is the newest.
        events.delete(uid)
        events.set(uid, event)
        isDue ||= event.type === 'present' && isDecisive(event.pod)
      }
      version = resourceVersion
      wake(isDue || events.size >= gatherAtMost)
    },
    list(whole) {
      list = whole
      // They are older than the list.
      events = new Map()
      version = null
      wake(true)
    },
    version(resourceVersion) {
      version = resourceVersion
      wake(false)
    },
    busyMs: () => (busySince === null ? 0 : clock.now() - busySince),
    get trouble() {
      return trouble
    },
    done: run(),
  }
}
