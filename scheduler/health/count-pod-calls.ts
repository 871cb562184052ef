// A Kubernetes client that counts what became of the calls that make and delete pods. Around the client, so that the
// executor knows nothing of metrics.
import type { KubernetesClient } from '../../k8s/client/kubernetes-client.ts'
import { isAlreadyExists, pushBackOf } from '../../k8s/kubernetes-error.ts'

/** How a request for a pod ended. `exists`: it is there, since an answer was lost or a scheduler died. */
export type CreationOutcome = 'created' | 'exists' | 'pushed_back' | 'refused'

export interface PodCallCounts {
  creations: Readonly<Record<CreationOutcome, number>>
  /** `gone`: it was not there any more. */
  deletions: Readonly<Record<'deleted' | 'gone' | 'failed', number>>
}

export function countPodCalls(client: KubernetesClient): {
  client: KubernetesClient
  counts: PodCallCounts
} {
  const counts = {
    creations: { created: 0, exists: 0, pushed_back: 0, refused: 0 },
    deletions: { deleted: 0, gone: 0, failed: 0 },
  }
  return {
    counts,
    client: {
      ...client,
      async createPod(namespace, pod, options) {
        try {
          const made = await client.createPod(namespace, pod, options)
          if (options?.dryRun !== true) counts.creations.created += 1
          return made
        } catch (error) {
          if (options?.dryRun !== true) counts.creations[outcomeOf(error)] += 1
          throw error
        }
      },
      async deletePod(namespace, name, options) {
        try {
          const wasThere = await client.deletePod(namespace, name, options)
          counts.deletions[wasThere ? 'deleted' : 'gone'] += 1
          return wasThere
        } catch (error) {
          counts.deletions.failed += 1
          throw error
        }
      },
    },
  }
}

function outcomeOf(error: unknown): CreationOutcome {
  if (isAlreadyExists(error)) return 'exists'
  return pushBackOf(error) === null ? 'refused' : 'pushed_back'
}
