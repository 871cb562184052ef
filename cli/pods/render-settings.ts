// What the deployment's configuration says about pods, for a place that may have none of it: a laptop, a build. What
// is missing gets a placeholder that shows its name, and is told.
import { readFileSync } from 'node:fs'
import { loadPodHook, type PodHook } from '../../k8s/pod/pod-hook.ts'
import { type PodSettings, podSettings } from '../../k8s/pod/pod-settings.ts'
import { parsePodTemplate } from '../../k8s/pod/pod-template.ts'
import type { Config } from '../../runtime/config.ts'
import { ConfigError, messageOf } from '../../runtime/errors.ts'
import type { V1Pod } from '../../runtime/kubernetes-types.ts'

export interface RenderSettings {
  settings: PodSettings
  template: V1Pod | null
  hook: PodHook | null
  /** Settings for which something stands in, and what. */
  standIns: StandIns
}

type StandIns = Partial<
  Record<
    'kubernetes_namespace' | 'execution_api_url' | 'worker_image' | 'git_sync_image' | 'git_sync_repo',
    string
  >
>

/**
 * @param origin URL of the source's own remote, where it has one
 * @throws ConfigError where a setting that is there cannot be used
 */
export async function readRenderSettings(config: Config, origin: string | null): Promise<RenderSettings> {
  const standIns = standInsFor(config, origin)
  const { pod_template_file: templateFile, pod_hook: hookFile } = config
  return {
    settings: podSettings(
      { ...config, ...standIns },
      config.kubernetes_namespace ?? standIns.kubernetes_namespace!,
    ),
    template: templateFile === null ? null : parsePodTemplate(readTemplate(templateFile), templateFile),
    hook: hookFile === null ? null : await loadPodHook(hookFile),
    standIns,
  }
}

function standInsFor(config: Config, origin: string | null): StandIns {
  const isGit = config.worker_dags_source === 'git'
  const needed: StandIns = {
    kubernetes_namespace: 'default',
    execution_api_url: 'http://execution-api-url.invalid',
    ...(config.pod_template_file === null && { worker_image: '<worker_image>' }),
    ...(isGit && { git_sync_image: '<git_sync_image>', git_sync_repo: origin ?? '<git_sync_repo>' }),
  }
  const missing = Object.entries(needed).filter(([key]) => config[key as keyof Config] === null)
  return Object.fromEntries(missing)
}

function readTemplate(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    throw new ConfigError(`pod_template_file ${path} cannot be read: ${messageOf(cause)}`, { cause })
  }
}
