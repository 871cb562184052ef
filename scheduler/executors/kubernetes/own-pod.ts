// Deletes a pod for certain as the attempt's own. By name alone it might be somebody else's: where an author fixes the
// name, attempts follow each other under it, and strangers may have it too.
import type { KubernetesClient } from '../../../k8s/client/kubernetes-client.ts'
import { attemptIdAnnotation, labelPrefix } from '../../../k8s/pod/pod-names.ts'
import type { V1Pod } from '../../../runtime/kubernetes-types.ts'
import { attemptIdOf, type PodKey } from '../../database/pod-rows.ts'

export type Whose = 'its own' | "another attempt's" | 'unknown'

/** Whose a pod is, by what we wrote upon it. */
export function whosePod(pod: V1Pod, deploymentId: string, attemptId: string): Whose {
  const annotations = pod.metadata?.annotations ?? {}
  if (annotations[`${labelPrefix}deployment_id`] !== deploymentId) return 'unknown'
  return annotations[attemptIdAnnotation] === attemptId ? 'its own' : "another attempt's"
}

export interface OwnPod {
  key: PodKey
  namespace: string
  podName: string
  /** null: nobody has told it yet. */
  uid: string | null
}

/** @returns false where it is gone, or was never there */
export async function deleteOwnPod(
  client: KubernetesClient,
  deploymentId: string,
  { key, namespace, podName, uid }: OwnPod,
): Promise<boolean> {
  if (uid !== null) return await client.deletePod(namespace, podName, { uid })
  const pod = await client.readPod(namespace, podName)
  if (pod === undefined || whosePod(pod, deploymentId, attemptIdOf(key)) !== 'its own') return false
  return await client.deletePod(namespace, podName, { uid: pod.metadata!.uid! })
}
