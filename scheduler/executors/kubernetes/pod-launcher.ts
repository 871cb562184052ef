// Creates pods that the ledger has: many requests at once, no more in a second than the bucket lets through. Names are
// the attempt's, so that creating again after a lost answer makes no second pod. What the API server pushes back waits
// with its words shown and is sent again: at its time, or, a few at a time, as soon as another pod of its namespace was
// taken or has ended. What it refuses is the caller's. Where the server asks for a pause, nothing is sent for as long.
import TinyQueue from 'tinyqueue'
import { backoffMs } from '../../../k8s/backoff.ts'
import type { KubernetesClient } from '../../../k8s/client/kubernetes-client.ts'
import { isAlreadyExists, pushBackOf } from '../../../k8s/kubernetes-error.ts'
import type { V1Pod } from '../../../runtime/kubernetes-types.ts'
import type { ActivePod } from './active-pod.ts'
import type { Whose } from './own-pod.ts'
import { createTokenBucket } from './token-bucket.ts'

/** Between two tries of a pod that is pushed back, where the server names no time: doubled from the first to the last. */
const retry = { firstMs: 500, mostMs: 30_000 }
/** Of one that was sent because there might be room: its time of waiting grows from here. */
const triesWhereRoomWas = 2
/** Where room may have become free, so many are tried until one is taken: the first may be too large for it. */
const triedForRoom = 4

export interface LaunchedPod {
  active: ActivePod
  manifest: V1Pod
}

export interface PodLauncher {
  /** @param options.mayExist an earlier scheduler may have sent them already */
  launch(pods: readonly LaunchedPod[], options?: { mayExist: boolean }): void
  /**
   * Sends it no more.
   * @returns false where it was never sent; true where it may exist: one that is under way is still answered for
   */
  withdraw(attemptId: string): boolean
  /** It is there, or its attempt is over: it is not sent again, whatever the answer that is waited for. */
  settle(attemptId: string): void
  /**
   * There may be room in this namespace: the first that was pushed back there is sent at once, and where it is taken, or
   * does not fit, others after it.
   * @param namespace default: any
   */
  tryNext(namespace?: string): void
  /** Sends nothing more; resolves when no answer is waited for. */
  stop(): Promise<void>
}

interface Queued extends LaunchedPod {
  sequence: number
  tries: number
  isWithdrawn: boolean
  /** Nobody waits for an answer any more. */
  isSettled: boolean
  isSent: boolean
  /** Until it is sent again. */
  retry: NodeJS.Timeout | undefined
  /** When it was pushed back, in turns; 0: never. */
  pushedBackAt: number
  /** It was sent because there might be room: since which turn, and how many more may be. */
  probe: { since: number; left: number } | null
}

/**
 * @param deps.mayCreate false while the lease may be another's: then nothing is sent
 * @param deps.whose whose a pod is that has the name already
 */
