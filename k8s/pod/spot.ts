// Nodes that cost less and may be taken away: the first attempts of a task go there, the last ones to nodes that stay,
// so that a bad day on the spot market delays a task and does not fail it.
import type { SpotManifest } from '../../runtime/manifest.ts'
import type { PodOverride } from '../../runtime/pod-override.ts'

/**
 * `pod` on spot nodes, where the attempt is not among the last ones: node labels and tolerations are added to the
 * pod's own, an affinity takes the place of the pod's.
 */
export function onSpot(
  pod: PodOverride,
  spot: SpotManifest | null,
  attempt: { tryNumber: number; maxTries: number },
): PodOverride {
  if (spot === null || attempt.tryNumber > attempt.maxTries - spot.on_demand_attempts) return pod
  const { nodeSelector, tolerations } = pod.spec ?? {}
  return {
    ...pod,
    spec: {
      ...pod.spec,
      ...(Object.keys(spot.node_selector).length === 0
        ? {}
        : { nodeSelector: { ...nodeSelector, ...spot.node_selector } }),
      ...(spot.tolerations.length === 0
        ? {}
        : { tolerations: [...(tolerations ?? []), ...spot.tolerations] }),
      ...(spot.affinity === null ? {} : { affinity: spot.affinity }),
    },
  }
}
