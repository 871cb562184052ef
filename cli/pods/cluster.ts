// The cluster as a command speaks to it: as whoever calls it, by the kubeconfig that kubectl would take.
import type { Command } from 'commander'
import type { KubernetesClient } from '../../k8s/client/kubernetes-client.ts'
import { isForbidden } from '../../k8s/kubernetes-error.ts'
import { loadConfig } from '../../runtime/config.ts'
import { KubernetesError, messageOf } from '../../runtime/errors.ts'
import type { ApiOptions } from '../api/connect.ts'

export interface ClusterOptions {
  kubeconfig?: string
  context?: string
}

/** Adds what says which cluster is meant. */
export function withClusterOptions(command: Command): Command {
  return command
    .option('--kubeconfig <path>', 'whose cluster and credentials (default: as kubectl finds it)')
    .option('--context <name>', 'a context of the kubeconfig (default: its current one)')
}

/**
 * The client of that cluster, for one command; close it at its end. The options come first, then the settings
 * kubernetes_config_file and kubernetes_cluster_context, then what kubectl would take. Does not connect yet.
 * @throws ConfigError where there is no kubeconfig, or it cannot be used
 */
export async function openCluster(options: ClusterOptions & ApiOptions): Promise<KubernetesClient> {
  const { values } = loadConfig({ env: process.env, flags: { config: options.config } })
  // Loaded by the commands that need it alone: half of what others take to start.
  const { connectKubernetes } = await import('../../k8s/connect.ts')
  return await connectKubernetes({
    inCluster: null,
    configFile: options.kubeconfig ?? values.kubernetes_config_file,
    context: options.context ?? values.kubernetes_cluster_context,
    environment: process.env,
  })
}

/** A rule of a Role. */
export interface Rule {
  resources: readonly string[]
  verbs: readonly string[]
}

/** What a refused call needs, said behind the refusal; any other error as it is. */
export function withRule(error: unknown, namespace: string, rule: Rule): unknown {
  if (!isForbidden(error)) return error
  const yaml = `{apiGroups: [""], resources: [${rule.resources.join(', ')}], verbs: [${rule.verbs.join(', ')}]}`
  return new KubernetesError(
    `${messageOf(error)}. Whoever runs the cluster can allow it by a Role of namespace '${namespace}' with the rule ${yaml}`,
    { status: 403, reason: 'Forbidden', cause: error },
  )
}
