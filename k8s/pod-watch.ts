// What happens to the pods of a namespace, without a hole: a list or a stored resourceVersion, then a watch that goes on
// from the last version heard, whatever ends it.
//
// - The version is handed over together with the events that lead to it, so that a restart continues.
// - A version that the server has forgotten (410, as an answer, as an ERROR event, amid the stream) is a list again.
// - A stream is asked to end after a minute, and the server sends a bookmark before: one that is silent for longer
//   hangs, and is dropped. So nothing is trusted for longer than `watchSeconds` and a margin.
// - Events are hints: a list now and then finds what a lost one missed.
import { setTimeout as delay } from 'node:timers/promises'
import { type Clock, systemClock } from '../runtime/clock.ts'
import { messageOf } from '../runtime/errors.ts'
import type { V1Pod } from '../runtime/kubernetes-types.ts'
import type { Logger } from '../runtime/log.ts'
import { backoffMs } from './backoff.ts'
import type { KubernetesClient, WatchEvent } from './client/kubernetes-client.ts'
import { errorOfStatus, isExpired, pushBackOf, type Status } from './kubernetes-error.ts'
import { createHandOver, type PodBatch, type PodEvent } from './pod-watch-hand-over.ts'

export type { PodBatch, PodEvent } from './pod-watch-hand-over.ts'

/** Streams that break sooner than that, or end without bringing anything, are begun more and more slowly. */
const shortWatchMs = 1_000
const backoff = { firstMs: 200, mostMs: 10_000 }

export interface PodWatchDeps<Summary> {
  client: KubernetesClient
  namespace: string
  labelSelector: string
  /** Where an earlier watch ended; null begins with a list. */
  resourceVersion: string | null
  /** What is kept of a pod; called once for each that is heard of, so that no whole pods wait. */
  summarise: (pod: V1Pod, isDeleted: boolean) => Summary
  /** Whether somebody waits for this, so that it is handed over at once; default: all are. */
  isDecisive?: (pod: Summary) => boolean
  /** Commits a batch with its version. Called for one batch at a time; one that it rejects comes again. */
  apply: (batch: PodBatch<Summary>) => Promise<void>
  log: Logger
  /** Default: five minutes. */
  relistIntervalMs?: number
  /** How long one stream is asked for; default 60. The time until a hanging one is noticed. */
  watchSeconds?: number
  /** How much later than asked for its end may come; default 10 s. */
  marginMs?: number
  clock?: Clock
}

export interface PodWatchCounters {
  /** Of pods; bookmarks are not counted. */
  events: number
  /** Lists, the first one among them. */
  relists: number
  /** Versions that the server had forgotten. */
  expired: number
  /** Streams after the first one. */
  reconnects: number
}

export interface PodWatch {
  start(): void
  /** Resolves when nothing is under way any more. A batch that is being committed is waited for. */
  stop(): Promise<void>
  /** Since anything was heard: an event, a bookmark, a list, a stream that began; at first, since it was made. */
  ageMs(): number
  /** Whether anything was. */
  hasHeard(): boolean
  /** Why nothing is heard or nothing heard is committed, in the words of whoever refused; null where all is well. */
  trouble(): string | null
  /** How long the present try to commit what was heard has taken; 0 where there is none. One that never ends hangs. */
  applyBusyMs(): number
  readonly counters: Readonly<PodWatchCounters>
  [Symbol.asyncDispose](): Promise<void>
}

