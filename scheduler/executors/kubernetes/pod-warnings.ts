// Why pods wait whose status does not say so: a volume that cannot be mounted, an address that cannot be had. Only the
// cluster's events tell, and for each question about them the API server reads all of a namespace (20 ms of its time for
// two thousand). So it is asked once for the warnings of all pods, and only then about those that have one.
import type { KubernetesClient } from '../../../k8s/client/kubernetes-client.ts'
import type { ActivePod } from './active-pod.ts'
import { type PodEventWords, readPodEvents, warningOf } from './pod-events.ts'

/** How often a namespace is asked about, at most. */
const askAgainMs = 5_000
/** And how many times as long as the answer took, so that a namespace with many events is not all that is read. */
const restFactor = 20
/** Pods with warnings that one round looks at, those first that were looked at longest ago. */
const lookAtMost = 20

export interface PodWarnings {
  /** Asks about these where it is time to; `onWarning` is called for those with which something is amiss. */
  ask(pods: readonly ActivePod[], now: number): void
}

export function createPodWarnings(deps: {
  client: KubernetesClient
  onWarning: (pod: ActivePod, warning: PodEventWords) => void
}): PodWarnings {
  const { client, onWarning } = deps
  /** Namespace → when it may be asked about again; it is infinite while it is. */
  const nextAt = new Map<string, number>()

  async function askNamespace(namespace: string, pods: readonly ActivePod[]): Promise<void> {
    const warnings = await client.listEvents(namespace, { type: 'Warning' })
    const uids = new Set(warnings.map(({ involvedObject }) => involvedObject.uid))
    const troubled = pods
      .filter(({ row }) => row?.uid != null && uids.has(row.uid))
      .sort((a, b) => a.eventsReadAt - b.eventsReadAt)
    for (const pod of troubled.slice(0, lookAtMost)) {
      pod.eventsReadAt = Date.now()
      const warning = warningOf(await readPodEvents(client, pod))
      if (warning !== null) onWarning(pod, warning)
    }
  }

  return {
    ask(pods, now) {
      for (const [namespace, some] of Map.groupBy(pods, (pod) => pod.namespace)) {
        if (now < (nextAt.get(namespace) ?? 0)) continue
        nextAt.set(namespace, Number.POSITIVE_INFINITY)
        askNamespace(namespace, some)
          // The API server is away: it is asked again.
          .catch(() => {})
          .finally(() => {
            const ended = Date.now()
            nextAt.set(namespace, ended + Math.max(askAgainMs, (ended - now) * restFactor))
          })
      }
    },
  }
}
