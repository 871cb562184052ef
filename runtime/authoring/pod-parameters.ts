// Reads the options that describe a pod, of `pod()` and of `job()`: one reader for each, and what only several of them
// together can get wrong.
import { DagDefinitionError } from '../errors.ts'
import type { V1EnvVar } from '../kubernetes-types.ts'
import type { PodParameters, SecretManifest } from '../operator-manifest.ts'
import { isTemplate } from '../templates/parse-template.ts'
import { type OptionPlace, refuse } from './option-values.ts'
import { camelCase } from './pod-option-names.ts'
import { secretManifest } from './pod-secret.ts'
import {
  choice,
  fitsUnlessTemplate,
  flag,
  kubernetesList,
  kubernetesObject,
  type Reader,
  seconds,
  text,
  textMap,
  texts,
} from './pod-values.ts'
import { readPodTemplateFile } from './worker-pod-options.ts'

type Readers = { [Key in keyof PodParameters]-?: Reader<NonNullable<PodParameters[Key]>> }

const variablePattern = /^[-._a-zA-Z][-._a-zA-Z0-9]*$/

const envVars: Reader<V1EnvVar[]> = (at, value) => {
  if (value === undefined || value === null) return null
  const list = Array.isArray(value)
    ? kubernetesList<V1EnvVar>('name')(at, value)!
    : Object.entries(textMap(at, value)!).map(([name, item]) => ({ name, value: item }))
  for (const { name } of list) {
    if (!variablePattern.test(name)) refuse(at, name, 'named as environment variables are')
  }
  return list
}

/** Names that begin so are Branchline's own. */
const ownPrefix = 'branchline.dev/'

const marks: Reader<Record<string, string>> = (at, value) => {
  const map = textMap(at, value)
  const own = Object.keys(map ?? {}).find((name) => name.startsWith(ownPrefix))
  return own === undefined
    ? map
    : refuse(at, own, `named otherwise: names with ${ownPrefix} are Branchline's own`)
}

const secrets: Reader<SecretManifest[]> = (at, value) => {
  if (value === undefined || value === null) return null
  if (!Array.isArray(value)) return refuse(at, value, 'a list of secret({ … })')
  return value.map((item: unknown, index) => {
    const manifest = secretManifest(item)
    return manifest ?? refuse({ ...at, option: `${at.option}[${index}]` }, item, 'what secret({ … }) returns')
  })
}

const runtimeInfo: Reader<PodParameters['pod_runtime_info_envs']> = (at, value) => {
  if (value === undefined || value === null) return null
  if (!Array.isArray(value)) {
    return Object.entries(textMap(at, value)!).map(([name, field_path]) => ({ name, field_path }))
  }
  // Airflow's PodRuntimeInfoEnv spells it field_path.
  const list = value.map((item: Record<string, unknown>) =>
    typeof item === 'object' && item !== null && 'field_path' in item
      ? { name: item.name, fieldPath: item.field_path }
      : item,
  )
  const read = kubernetesList<{ name: string; fieldPath: string }>('name', 'fieldPath')(at, list)!
  return read.map(({ name, fieldPath }) => ({ name, field_path: fieldPath }))
}

const pullSecrets: Reader<{ name: string }[]> = (at, value) => {
  const list = typeof value === 'string' ? value.split(',').map((name) => name.trim()) : value
  if (!Array.isArray(list)) return kubernetesList<{ name: string }>('name')(at, list)
  return kubernetesList<{ name: string }>('name')(
    at,
    list.map((item: unknown) => (typeof item === 'string' ? { name: item } : item)),
  )
}

/** A pod, or what a template of one says; `kind` and `apiVersion` may be left out. */
const podObject: Reader<Record<string, unknown>> = (at, value) => {
  const pod = kubernetesObject<Record<string, unknown>>()(at, value)
  if (pod === null) return null
  if (pod.kind !== undefined && pod.kind !== 'Pod') refuse(at, pod.kind, 'of kind Pod')
  const stray = Object.keys(pod).find((key) => !['apiVersion', 'kind', 'metadata', 'spec'].includes(key))
  if (stray !== undefined) refuse(at, stray, 'a pod, with metadata and spec')
  return pod
}

/** A path that is a template is judged when it is rendered. */
const templateFile: Reader<string> = (at, value) => {
  const path = text(at, value)
  return path === null || isTemplate(path) ? path : readPodTemplateFile(at, path)
}

