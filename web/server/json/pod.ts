// Rows of the launch ledger as the API's JSON: what was seen of a pod, and in words what it means.
import type { ContainerObservation } from '../../../k8s/pod-observation.ts'
import { podWords } from '../../../k8s/pod-words.ts'
import { withoutSecrets } from '../../../k8s/without-secrets.ts'
import type { ShownPodRow } from '../../../scheduler/database/queries/read-pods.ts'
import type { Pod, PodDetails } from '../schemas/pod.ts'
import { jsonRow } from './dates.ts'

export function podJson({ observation, ...row }: ShownPodRow): Pod {
  const base: ContainerObservation | undefined = observation?.containers[0]
  return {
    ...jsonRow(row),
    // Of a job, and of what resource() makes, the ledger keeps no uid.
    ...podWords({ ...row, uid: isPod(row) ? row.uid : undefined, observation }),
    phase: observation?.phase ?? null,
    node_name: observation?.node_name ?? null,
    unschedulable: observation?.unschedulable ?? null,
    disruption: observation?.disruption ?? null,
    init_containers: observation?.init_containers ?? [],
    containers: observation?.containers ?? [],
    exit_code: base?.exit_code ?? null,
    signal: base?.signal ?? null,
  }
}

function isPod({ kind }: Pick<ShownPodRow, 'kind'>): boolean {
  return kind === 'task' || kind === 'pod'
}

export function podDetailsJson({ manifest, ...row }: ShownPodRow & { manifest: string }): PodDetails {
  return { ...podJson(row), manifest: withoutSecrets(JSON.parse(manifest)) }
}