export function createPodLauncher(deps: {
  client: KubernetesClient
  concurrency: number
  rate: number
  burst: number
  mayCreate: () => boolean
  whose: (existing: V1Pod, pod: LaunchedPod) => Whose
  onCreated: (active: ActivePod, uid: string) => void
  onPushedBack: (active: ActivePod, words: { reason: string; message: string }) => void
  onRefused: (active: ActivePod, error: unknown) => void
}): PodLauncher {
  const { client } = deps
  const bucket = createTokenBucket(deps)
  const queue = new TinyQueue<Queued>([], inOrder)
  /** By namespace, those that wait for room, in the order in which they were pushed back. */
  const waitingIn = new Map<string, Set<Queued>>()
  const queued = new Map<string, Queued>()
  const underWay = new Set<Promise<void>>()
  let sequence = 0
  let turn = 0
  let pausedUntil = 0
  let timer: NodeJS.Timeout | undefined
  let isStopped = false

  function fill(): void {
    clearTimeout(timer)
    timer = undefined
    while (!isStopped && queue.length > 0 && underWay.size < deps.concurrency) {
      const waitMs = Math.max(pausedUntil - Date.now(), deps.mayCreate() ? 0 : 100)
      const bucketMs = waitMs > 0 ? 0 : bucket.take(Date.now())
      if (waitMs > 0 || bucketMs > 0) {
        timer = setTimeout(fill, Math.max(waitMs, bucketMs))
        return
      }
      const next = queue.pop()!
      if (next.isWithdrawn || next.isSettled) continue
      const work = send(next).finally(() => {
        underWay.delete(work)
        fill()
      })
      underWay.add(work)
    }
  }

  async function send(pod: Queued): Promise<void> {
    const { active, manifest } = pod
    pod.isSent = true
    try {
      const { metadata } = await client.createPod(active.namespace, manifest)
      forget(pod)
      deps.onCreated(active, metadata!.uid!)
      tryNext(active.namespace)
    } catch (error) {
      if (pod.isSettled) return
      if (isAlreadyExists(error)) await found(pod, error)
      else failed(pod, error)
    }
  }

  /** Its name is taken: by itself, since an answer was lost or a scheduler died, or by a stranger. */
  async function found(pod: Queued, refusal: unknown): Promise<void> {
    const { active } = pod
    try {
      const existing = await client.readPod(active.namespace, active.podName)
      if (existing === undefined) {
        again(pod, retry.firstMs)
        return
      }
      const whose = deps.whose(existing, pod)
      if (whose === "another attempt's") {
        // The author fixed the name: attempts follow each other under it.
        if (pod.isWithdrawn) deps.onRefused(active, refusal)
        else pushedBack(pod, `a pod ${active.podName} of another attempt is still there`, null)
        return
      }
      forget(pod)
      if (whose === 'its own') deps.onCreated(active, existing.metadata!.uid!)
      else deps.onRefused(active, refusal)
    } catch (error) {
      failed(pod, error)
    }
  }

  function failed(pod: Queued, error: unknown): void {
    if (pod.isSettled) return
    const pushBack = pushBackOf(error)
    if (pushBack === null) {
      forget(pod)
      deps.onRefused(pod.active, error)
      return
    }
    if (pod.isWithdrawn) {
      deps.onRefused(pod.active, error)
      return
    }
    if (pushBack.waitMs !== null) pausedUntil = Math.max(pausedUntil, Date.now() + pushBack.waitMs)
    pushedBack(pod, pushBack.reason, pushBack.waitMs)
    const { probe } = pod
    const { namespace } = pod.active
    turn += 1
    Object.assign(pod, { pushedBackAt: turn, probe: null })
    const others = waitingIn.get(namespace)
    if (others) others.add(pod)
    else waitingIn.set(namespace, new Set([pod]))
    if (probe !== null && probe.left > 0) tryOne(namespace, probe)
  }

  function pushedBack(pod: Queued, message: string, waitMs: number | null): void {
    deps.onPushedBack(pod.active, { reason: 'PushedBack', message })
    again(pod, waitMs ?? backoffMs(pod.tries, retry))
    pod.tries += 1
  }

  function again(pod: Queued, waitMs: number): void {
    if (isStopped) return
    pod.retry = setTimeout(() => sendAgain(pod), waitMs)
  }

  function sendAgain(pod: Queued): void {
    waitNoMore(pod)
    if (pod.isWithdrawn || pod.isSettled) return
    queue.push(pod)
    fill()
  }

  function waitNoMore(pod: Queued): void {
    clearTimeout(pod.retry)
    const { namespace } = pod.active
    const waiting = waitingIn.get(namespace)
    waiting?.delete(pod)
    if (waiting?.size === 0) waitingIn.delete(namespace)
  }

  function tryNext(namespace?: string): void {
    const namespaces = namespace === undefined ? [...waitingIn.keys()] : [namespace]
    for (const one of namespaces) tryOne(one, { since: turn, left: triedForRoom })
  }

  /** Of those that were not pushed back since, the heaviest. */
  function tryOne(namespace: string, { since, left }: { since: number; left: number }): void {
    let next: Queued | undefined
    for (const pod of waitingIn.get(namespace) ?? []) {
      if (pod.pushedBackAt > since) continue
      if (next === undefined || pod.active.priorityWeight > next.active.priorityWeight) next = pod
    }
    if (next === undefined) return
    next.probe = { since, left: left - 1 }
    // What counts the room may be behind: then it is tried again within seconds.
    next.tries = Math.min(next.tries, triesWhereRoomWas)
    sendAgain(next)
  }

  function forget(pod: Queued): void {
    queued.delete(pod.active.attemptId)
    waitNoMore(pod)
  }

  return {
    launch(pods, { mayExist } = { mayExist: false }) {
      for (const { active, manifest } of pods) {
        if (queued.has(active.attemptId)) continue
        sequence += 1
        const pod: Queued = {
          active,
          manifest,
          sequence,
          tries: 0,
          isWithdrawn: false,
          isSettled: false,
          isSent: mayExist,
          retry: undefined,
          pushedBackAt: 0,
          probe: null,
        }
        queued.set(active.attemptId, pod)
        queue.push(pod)
      }
      fill()
    },
    withdraw(attemptId) {
      const pod = queued.get(attemptId)
      // Created, or of an earlier scheduler.
      if (pod === undefined) return true
      pod.isWithdrawn = true
      forget(pod)
      return pod.isSent
    },
    settle(attemptId) {
      const pod = queued.get(attemptId)
      if (pod === undefined) return
      pod.isSettled = true
      forget(pod)
    },
    tryNext,
    async stop() {
      isStopped = true
      clearTimeout(timer)
      for (const pod of queued.values()) clearTimeout(pod.retry)
      await Promise.all(underWay)
    },
  }
}

function inOrder(a: Queued, b: Queued): number {
  return b.active.priorityWeight - a.active.priorityWeight || a.sequence - b.sequence
}
