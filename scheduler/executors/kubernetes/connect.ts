// What a scheduler needs of Kubernetes before it has any pod: the client, and everything about pods that can be wrong
// in the configuration, checked at the start.
import { readFile } from 'node:fs/promises'
import type { KubernetesClient } from '../../../k8s/client/kubernetes-client.ts'
import { configuredCluster, connectKubernetes } from '../../../k8s/connect.ts'
import { pushBackOf } from '../../../k8s/kubernetes-error.ts'
import { loadPodHook, type PodHook } from '../../../k8s/pod/pod-hook.ts'
import { type PodSettings, podSettings } from '../../../k8s/pod/pod-settings.ts'
import { parsePodTemplate } from '../../../k8s/pod/pod-template.ts'
import type { Config } from '../../../runtime/config.ts'
import { ConfigError, KubernetesError, messageOf } from '../../../runtime/errors.ts'
import type { V1Pod } from '../../../runtime/kubernetes-types.ts'
import type { Logger } from '../../../runtime/log.ts'

export interface Kubernetes {
  client: KubernetesClient
  podSettings: PodSettings
  /** The deployment's own; null: none. */
  template: V1Pod | null
  hook: PodHook | null
}

/**
 * An API server that does not answer yet is waited for by everything that needs it; one that refuses us is not.
 * @throws ConfigError where file, context, credentials, template, hook or a setting cannot be used
 */
export async function openKubernetes(
  config: Config,
  environment: NodeJS.ProcessEnv,
  log: Logger,
): Promise<Kubernetes> {
  const { pod_template_file: templateFile, pod_hook: hookFile } = config
  const client = await connectKubernetes({ ...configuredCluster(config), environment })
  const settings = podSettings(config, config.kubernetes_namespace ?? client.namespace)
  const template =
    templateFile === null
      ? null
      : parsePodTemplate(await readTemplate(templateFile), templateFile, {
          hasWorkerImage: settings.image !== null,
        })
  const hook = hookFile === null ? null : await loadPodHook(hookFile)
  try {
    const version = await client.version()
    log.info({ server: client.server, version, namespaces: settings.namespaces }, 'connected to kubernetes')
  } catch (error) {
    if (error instanceof KubernetesError && (pushBackOf(error) === null || error.status === 401)) {
      throw new ConfigError(messageOf(error), { cause: error })
    }
    log.warn({ error: messageOf(error) }, 'kubernetes does not answer, pods wait for it')
  }
  return { client, podSettings: settings, template, hook }
}

async function readTemplate(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (cause) {
    throw new ConfigError(`pod_template_file ${path} cannot be read: ${messageOf(cause)}`, { cause })
  }
}
