// What Kubernetes' events say of a pod: the only place that tells of volumes and addresses that cannot be had.
import type { KubernetesClient } from '../../../k8s/client/kubernetes-client.ts'
import type { ActivePod } from './active-pod.ts'

export interface PodEventWords {
  /** `Scheduled`, `FailedMount`. */
  name: string
  message: string
  isWarning: boolean
}

/** Oldest first; none where nothing was seen of the pod yet. */
export async function readPodEvents(client: KubernetesClient, pod: ActivePod): Promise<PodEventWords[]> {
  const uid = pod.row?.uid
  if (uid == null) return []
  const events = await client.listEvents(pod.namespace, { involvedUid: uid })
  return events.map(({ reason, message, type }) => ({
    name: reason ?? 'Event',
    message: message?.trim() ?? '',
    isWarning: type === 'Warning',
  }))
}

/** The newest thing that is amiss, where nothing came after it. */
export function warningOf(events: readonly PodEventWords[]): PodEventWords | null {
  const last = events.at(-1)
  return last?.isWarning ? last : null
}
