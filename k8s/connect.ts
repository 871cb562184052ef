// The way to an API server: finds which one is meant and as whom, and makes the client of it.
import { type Clock, systemClock } from '../runtime/clock.ts'
import type { Config } from '../runtime/config-table.ts'
import { createClusterCalls } from './client/cluster-calls.ts'
import { openCredentials } from './client/credentials.ts'
import { createExecCalls } from './client/exec.ts'
import { findKubeConfig, type KubeConfigChoice } from './client/find-kube-config.ts'
import type { KubernetesClient } from './client/kubernetes-client.ts'
import { createObjectCalls } from './client/object-calls.ts'
import { createPodCalls } from './client/pod-calls.ts'
import { createTransport } from './client/transport.ts'

export interface ConnectOptions extends KubeConfigChoice {
  /** How long a call may take; default 30 s. Streams are bounded by how long they are silent. */
  requestTimeoutMs?: number
  clock?: Clock
}

/** The cluster that a deployment's configuration names. */
export function configuredCluster(
  config: Pick<Config, 'kubernetes_in_cluster' | 'kubernetes_config_file' | 'kubernetes_cluster_context'>,
): Omit<KubeConfigChoice, 'environment'> {
  const { kubernetes_in_cluster: inCluster } = config
  return {
    inCluster: inCluster === 'auto' ? null : inCluster === 'true',
    configFile: config.kubernetes_config_file,
    context: config.kubernetes_cluster_context,
  }
}

/**
 * A client of the API server that is asked for. Nothing is sent yet: `version()` shows whether it can be reached, so
 * that a program may start while it cannot.
 * @throws ConfigError where file, context, certificate or token cannot be used, naming it
 */
export async function connectKubernetes(options: ConnectOptions): Promise<KubernetesClient> {
  const { requestTimeoutMs = 30_000, clock = systemClock } = options
  const find = () => findKubeConfig(options)
  const found = find()
  const { server, context, configFile, namespace } = found
  const where =
    configFile === null
      ? `the API server ${server} (of this pod's service account)`
      : `the API server ${server} (context '${context}' of ${configFile})`
  const credentials = await openCredentials({ found, find, clock })
  const transport = createTransport({ server, where, credentials, requestTimeoutMs })
  return {
    server,
    context,
    configFile,
    namespace,
    where,
    ...createPodCalls({ transport }),
    ...createClusterCalls({ transport }),
    ...createObjectCalls({ transport, namespace }),
    ...createExecCalls({ credentials, transport, where }),
    close: () => transport.close(),
  }
}
