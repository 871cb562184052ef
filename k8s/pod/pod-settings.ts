// What a deployment's configuration says about worker pods, checked as a whole before the first pod is made: a setting
// that another one needs is asked for by name at the start of the scheduler, and not by a pod that fails.
import type { Config } from '../../runtime/config-table.ts'
import { ConfigError } from '../../runtime/errors.ts'

/** Where the files of a run's commit come from, in a pod. */
export type DagsSource =
  | {
      type: 'git'
      image: string
      repo: string
      depth: number
      submodules: 'recursive' | 'shallow' | 'off'
      credentialsSecret: string | null
      sshKeySecret: string | null
      knownHostsConfigMap: string | null
    }
  | { type: 'image' }
  | { type: 'volume_claim'; claim: string; subPath: string | null }
  | { type: 'host_path'; path: string }

export interface PodSettings {
  /** Of pods that name none. */
  namespace: string
  /** All in which pods may be, the first being `namespace`: others are not watched. */
  namespaces: readonly string[]
  executionApiUrl: string
  /** null: that of the template. */
  image: string | null
  /** null: Kubernetes' own choice. */
  imagePullPolicy: 'Always' | 'IfNotPresent' | 'Never' | null
  imagePullSecrets: readonly string[]
  serviceAccountName: string | null
  /** Directory of the Dags in `base`. */
  dagsPath: string
  dagsSource: DagsSource
  terminationGracePeriodSeconds: number
}

/** Beside the time that a task has for cleaning up: for its last lines and its outcome. */
const reportingSeconds = 15

type PodConfig = Pick<
  Config,
  | Extract<keyof Config, `worker_${string}` | `git_sync_${string}`>
  | 'kubernetes_namespaces'
  | 'execution_api_url'
  | 'pod_template_file'
  | 'task_kill_grace'
>

/**
 * @param namespace `kubernetes_namespace`, or what the client found in its place
 * @throws ConfigError that names the setting, where one is missing, contradicts another, or would be ignored
 */
export function podSettings(config: PodConfig, namespace: string): PodSettings {
  const { worker_image_pull_policy: pullPolicy } = config
  if (config.worker_image === null && config.pod_template_file === null) {
    throw new ConfigError(
      'the executor kubernetes needs worker_image, or pod_template_file with an image in its container base',
    )
  }
  checkName('kubernetes_namespace', namespace, labelName)
  for (const name of config.kubernetes_namespaces) checkName('kubernetes_namespaces', name, labelName)
  checkName('worker_service_account_name', config.worker_service_account_name, subdomainName)
  return {
    namespace,
    namespaces: [...new Set([namespace, ...config.kubernetes_namespaces])],
    executionApiUrl: readApiUrl(config.execution_api_url),
    image: config.worker_image,
    imagePullPolicy: pullPolicy === 'default' ? null : pullPolicy,
    imagePullSecrets: config.worker_image_pull_secrets,
    serviceAccountName: config.worker_service_account_name,
    dagsPath: absolute('worker_dags_path', config.worker_dags_path),
    dagsSource: readDagsSource(config),
    terminationGracePeriodSeconds: Math.ceil(config.task_kill_grace / 1000) + reportingSeconds,
  }
}

/** As Kubernetes has them for namespaces, and for most other objects. */
const labelName = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/
const subdomainName = /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/

function checkName(setting: string, name: string | null, form: RegExp): void {
  if (name === null || form.test(name)) return
  throw new ConfigError(
    `${setting} is ${JSON.stringify(name)}, which is no name that Kubernetes takes: lower-case letters, digits and '-'`,
  )
}

function readApiUrl(url: string | null): string {
  const value = needed('the executor kubernetes', 'execution_api_url', url)
  if (/^https?:\/\/[^/]/.test(value) && URL.canParse(value)) return value.replace(/\/+$/, '')
  throw new ConfigError(
    `execution_api_url is ${JSON.stringify(value)}, but must be a URL that pods reach: http://branchline-web.branchline.svc:8080`,
  )
}

/** What each source reads of the settings that begin with `git_sync_` or `worker_dags_`. */
const settingsOfSource = {
  git: [
    'git_sync_image',
    'git_sync_repo',
    'git_sync_credentials_secret',
    'git_sync_ssh_key_secret',
    'git_sync_known_hosts_config_map',
  ],
  image: [],
  volume_claim: ['worker_dags_volume_claim', 'worker_dags_volume_sub_path'],
  host_path: ['worker_dags_host_path'],
} as const satisfies Record<DagsSource['type'], readonly (keyof PodConfig)[]>

function readDagsSource(config: PodConfig): DagsSource {
  const { worker_dags_source: type } = config
  for (const [other, keys] of Object.entries(settingsOfSource)) {
    const ignored = other === type ? undefined : keys.find((key) => config[key] !== null)
    if (ignored === undefined) continue
    throw new ConfigError(
      `${ignored} is set, but worker_dags_source is '${type}', which does not read it: set worker_dags_source to '${other}', or leave ${ignored} out`,
    )
  }
  const of = `worker_dags_source '${type}'`
  switch (type) {
    case 'git': {
      const sshKeySecret = config.git_sync_ssh_key_secret
      if (sshKeySecret === null && config.git_sync_known_hosts_config_map !== null) {
        throw new ConfigError(
          'git_sync_known_hosts_config_map is set, but git_sync_ssh_key_secret is not: known hosts are for repositories by SSH, which need a key',
        )
      }
      return {
        type,
        image: needed(of, 'git_sync_image', config.git_sync_image),
        repo: withoutSecret(needed(of, 'git_sync_repo', config.git_sync_repo)),
        depth: config.git_sync_depth,
        submodules: config.git_sync_submodules,
        credentialsSecret: config.git_sync_credentials_secret,
        sshKeySecret,
        knownHostsConfigMap: config.git_sync_known_hosts_config_map,
      }
    }
    case 'image':
      return { type }
    case 'volume_claim':
      return {
        type,
        claim: needed(of, 'worker_dags_volume_claim', config.worker_dags_volume_claim),
        subPath: config.worker_dags_volume_sub_path,
      }
    case 'host_path':
      return {
        type,
        path: absolute(
          'worker_dags_host_path',
          needed(of, 'worker_dags_host_path', config.worker_dags_host_path),
        ),
      }
  }
}

/** It is an argument of the init container, which everybody may read who may list pods. */
function withoutSecret(repo: string): string {
  const { username, password, protocol } = URL.parse(repo) ?? {}
  if (!password && !(username && /^https?:$/.test(protocol ?? ''))) return repo
  throw new ConfigError(
    'git_sync_repo has a user or password in it, which would stand in every pod: put them into a secret, and name that in git_sync_credentials_secret',
  )
}

function needed(what: string, setting: string, value: string | null): string {
  if (value !== null && value !== '') return value
  throw new ConfigError(`${what} needs ${setting}`)
}

function absolute(setting: string, path: string): string {
  if (path.startsWith('/')) return path.length > 1 ? path.replace(/\/+$/, '') : path
  throw new ConfigError(`${setting} is ${JSON.stringify(path)}, but must be an absolute path`)
}
