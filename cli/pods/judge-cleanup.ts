// Which pods of a namespace are to be cleaned up, by what the cluster says of them alone. Pure.
import { observePod } from '../../k8s/pod-observation.ts'
import { podWords, wordsText } from '../../k8s/pod-words.ts'
import type { V1Pod } from '../../runtime/kubernetes-types.ts'

export interface CleanupLimits {
  minPendingMs: number
  minCompletedMs: number
}

/** Why a pod is to go. */
export interface CleanupReason {
  kind: 'ended' | 'stuck'
  /** As `podWords` has it. */
  words: string
  /** Since when: milliseconds since the epoch. */
  since: number
}

/**
 * Null for what runs, for what ended or was made a short while ago, and for what goes by itself: pods that are being
 * deleted, and those of a Job or another owner, which would only make new ones.
 * @param now milliseconds since the epoch
 */
export function cleanupReason(pod: V1Pod, limits: CleanupLimits, now: number): CleanupReason | null {
  const { metadata, status } = pod
  if (metadata?.deletionTimestamp != null || metadata?.ownerReferences?.some((owner) => owner.controller)) {
    return null
  }
  const seen = { state: 'created', is_gone: false, waiting_reason: null, waiting_message: null } as const
  const words = wordsText(podWords({ ...seen, observation: observePod(pod) }))
  if (status?.phase === 'Succeeded' || status?.phase === 'Failed') {
    const since = endedAt(pod)
    return now - since >= limits.minCompletedMs ? { kind: 'ended', words, since } : null
  }
  if (status?.phase !== 'Pending') return null
  const since = milliseconds(metadata?.creationTimestamp)
  return now - since >= limits.minPendingMs ? { kind: 'stuck', words, since } : null
}

/** The last sign of it: what an evicted pod's status has is less than that of one whose containers ended. */
function endedAt({ metadata, status }: V1Pod): number {
  const containers = [...(status?.containerStatuses ?? []), ...(status?.initContainerStatuses ?? [])]
  const times = [
    ...containers.map(({ state }) => state?.terminated?.finishedAt),
    ...(status?.conditions ?? []).map(({ lastTransitionTime }) => lastTransitionTime),
    metadata?.creationTimestamp,
  ]
  return Math.max(...times.map(milliseconds))
}

/** The generated types say Date; what comes from the server is text. */
function milliseconds(time: Date | string | undefined | null): number {
  return time == null ? 0 : new Date(time).getTime()
}
