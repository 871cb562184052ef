// Which containers of an operator's pod are followed, and what becomes of the pod at the end. Pure.
import type { V1Pod } from '../../runtime/kubernetes-types.ts'
import type { PodOperatorManifest } from '../../runtime/operator-manifest.ts'
import { hasEnded, type PodObservation } from '../pod-observation.ts'
import { xcomContainer } from './xcom-sidecar.ts'

/** Containers whose output goes to the attempt's log, in the order in which they begin. Names that are not there are left out. */
export function followedContainers(
  pod: V1Pod,
  operator: Pick<PodOperatorManifest, 'get_logs' | 'container_logs' | 'init_container_logs'>,
): string[] {
  if (!operator.get_logs) return []
  const among = (containers: readonly { name: string }[] | undefined, wanted: string[] | null) =>
    (containers ?? [])
      .map(({ name }) => name)
      .filter((name) => name !== xcomContainer && (wanted === null || wanted.includes(name)))
  return [
    ...among(pod.spec?.initContainers, operator.init_container_logs),
    ...among(pod.spec?.containers, operator.container_logs),
  ]
}

/**
 * What a line of a container is in the log: with the container's name before it, where the operator says so.
 * @param line as the container wrote it
 */
export function logLineText(
  container: string,
  line: string,
  operator: Pick<PodOperatorManifest, 'container_name_log_prefix_enabled'>,
): string {
  return operator.container_name_log_prefix_enabled ? `[${container}] ${line}` : line
}

/**
 * Whether the pod is deleted when its attempt has ended.
 * @param observation of that time, when sidecars may still run; null: nothing was seen of it
 * @param isKilled the attempt was ended from outside: cancelled, or out of time
 */
export function isDeletedAtEnd(
  operator: Pick<PodOperatorManifest, 'on_finish_action' | 'on_kill_action'>,
  { observation, isKilled }: { observation: PodObservation | null; isKilled: boolean },
): boolean {
  if (isKilled) return operator.on_kill_action === 'delete_pod'
  const isOver = observation !== null && hasEnded(observation)
  switch (operator.on_finish_action) {
    case 'delete_pod':
      return true
    case 'keep_pod':
      return false
    case 'delete_succeeded_pod':
      return isOver && observation.containers[0]?.exit_code === 0
    case 'delete_active_pod':
      return !isOver
  }
}
