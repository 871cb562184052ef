// The options of an operator as a part of a pod, to be laid over its full_pod_spec and its template. What was not said
// is not in it. Pure.
import { PodSpecError } from '../../runtime/errors.ts'
import type { V1EnvFromSource, V1EnvVar, V1Volume, V1VolumeMount } from '../../runtime/kubernetes-types.ts'
import type { PodParameters, SecretManifest } from '../../runtime/operator-manifest.ts'
import type { PodOverride } from '../../runtime/pod-override.ts'
import { literally } from './render-operator.ts'

/** Linux takes so much of one variable, with its name and its end: a container with a longer one does not begin. */
const longestVariableBytes = 128 * 1024

/** `base` where nobody said otherwise. */
const defaultContainer = 'base'

/**
 * @param inputs results of upstream tasks, which are environment variables too
 * @throws PodSpecError where one of them is too long for that
 */
export function operatorPart(
  parameters: PodParameters,
  inputs: Readonly<Record<string, unknown>>,
): PodOverride {
  const said = parameters
  return {
    metadata: withoutUnsaid({ labels: said.labels, annotations: said.annotations }),
    spec: {
      restartPolicy: 'Never',
      ...withoutUnsaid({
        serviceAccountName: said.service_account_name,
        automountServiceAccountToken: said.automount_service_account_token,
        securityContext: said.security_context,
        imagePullSecrets: said.image_pull_secrets,
        affinity: said.affinity,
        nodeSelector: said.node_selector,
        tolerations: said.tolerations,
        runtimeClassName: said.runtime_class_name,
        priorityClassName: said.priority_class_name,
        schedulerName: said.schedulername,
        hostNetwork: said.hostnetwork,
        hostAliases: said.host_aliases,
        hostname: said.hostname,
        subdomain: said.subdomain,
        dnsPolicy: said.dnspolicy,
        dnsConfig: said.dns_config,
        initContainers: said.init_containers,
        terminationGracePeriodSeconds: said.termination_grace_period,
        activeDeadlineSeconds: said.active_deadline_seconds,
        volumes: orUnsaid([...(said.volumes ?? []), ...secretVolumes(said.secrets)]),
      }),
      containers: [
        {
          name: said.base_container_name ?? defaultContainer,
          ...withoutUnsaid({
            image: said.image,
            imagePullPolicy: said.image_pull_policy,
            command: said.cmds,
            args: said.arguments,
            ports: said.ports,
            resources: said.container_resources,
            securityContext: said.container_security_context,
            terminationMessagePolicy: said.termination_message_policy,
            env: orUnsaid(variables(said, inputs)),
            envFrom: orUnsaid(variableSources(said)),
            volumeMounts: orUnsaid([...(said.volume_mounts ?? []), ...secretMounts(said.secrets)]),
          }),
        },
      ],
    },
  }
}

/** The author's own win over inputs of the same name. */
function variables(said: PodParameters, inputs: Readonly<Record<string, unknown>>): V1EnvVar[] {
  const own: V1EnvVar[] = [
    ...said.pod_runtime_info_envs.map(({ name, field_path }) => ({
      name,
      valueFrom: { fieldRef: { fieldPath: field_path } },
    })),
    ...said.secrets
      .filter(({ deploy_type, key }) => deploy_type === 'env' && key !== null)
      .map(({ deploy_target, secret, key }) => ({
        name: deploy_target!,
        valueFrom: { secretKeyRef: { name: secret, key: key! } },
      })),
    ...(said.env_vars ?? []),
  ]
  const names = new Set(own.map(({ name }) => name))
  const results = Object.entries(inputs).filter(([name, value]) => value !== undefined && !names.has(name))
  return [...results.map(([name, value]) => resultVariable(name, JSON.stringify(value))), ...own]
}

function resultVariable(name: string, json: string): V1EnvVar {
  const bytes = Buffer.byteLength(`${name}=${json}\0`)
  if (bytes > longestVariableBytes) {
    throw new PodSpecError(
      `the result '${name}' is too long for an environment variable: ${bytes} bytes as JSON, where Linux takes ${longestVariableBytes} with its name. Let the task before it return where the data lies, or a part of it`,
    )
  }
  return { name, value: literally(json) }
}

function variableSources(said: PodParameters): V1EnvFromSource[] {
  return [
    ...(said.env_from ?? []),
    ...said.configmaps.map((name) => ({ configMapRef: { name } })),
    ...said.secrets
      .filter(({ deploy_type, key }) => deploy_type === 'env' && key === null)
      .map(({ secret }) => ({ secretRef: { name: secret } })),
  ]
}

const secretVolumeName = (index: number) => `branchline-secret-${index}`

function secretVolumes(secrets: readonly SecretManifest[]): V1Volume[] {
  return filesOf(secrets).map(({ secret, key }, index) => ({
    name: secretVolumeName(index),
    secret: { secretName: secret, ...(key === null ? {} : { items: [{ key, path: key }] }) },
  }))
}

function secretMounts(secrets: readonly SecretManifest[]): V1VolumeMount[] {
  return filesOf(secrets).map(({ deploy_target }, index) => ({
    name: secretVolumeName(index),
    mountPath: deploy_target!,
    readOnly: true,
  }))
}

function filesOf(secrets: readonly SecretManifest[]): SecretManifest[] {
  return secrets.filter(({ deploy_type }) => deploy_type === 'volume')
}

const orUnsaid = <Item>(list: Item[]): Item[] | null => (list.length === 0 ? null : list)

/** Null is what was not said; a part of a pod has it for 'take away'. */
function withoutUnsaid<Fields extends object>(
  fields: Fields,
): { [Key in keyof Fields]?: NonNullable<Fields[Key]> } {
  const said = Object.entries(fields).filter(([, value]) => value !== null && value !== undefined)
  return Object.fromEntries(said) as { [Key in keyof Fields]?: NonNullable<Fields[Key]> }
}