export function createPodWatch<Summary>(deps: PodWatchDeps<Summary>): PodWatch {
  const { client, namespace, labelSelector, summarise, apply, clock = systemClock } = deps
  const { isDecisive = () => true } = deps
  const { relistIntervalMs = 300_000, watchSeconds = 60, marginMs = 10_000 } = deps
  const log = deps.log.child({ namespace })
  const counters: PodWatchCounters = { events: 0, relists: 0, expired: 0, reconnects: 0 }
  const stopping = new AbortController()
  const { signal } = stopping
  let version = deps.resourceVersion
  let heardAt = clock.now()
  let hasHeard = false
  const hear = (): void => {
    heardAt = clock.now()
    hasHeard = true
  }
  let listedAt = clock.now()
  let hasStream = false
  let hasMoved = false
  let isFirst = true
  /** Of lists and streams, until one of them begins. */
  let streamTrouble: string | null = null
  let running: Promise<void> | undefined
  const handOver = createHandOver({ apply, isDecisive, log, clock, signal })

  const run = async (): Promise<void> => {
    let failures = 0
    let shortTurns = 0
    /** The server may have gone back to an older state since: restored from a copy, or another one. */
    let mustCheckVersion = version !== null
    while (!signal.aborted) {
      const beganAt = clock.now()
      hasStream = false
      hasMoved = false
      let isBroken = true
      try {
        if (mustCheckVersion && version !== null && (await isAheadOfServer(version))) {
          log.warn({ resource_version: version }, 'the API server is behind the stored version, listing anew')
          version = null
        }
        mustCheckVersion = false
        if (version === null || clock.now() - listedAt >= relistIntervalMs) await list()
        await watch(() => {
          if (failures > 0) log.info({ failures }, 'pod watch is back')
          failures = 0
          streamTrouble = null
        })
        isBroken = false
      } catch (error) {
        if (signal.aborted) break
        if (isExpired(error)) {
          counters.expired += 1
          log.info({ resource_version: version }, 'the version is too old for the API server, listing anew')
          version = null
        } else {
          mustCheckVersion = true
          // A stream that breaks is no trouble yet: it goes on at once, if the server is there.
          if (!hasStream) {
            streamTrouble = messageOf(error)
            if (failures === 0) log.warn({ err: streamTrouble }, 'pod watch is interrupted')
            failures += 1
            await pause(failures - 1, pushBackOf(error)?.waitMs ?? 0)
            continue
          }
        }
      }
      const isShort = (isBroken || !hasMoved) && clock.now() - beganAt < shortWatchMs
      // One that breaks amid many events is taken up soon, one that breaks before the first is left alone for longer.
      shortTurns = !isShort ? 0 : hasMoved ? Math.min(shortTurns + 1, 2) : shortTurns + 1
      if (shortTurns > 1) await pause(shortTurns - 2)
    }
    await handOver.done
  }

  const pause = async (failures: number, atLeastMs = 0): Promise<void> => {
    const waitMs = Math.max(atLeastMs, backoffMs(failures, backoff))
    await delay(waitMs, undefined, { signal }).catch(() => {})
  }

  const list = async (): Promise<void> => {
    const beganAt = new Date(clock.now())
    const pods: Summary[] = []
    let resourceVersion = ''
    for await (const page of client.listPodPages(namespace, { labelSelector, signal })) {
      for (const pod of page.pods) pods.push(summarise(pod, false))
      resourceVersion = page.resourceVersion
      hear()
    }
    counters.relists += 1
    listedAt = clock.now()
    version = resourceVersion
    handOver.list({ kind: 'list', resourceVersion, pods, beganAt })
  }

  /** One stream, to its end. Throws where it breaks. */
  const watch = async (onBegin: () => void): Promise<void> => {
    const untilListMs = listedAt + relistIntervalMs - clock.now()
    const timeoutSeconds = Math.max(1, Math.min(watchSeconds, Math.ceil(untilListMs / 1000)))
    const stream = await client.watchPods(namespace, {
      labelSelector,
      resourceVersion: version!,
      timeoutSeconds,
      idleMs: timeoutSeconds * 1000 + marginMs,
      signal,
    })
    if (isFirst) isFirst = false
    else counters.reconnects += 1
    hear()
    hasStream = true
    onBegin()
    for await (const group of stream) {
      hear()
      take(group)
    }
  }

  const take = (group: WatchEvent[]): void => {
    const events: { uid: string; event: PodEvent<Summary> }[] = []
    let upTo = version!
    let fault: unknown
    for (const event of group) {
      if (event.type === 'ERROR') {
        fault = errorOfStatus(`watch pods of ${namespace}`, event.object as Status)
        break
      }
      const { metadata } = event.object
      if (event.type !== 'BOOKMARK') {
        const isDeleted = event.type === 'DELETED'
        const pod = summarise(event.object, isDeleted)
        events.push({ uid: metadata!.uid!, event: { type: isDeleted ? 'deleted' : 'present', pod } })
      }
      upTo = metadata!.resourceVersion!
    }
    counters.events += events.length
    if (upTo !== version) hasMoved = true
    version = upTo
    if (events.length > 0) handOver.events(upTo, events)
    else if (fault === undefined) handOver.version(upTo)
    if (fault !== undefined) throw fault
  }

  /**
   * Whether a version is of a future that the server does not have. It would keep silent until that comes, as if nothing
   * happened. Versions are numbers that grow, by Kubernetes' word.
   */
  const isAheadOfServer = async (ours: string): Promise<boolean> => {
    for await (const { resourceVersion } of client.listPodPages(namespace, {
      labelSelector,
      pageSize: 1,
      signal,
    })) {
      hear()
      return BigInt(ours) > BigInt(resourceVersion)
    }
    return false
  }

  const stop = async (): Promise<void> => {
    stopping.abort(new Error('the pod watch is stopped'))
    await running
  }
  return {
    start() {
      running ??= run()
    },
    stop,
    ageMs: () => clock.now() - heardAt,
    hasHeard: () => hasHeard,
    trouble: () => streamTrouble ?? handOver.trouble,
    applyBusyMs: () => handOver.busyMs(),
    counters,
    [Symbol.asyncDispose]: stop,
  }
}
