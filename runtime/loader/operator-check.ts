// Whether what claims to be an operator's manifest is one: every key of ours, and that objects of Kubernetes are
// objects. What is in those is for the API server to judge, who knows its own version.
import type {
  JobOperatorManifest,
  OperatorManifest,
  PodOperatorManifest,
  PodParameters,
  ResourceOperatorManifest,
  SecretManifest,
} from '../operator-manifest.ts'
import { podCallbackNames } from '../pod-callback-names.ts'
import { type Check, isCount, isObject, isText, listOf, oneOf, orNull, type Shape } from './shape-check.ts'

const isFlag: Check = (value) => typeof value === 'boolean'
const isTextMap: Check = (value) => isObject(value) && Object.values(value as object).every(isText)
const shaped =
  <Type>(shape: Shape<Type>): Check =>
  (value) =>
    shapeFault(value, shape) === null

const text = orNull(isText)
const flag = orNull(isFlag)
const count = orNull(isCount)
const object = orNull(isObject)
const objects = orNull(listOf(isObject))
const texts = orNull(listOf(isText))
const textMap = orNull(isTextMap)

const secretShape: Shape<SecretManifest> = {
  deploy_type: oneOf('env', 'volume'),
  deploy_target: text,
  secret: isText,
  key: text,
}

const podParametersShape: Shape<PodParameters> = {
  namespace: text,
  name: text,
  random_name_suffix: isFlag,
  image: text,
  cmds: texts,
  arguments: texts,
  ports: objects,
  volume_mounts: objects,
  volumes: objects,
  env_vars: objects,
  env_from: objects,
  secrets: listOf(shaped(secretShape)),
  configmaps: listOf(isText),
  pod_runtime_info_envs: listOf(
    shaped<{ name: string; field_path: string }>({ name: isText, field_path: isText }),
  ),
  labels: textMap,
  annotations: textMap,
  base_container_name: text,
  image_pull_policy: oneOf('Always', 'IfNotPresent', 'Never', null),
  image_pull_secrets: objects,
  container_resources: object,
  container_security_context: object,
  termination_message_policy: oneOf('File', 'FallbackToLogsOnError', null),
  security_context: object,
  service_account_name: text,
  automount_service_account_token: flag,
  affinity: object,
  node_selector: textMap,
  tolerations: objects,
  runtime_class_name: text,
  priority_class_name: text,
  schedulername: text,
  hostnetwork: flag,
  host_aliases: objects,
  hostname: text,
  subdomain: text,
  dnspolicy: oneOf('ClusterFirst', 'ClusterFirstWithHostNet', 'Default', 'None', null),
  dns_config: object,
  init_containers: objects,
  termination_grace_period: count,
  active_deadline_seconds: count,
  full_pod_spec: object,
  pod_template_file: text,
  pod_template_dict: object,
}

const podShape: Shape<PodOperatorManifest> = {
  kind: oneOf('pod'),
  ...podParametersShape,
  do_xcom_push: isFlag,
  xcom_sidecar_container_security_context: object,
  startup_timeout_seconds: isCount,
  schedule_timeout_seconds: count,
  get_logs: isFlag,
  container_logs: texts,
  init_container_logs: texts,
  container_name_log_prefix_enabled: isFlag,
  log_events_on_startup: isFlag,
  log_events_on_failure: isFlag,
  log_pod_spec_on_failure: isFlag,
  skip_on_exit_code: listOf(isCount),
  on_finish_action: oneOf('delete_pod', 'keep_pod', 'delete_active_pod', 'delete_succeeded_pod'),
  on_kill_action: oneOf('delete_pod', 'keep_pod'),
  callbacks: listOf(oneOf(...podCallbackNames)),
}

const jobShape: Shape<JobOperatorManifest> = {
  kind: oneOf('job'),
  ...podParametersShape,
  parallelism: count,
  completions: count,
  completion_mode: oneOf('NonIndexed', 'Indexed', null),
  backoff_limit: count,
  ttl_seconds_after_finished: count,
  suspend: flag,
  wait_until_job_complete: isFlag,
  full_job_spec: object,
}

const resourceShape: Shape<ResourceOperatorManifest> = {
  kind: oneOf('resource'),
  action: oneOf('create', 'apply', 'delete', 'patch', 'get'),
  namespace: text,
  manifest: objects,
  yaml: text,
  patch_type: oneOf('merge', 'strategic'),
  success_condition: text,
  failure_condition: text,
}

/** What is wrong with it, or null. */
export function operatorFault(operator: unknown): string | null {
  const { kind } = (operator ?? {}) as Partial<OperatorManifest>
  if (kind === 'pod') return shapeFault(operator, podShape)
  if (kind === 'job') return shapeFault(operator, jobShape)
  return shapeFault(operator, resourceShape)
}

function shapeFault<Type>(value: unknown, shape: Shape<Type>): string | null {
  if (!isObject(value)) return 'it is no object'
  const given = value as Record<string, unknown>
  const wrong = Object.keys(shape).find((key) => !shape[key as keyof Type](given[key]))
  if (wrong !== undefined) return `${wrong} is ${JSON.stringify(given[wrong])}`
  const extra = Object.keys(given).find((key) => !(key in shape))
  return extra === undefined ? null : `${extra} is no key of it`
}
