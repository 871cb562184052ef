// What the manifest says of a task that is an operator: a pod, a job or any other object of Kubernetes, that the
// scheduler creates as it stands here. Plain JSON in snake_case with Airflow's names, defaults filled in; objects of
// Kubernetes in Kubernetes' own spelling. Texts may be templates (runtime/templates/). Null means that it was not
// said, so that the layers below count: an option wins over full_pod_spec, that over the template.
import type {
  V1Affinity,
  V1Container,
  V1ContainerPort,
  V1EnvFromSource,
  V1EnvVar,
  V1HostAlias,
  V1LocalObjectReference,
  V1PodDNSConfig,
  V1PodSecurityContext,
  V1ResourceRequirements,
  V1SecurityContext,
  V1Toleration,
  V1Volume,
  V1VolumeMount,
} from './kubernetes-types.ts'
import type { PodCallbackName } from './pod-callback-names.ts'

/** An object of Kubernetes as JSON. */
export type KubernetesObject = Record<string, unknown>

/** A secret of the pod's namespace, as an environment variable, all of its keys as such, or a volume. */
export interface SecretManifest {
  deploy_type: 'env' | 'volume'
  /** Name of the variable, or directory of the volume; null: every key is a variable of its own name. */
  deploy_target: string | null
  secret: string
  /** null: all of them. */
  key: string | null
}

/** What describes a pod, alone or as a job's. */
export interface PodParameters {
  namespace: string | null
  /** Of the pod or job: what its name begins with, or where random_name_suffix is false, all of it. */
  name: string | null
  random_name_suffix: boolean
  image: string | null
  cmds: string[] | null
  arguments: string[] | null
  ports: V1ContainerPort[] | null
  volume_mounts: V1VolumeMount[] | null
  volumes: V1Volume[] | null
  env_vars: V1EnvVar[] | null
  env_from: V1EnvFromSource[] | null
  secrets: SecretManifest[]
  configmaps: string[]
  /** Variable → field of the pod. */
  pod_runtime_info_envs: { name: string; field_path: string }[]
  labels: Record<string, string> | null
  annotations: Record<string, string> | null
  /** null: `base`. */
  base_container_name: string | null
  image_pull_policy: 'Always' | 'IfNotPresent' | 'Never' | null
  image_pull_secrets: V1LocalObjectReference[] | null
  container_resources: V1ResourceRequirements | null
  container_security_context: V1SecurityContext | null
  termination_message_policy: 'File' | 'FallbackToLogsOnError' | null
  security_context: V1PodSecurityContext | null
  service_account_name: string | null
  automount_service_account_token: boolean | null
  affinity: V1Affinity | null
  node_selector: Record<string, string> | null
  tolerations: V1Toleration[] | null
  runtime_class_name: string | null
  priority_class_name: string | null
  schedulername: string | null
  hostnetwork: boolean | null
  host_aliases: V1HostAlias[] | null
  hostname: string | null
  subdomain: string | null
  dnspolicy: 'ClusterFirst' | 'ClusterFirstWithHostNet' | 'Default' | 'None' | null
  dns_config: V1PodDNSConfig | null
  init_containers: V1Container[] | null
  /** Seconds. */
  termination_grace_period: number | null
  active_deadline_seconds: number | null
  full_pod_spec: KubernetesObject | null
  /** Path within the run's commit. */
  pod_template_file: string | null
  pod_template_dict: KubernetesObject | null
}

export interface PodOperatorManifest extends PodParameters {
  kind: 'pod'
  do_xcom_push: boolean
  xcom_sidecar_container_security_context: V1SecurityContext | null
  /** From the creation of the pod until `base` runs. */
  startup_timeout_seconds: number
  /** From the creation of the pod until it has a node; null: startup_timeout_seconds covers it. */
  schedule_timeout_seconds: number | null
  get_logs: boolean
  /** Containers whose logs are followed; null: all of them. */
  container_logs: string[] | null
  init_container_logs: string[] | null
  container_name_log_prefix_enabled: boolean
  log_events_on_startup: boolean
  log_events_on_failure: boolean
  log_pod_spec_on_failure: boolean
  skip_on_exit_code: number[]
  on_finish_action: 'delete_pod' | 'keep_pod' | 'delete_active_pod' | 'delete_succeeded_pod'
  on_kill_action: 'delete_pod' | 'keep_pod'
  /** One for each function that the definition has, in that order; a name may be there several times. */
  callbacks: PodCallbackName[]
}

export interface JobOperatorManifest extends PodParameters {
  kind: 'job'
  parallelism: number | null
  completions: number | null
  completion_mode: 'NonIndexed' | 'Indexed' | null
  backoff_limit: number | null
  ttl_seconds_after_finished: number | null
  suspend: boolean | null
  /** False: the task has succeeded once the job is created. */
  wait_until_job_complete: boolean
  full_job_spec: KubernetesObject | null
}

export interface ResourceOperatorManifest {
  kind: 'resource'
  action: 'create' | 'apply' | 'delete' | 'patch' | 'get'
  namespace: string | null
  /** One or several objects; null where they are in `yaml`. */
  manifest: KubernetesObject[] | null
  /** YAML text with one or several objects. It is rendered before it is read. */
  yaml: string | null
  /** For `patch`. */
  patch_type: 'merge' | 'strategic'
  /** Terms such as `status.phase = Ready`, all of which must hold (runtime/authoring/resource-condition.ts). */
  success_condition: string | null
  failure_condition: string | null
}

export type OperatorManifest = PodOperatorManifest | JobOperatorManifest | ResourceOperatorManifest
