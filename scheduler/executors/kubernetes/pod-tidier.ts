// The end of pods: their rows are marked ended once the end of their attempts is committed, and they are deleted when
// their time has come. Which of them are kept is decided once, when they end; deleting is any scheduler's work, since
// the ledger says what is due. A pod whose end is not committed yet, or whose log is not kept yet, is never deleted.
import pLimit from 'p-limit'
import type { KubernetesClient } from '../../../k8s/client/kubernetes-client.ts'
import { messageOf } from '../../../runtime/errors.ts'
import type { Logger } from '../../../runtime/log.ts'
import type { Database } from '../../database/connection.ts'
import { endLeftPods } from '../../database/end-left-pods.ts'
import {
  type DeletablePod,
  markPodsCreated,
  markPodsDeleted,
  markPodsEnded,
  postponeDeletion,
  takePodsToDelete,
} from '../../database/pod-ledger.ts'
import type { PodKey } from '../../database/pod-rows.ts'
import { createPass, type Pass } from '../../pass.ts'
import { deleteOwnPod } from './own-pod.ts'

/** Pods that one round deletes; the next follows at once where there are more. */
const deleteAtOnce = 200
/** Deletions under way at once. */
const deleteConcurrency = 16
/** A pod that is still there so long after it was deleted is deleted again: the answer, or its event, was lost. */
const deleteAgainMs = 60_000
/** One that could not be deleted, since the API server was away or refused it, is tried again after so long. */
const refusedAgainMs = 10_000
/** Answers of creates that come within this are one statement. Longer: a pod shows as planned for as long. */
const createdDelayMs = 50
/** How often it looks what is due by now; where there is no delay, it looks when a pod has ended. */
const lookMs = 2_000
/** How often pods are looked for that a scheduler left behind. Shorter: all live rows are read as often. */
const lookForLeftMs = 10_000
/** Since the end of an attempt: by then its own scheduler has ended the row, if it lives. */
const leftAfterMs = 5_000

/** What becomes of a pod whose attempt has ended. */
export type PodFate = 'kept' | 'deleted' | 'deleted at once'

export interface PodTidier {
  /** The API server has it. */
  created(key: PodKey, uid: string): void
  /**
   * Its attempt's end is reported, and its log is kept.
   * @param fate `deleted` after the deployment's delay; `deleted at once`: it may still start, beside the next attempt
   */
  ended(key: PodKey, fate: PodFate): void
  tick(): void
  /** For who judges whether they hang: not the one that deletes, which waits for the API server where that is away. */
  readonly passes: readonly Pass[]
  /** What was told is written, as far as the database is there. */
  stop(): Promise<void>
}

export function createPodTidier(deps: {
  db: Database
  client: KubernetesClient
  deploymentId: string
  /** For pods that were left behind; others are told. */
  keep: 'on_completion' | 'on_success' | 'never'
  deleteDelayMs: number
  /** Milliseconds since the epoch: ends that were reported before are committed. */
  committedUntil: () => number
  log: Logger
}): PodTidier {
  const { db, client, deploymentId, keep, deleteDelayMs, log } = deps
  const limit = pLimit(deleteConcurrency)
  let created: (PodKey & { uid: string })[] = []
  let ended: { key: PodKey; deleteAfterMs: number | null; at: number }[] = []
  let createdTimer: NodeJS.Timeout | undefined
  let lookedAt = 0
  let lookedForLeftAt = 0
  /** By namespace, what was told of deletions that are refused. */
  const refusals = new Map<string, string>()

  const createdPass = createPass('mark-pods-created', log, async () => {
    const some = created
    created = []
    if (some.length === 0) return
    try {
      await markPodsCreated(db, some)
    } catch (error) {
      created.push(...some)
      throw error
    }
  })
  const endedPass = createPass('mark-pods-ended', log, async () => {
    const committedUntil = deps.committedUntil()
    const some = ended.filter(({ at }) => at < committedUntil)
    if (some.length === 0) return
    await markPodsEnded(
      db,
      some.map(({ key, deleteAfterMs }) => ({ ...key, delete_after_ms: deleteAfterMs })),
    )
    const marked = new Set(some)
    ended = ended.filter((one) => !marked.has(one))
    deletePass.wake()
  })
  const leftPass = createPass('end-left-pods', log, async () => {
    lookedForLeftAt = Date.now()
    const count = await endLeftPods(db, { keep, deleteDelayMs, graceMs: leftAfterMs })
    if (count === 0) return
    log.warn({ pods: count }, 'pods were left behind by a scheduler, and are tidied up')
    deletePass.wake()
  })
  const deletePass = createPass('delete-pods', log, async () => {
    lookedAt = Date.now()
    const due = await takePodsToDelete(db, { limit: deleteAtOnce, retryMs: deleteAgainMs })
    if (due.length === 0) return
    const gone: PodKey[] = []
    const refused: PodKey[] = []
    await limit.map(due, async (pod) => {
      const fate = await deleteOne(pod)
      if (fate === 'gone') gone.push(pod)
      if (fate === 'refused') refused.push(pod)
    })
    // Those that are there until the kubelet has ended them are marked by the watch.
    if (gone.length > 0) await markPodsDeleted(db, gone)
    if (refused.length > 0) await postponeDeletion(db, refused, refusedAgainMs)
    if (due.length === deleteAtOnce) deletePass.wake()
  })

  async function deleteOne(pod: DeletablePod): Promise<'there' | 'gone' | 'refused'> {
    const { namespace, pod_name, uid } = pod
    try {
      const isThere = await deleteOwnPod(client, deploymentId, {
        key: pod,
        namespace,
        podName: pod_name,
        uid,
      })
      refusals.delete(namespace)
      return isThere ? 'there' : 'gone'
    } catch (error) {
      const message = messageOf(error)
      // Each of thousands of pods may be refused, again and again, for one reason.
      const refusal = message.replaceAll(pod_name, '')
      const isNew = refusals.get(namespace) !== refusal
      refusals.set(namespace, refusal)
      log[isNew ? 'warn' : 'debug']({ namespace, pod_name, error: message }, 'a pod could not be deleted yet')
      return 'refused'
    }
  }

  return {
    created(key, uid) {
      created.push({ ...key, uid })
      createdTimer ??= setTimeout(() => {
        createdTimer = undefined
        createdPass.wake()
      }, createdDelayMs)
    },
    ended(key, fate) {
      const afterMs: Record<PodFate, number | null> = {
        kept: null,
        deleted: deleteDelayMs,
        'deleted at once': 0,
      }
      ended.push({ key, deleteAfterMs: afterMs[fate], at: Date.now() })
    },
    tick() {
      if (created.length > 0) createdPass.wake()
      if (ended.length > 0) endedPass.wake()
      const now = Date.now()
      if (now - lookedAt >= lookMs) deletePass.wake()
      if (now - lookedForLeftAt >= lookForLeftMs) leftPass.wake()
    },
    passes: [createdPass, endedPass, leftPass],
    async stop() {
      clearTimeout(createdTimer)
      createdPass.wake()
      endedPass.wake()
      await Promise.all([createdPass.stop(), endedPass.stop(), leftPass.stop(), deletePass.stop()])
    },
  }
}
