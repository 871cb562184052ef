// The callbacks of pods: which attempts have some, what each is called for, and with what. Only attempts whose task names
// callbacks are known here, so that others cost nothing. What was called is remembered as long as this scheduler has the
// attempt; whoever takes it over calls again what the pod has come to, because nobody knows which of the calls that were
// made came to their end.
import { setTimeout as delay } from 'node:timers/promises'
import type { KubernetesClient } from '../../../k8s/client/kubernetes-client.ts'
import type { V1Pod } from '../../../runtime/kubernetes-types.ts'
import type { Logger } from '../../../runtime/log.ts'
import type { PodCallbackName } from '../../../runtime/pod-callback-names.ts'
import type { AttemptOrder } from '../../../runtime/task-runner/protocol.ts'
import { createReaper, type Reaper } from '../local/reaper.ts'
import type { ActivePod } from './active-pod.ts'
import { type AttemptCallbacks, type CallbackLimits, createAttemptCallbacks } from './attempt-callbacks.ts'
import { createCallbackRoom } from './callback-room.ts'
import type { PodLogs } from './pod-logs.ts'

const defaultLimits: CallbackLimits = { timeoutMs: 30_000, idleMs: 10_000 }
/** Processes at once, of some 50 MB each. Fewer: attempts wait longer for one another's callbacks. */
const maxProcesses = 8
/** Until a callback is called with what was known before, where the API server does not answer. */
const readPodMs = 5_000
/** How often it is looked whether a pod's deletion was asked for: first, and at most. Whose turn that is, is not known. */
const firstLookMs = 500
const lastLookMs = 15_000

export interface PodCallbacks {
  /**
   * From now on the attempt's callbacks are called.
   * @param order asked for only where there are some, as is `made`: the pod as it is sent, where that is known
   */
  begin(pod: ActivePod, order: () => AttemptOrder, made: () => V1Pod | undefined): void
  /** Another scheduler had it: what the pod has come to by then is called again. */
  resume(pod: ActivePod): void
  /** Each but once, in the order of these calls; none waits for what it does. */
  call(pod: ActivePod, name: PodCallbackName): void
  /** Lines that are in the attempt's log now. */
  lines(pod: ActivePod, container: string, lines: readonly { text: string }[]): void
  /**
   * The pod has ended: its last callbacks are called before this resolves.
   * @throws where this part is stopped before
   */
  ended(pod: ActivePod): Promise<void>
  /** @param isDeleted whether the pod is going to be deleted, which its cleanup is called after */
  cleanUp(pod: ActivePod, isDeleted: boolean): void
  stop(): Promise<void>
}

interface Called {
  callbacks: AttemptCallbacks
  names: Set<PodCallbackName>
  /** As far as it is known. */
  pod: V1Pod | null
}

/** @param deps.env environment of callbacks, without the database's credentials */
export function createPodCallbacks(deps: {
  client: Pick<KubernetesClient, 'readPod'>
  logs: PodLogs
  env: NodeJS.ProcessEnv
  log: Logger
}): PodCallbacks {
  const { client, logs, log } = deps
  const stopping = new AbortController()
  const { signal } = stopping
  const room = createCallbackRoom(maxProcesses)
  const attempts = new Map<string, Called>()
  const cleaning = new Set<Promise<void>>()
  let reaper: Reaper | undefined

  /** Processes that do not notice the end of this one are killed with it. */
  function onProcess(pid: number, isThere: boolean): void {
    if (reaper === undefined) {
      reaper = createReaper(log)
      reaper.start()
    }
    if (isThere) reaper.add(pid)
    else reaper.remove(pid)
  }

  /** As the API server has it; what was known before where it does not answer, or has another pod of that name. */
  async function readPod(pod: ActivePod, called: Called): Promise<V1Pod | null> {
    const late = AbortSignal.any([signal, AbortSignal.timeout(readPodMs)])
    const read = await client.readPod(pod.namespace, pod.podName, { signal: late }).catch(() => undefined)
    const uid = called.pod?.metadata?.uid ?? pod.row?.uid ?? undefined
    if (read !== undefined && (uid === undefined || read.metadata?.uid === uid)) called.pod = read
    return called.pod
  }

  function call(pod: ActivePod, name: PodCallbackName): void {
    const called = attempts.get(pod.attemptId)
    if (called === undefined || called.names.has(name) || !pod.operator!.callbacks.includes(name)) return
    called.names.add(name)
    const isKnown = name === 'onPodManifestCreated' && called.pod !== null
    called.callbacks.call(name, isKnown ? Promise.resolve(called.pod) : readPod(pod, called))
  }

  /** Deletion is any scheduler's work, and may be delayed. */
  async function deletionAskedFor(pod: ActivePod): Promise<void> {
    for (let waitMs = firstLookMs; ; waitMs = Math.min(waitMs * 1.5, lastLookMs)) {
      const isThere = await client.readPod(pod.namespace, pod.podName, { signal }).then(
        (read) =>
          read !== undefined &&
          read.metadata?.deletionTimestamp == null &&
          (pod.row?.uid == null || read.metadata?.uid === pod.row.uid),
        () => true,
      )
      if (!isThere) return
      await delay(waitMs, undefined, { signal })
    }
  }

  return {
    begin(pod, order, made) {
      const { callbacks: names = [] } = pod.operator ?? {}
      if (names.length === 0 || attempts.has(pod.attemptId) || signal.aborted) return
      const { token: _token, log_path: _path, ...attempt } = order()
      const callbacks = createAttemptCallbacks({
        names,
        attempt,
        env: deps.env,
        room,
        limits: defaultLimits,
        keep: (lines) => logs.add(pod, lines),
        onProcess,
      })
      attempts.set(pod.attemptId, { callbacks, names: new Set(), pod: made() ?? null })
    },
    resume(pod) {
      call(pod, 'onOperatorResuming')
      call(pod, 'onPodManifestCreated')
      // Of one that may not be there yet its launch tells.
      if (pod.row?.state !== 'planned') call(pod, 'onPodCreation')
    },
    call,
    lines(pod, container, lines) {
      const called = attempts.get(pod.attemptId)
      called?.callbacks.lines(called.pod, container, lines)
    },
    async ended(pod) {
      const called = attempts.get(pod.attemptId)
      if (called === undefined) return
      called.callbacks.endLines()
      // One that never came to be has not ended.
      if (pod.row?.observation != null) call(pod, 'onPodCompletion')
      call(pod, 'onPodTeardown')
      await called.callbacks.ended()
    },
    cleanUp(pod, isDeleted) {
      const called = attempts.get(pod.attemptId)
      if (called === undefined) return
      const work = async () => {
        const { callbacks } = called
        try {
          if (isDeleted && pod.operator!.callbacks.includes('onPodCleanup')) await deletionAskedFor(pod)
          call(pod, 'onPodCleanup')
          await callbacks.finish()
        } catch {
          // This scheduler stops, and nobody has the attempt any more.
        }
        attempts.delete(pod.attemptId)
        await callbacks.close()
      }
      const done = work().finally(() => cleaning.delete(done))
      cleaning.add(done)
    },
    async stop() {
      stopping.abort(new Error('the scheduler stops'))
      await Promise.all([...attempts.values()].map(({ callbacks }) => callbacks.close()))
      await Promise.all(cleaning)
      reaper?.stop()
    },
  }
}
