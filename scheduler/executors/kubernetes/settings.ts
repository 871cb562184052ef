// What the configuration says about the executor itself; what it says about the pods is k8s/pod/pod-settings.ts.
import type { Config } from '../../../runtime/config.ts'

export interface KubernetesExecutorSettings {
  /** Namespaces that pods may be in; each is watched. */
  namespaces: readonly string[]
  /** Requests for pods under way at once. */
  concurrency: number
  /** Pods created in a second, on average. */
  rate: number
  /** Pods created at once after a pause. */
  burst: number
  pendingTimeoutMs: number
  /** Reasons of waiting containers that time does not mend, and how long they must have held. */
  fatalReasons: readonly string[]
  fatalGraceMs: number
  /** Which pods are deleted when they have ended, but for those of `pod()`, which say so themselves. */
  keep: Config['delete_worker_pods']
  deleteDelayMs: number
  relistIntervalMs: number
}

export function kubernetesExecutorSettings(
  config: Config,
  namespaces: readonly string[],
): KubernetesExecutorSettings {
  return {
    namespaces,
    concurrency: config.worker_pods_creation_concurrency,
    rate: config.worker_pods_creation_rate,
    burst: config.worker_pods_creation_burst,
    pendingTimeoutMs: config.worker_pod_pending_timeout,
    fatalReasons: config.worker_pod_pending_fatal_container_state_reasons,
    fatalGraceMs: config.worker_pod_pending_fatal_grace,
    keep: config.delete_worker_pods,
    deleteDelayMs: config.delete_worker_pods_delay,
    relistIntervalMs: config.kubernetes_relist_interval,
  }
}