const readers: Readers = {
  namespace: text,
  name: text,
  random_name_suffix: flag,
  image: text,
  cmds: texts,
  arguments: texts,
  ports: kubernetesList('containerPort'),
  volume_mounts: kubernetesList('name', 'mountPath'),
  volumes: kubernetesList('name'),
  env_vars: envVars,
  env_from: kubernetesList(),
  secrets,
  configmaps: texts,
  pod_runtime_info_envs: runtimeInfo,
  labels: marks,
  annotations: marks,
  base_container_name: text,
  image_pull_policy: choice('Always', 'IfNotPresent', 'Never'),
  image_pull_secrets: pullSecrets,
  container_resources: kubernetesObject(),
  container_security_context: kubernetesObject(),
  termination_message_policy: choice('File', 'FallbackToLogsOnError'),
  security_context: kubernetesObject(),
  service_account_name: text,
  automount_service_account_token: flag,
  affinity: kubernetesObject(),
  node_selector: textMap,
  tolerations: kubernetesList(),
  runtime_class_name: text,
  priority_class_name: text,
  schedulername: text,
  hostnetwork: flag,
  host_aliases: kubernetesList('ip'),
  hostname: text,
  subdomain: text,
  dnspolicy: choice('ClusterFirst', 'ClusterFirstWithHostNet', 'Default', 'None'),
  dns_config: kubernetesObject(),
  init_containers: kubernetesList('name'),
  termination_grace_period: seconds(0),
  active_deadline_seconds: seconds(1),
  full_pod_spec: podObject,
  pod_template_file: templateFile,
  pod_template_dict: podObject,
}

/** In camel case. */
export const podParameterNames = Object.keys(readers).map(camelCase)

const dnsLabel = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/

/**
 * What describes the pod, in the manifest's terms.
 * @param options in camel case
 * @param further a pod that stands under these options, and may have what they do not
 * @throws DagDefinitionError
 */
export function readPodParameters(
  place: string,
  options: Readonly<Record<string, unknown>>,
  further: Readonly<Record<string, unknown>> | null = null,
): PodParameters {
  const read = Object.fromEntries(
    Object.entries(readers).map(([key, reader]) => {
      const option = camelCase(key)
      return [key, (reader as Reader<unknown>)({ place, option }, options[option])]
    }),
  ) as unknown as { [Key in keyof PodParameters]: PodParameters[Key] | null }
  const parameters: PodParameters = {
    ...read,
    random_name_suffix: read.random_name_suffix ?? true,
    secrets: read.secrets ?? [],
    configmaps: read.configmaps ?? [],
    pod_runtime_info_envs: read.pod_runtime_info_envs ?? [],
  }
  checkTogether(place, parameters, further)
  return parameters
}

function checkTogether(
  place: string,
  parameters: PodParameters,
  further: Readonly<Record<string, unknown>> | null,
): void {
  const at = (option: string): OptionPlace => ({ place, option })
  const { image, full_pod_spec, pod_template_file, pod_template_dict } = parameters
  if (pod_template_file !== null && pod_template_dict !== null) {
    throw new DagDefinitionError(
      `${place}: options 'podTemplateFile' and 'podTemplateDict' are both given: a pod has one template; leave one of them out`,
    )
  }
  const hasImage = [full_pod_spec, pod_template_dict, further].some((pod) => imageOf(pod) !== undefined)
  if (image === null && pod_template_file === null && !hasImage) {
    throw new DagDefinitionError(
      `${place}: option 'image' is missing, and no fullPodSpec or pod template has an image either`,
    )
  }
  if (!parameters.random_name_suffix && parameters.name === null && nameOf(full_pod_spec) === undefined) {
    throw new DagDefinitionError(
      `${place}: option 'randomNameSuffix' is false, so 'name' must say the whole name of the pod`,
    )
  }
  for (const key of ['namespace', 'hostname', 'subdomain', 'base_container_name'] as const) {
    const value = parameters[key]
    if (value !== null && !fitsUnlessTemplate(value, dnsLabel)) {
      refuse(at(camelCase(key)), value, "a DNS label: at most 63 of a to z, 0 to 9 and '-'")
    }
  }
}

/** The image of a pod's first container. */
function imageOf(pod: Readonly<Record<string, unknown>> | null): string | undefined {
  const { containers } = (pod?.spec ?? {}) as { containers?: { image?: string }[] }
  return containers?.[0]?.image
}

function nameOf(pod: Record<string, unknown> | null): string | undefined {
  return ((pod?.metadata ?? {}) as { name?: string }).name
}
