// Tells the pods of attempts that are to end: the reason becomes part of the ledger, then the pod is deleted, and its
// program hears of it by SIGTERM. That the attempt has ended is judged by what becomes of the pod.
import type { KubernetesClient } from '../../../k8s/client/kubernetes-client.ts'
import { KubernetesError, messageOf } from '../../../runtime/errors.ts'
import type { Logger } from '../../../runtime/log.ts'
import type { CancelReason, ErrorReport } from '../../../runtime/task-runner/protocol.ts'
import type { Database } from '../../database/connection.ts'
import { setPodCancelReason } from '../../database/pod-ledger.ts'
import type { ActivePod } from './active-pod.ts'
import { deleteOwnPod } from './own-pod.ts'
import type { PodLogs } from './pod-logs.ts'

/** Pods that are told to end at once; further ones wait for the next tick. */
const tellAtOnce = 32
/** A pod that does not show that it was told is told again after so long. */
const tellAgainMs = 5_000

/**
 * @param deps.refuse ends the attempt with these words, where no pod will show its end
 * @returns tells a pod; may be repeated, and does nothing where it was told a moment ago
 */
export function createPodEnder(deps: {
  db: Database
  client: KubernetesClient
  deploymentId: string
  logs: PodLogs
  refuse: (pod: ActivePod, words: ErrorReport) => Promise<void>
  log: Logger
}): (pod: ActivePod, reason: CancelReason) => Promise<void> {
  const { db, client, deploymentId, logs, refuse, log } = deps
  /** Those whose pods are being told to end. */
  const telling = new Set<ActivePod>()

  return async (pod, reason) => {
    // Those beyond wait for the tick: a run of thousands is not told at once.
    if (telling.has(pod) || telling.size >= tellAtOnce || Date.now() < pod.tellAgainAt) return
    telling.add(pod)
    pod.tellAgainAt = Date.now() + tellAgainMs
    try {
      await setPodCancelReason(db, pod.key, reason)
      if (pod.row) pod.row.cancel_reason ??= reason
      if (pod.operator?.on_kill_action === 'keep_pod') {
        await refuse(pod, {
          name: 'AttemptKilled',
          message: `it was ended (${reason}), and its pod is kept`,
          stack: null,
        })
        return
      }
      const { key, namespace, podName } = pod
      const isThere = await deleteOwnPod(client, deploymentId, {
        key,
        namespace,
        podName,
        uid: pod.row?.uid ?? null,
      })
      const wasNeverSeen = pod.row === null || pod.row.observation === null
      if (!isThere && wasNeverSeen) {
        await refuse(pod, {
          name: 'AttemptCancelled',
          message: `ended before it began: ${reason}`,
          stack: null,
        })
      }
    } catch (error) {
      log.debug({ attempt_id: pod.attemptId, error: messageOf(error) }, 'a pod could not be told to end yet')
      if (error instanceof KubernetesError) await sayRefusal(pod, error.message)
    } finally {
      telling.delete(pod)
    }
  }

  /** To who waits for the end, once as long as it is the same. */
  async function sayRefusal(pod: ActivePod, message: string): Promise<void> {
    if (pod.tellRefusal === message) return
    try {
      await logs.say(pod, 'warn', `the pod cannot be told to end yet: ${message}`)
      pod.tellRefusal = message
    } catch {
      // The database is away: it is said with the next refusal.
    }
  }
}
