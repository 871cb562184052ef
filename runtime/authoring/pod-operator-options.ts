// The options of `pod()`, under the names of Airflow's KubernetesPodOperator in camel case. Only types; what is read of
// them and how is in pod-parameters.ts and pod.ts.
import type {
  V1Affinity,
  V1Container,
  V1ContainerPort,
  V1EnvFromSource,
  V1EnvVar,
  V1HostAlias,
  V1LocalObjectReference,
  V1Pod,
  V1PodDNSConfig,
  V1PodSecurityContext,
  V1ResourceRequirements,
  V1SecurityContext,
  V1Toleration,
  V1Volume,
  V1VolumeMount,
} from '../kubernetes-types.ts'
import type { PodParameters } from '../operator-manifest.ts'
import type { TaskInputs } from './handles.ts'
import type { PodCallbacksOption, PodProgressCall } from './pod-callbacks.ts'
import type { Secret } from './pod-secret.ts'
import type { TaskOptions } from './task-options.ts'

/** Options that `pod()`, `job()` and `resource()` share with every task. */
export interface OperatorTaskOptions
  extends Pick<
    TaskOptions,
    | 'after'
    | 'retries'
    | 'retryDelay'
    | 'retryExponentialBackoff'
    | 'maxRetryDelay'
    | 'executionTimeout'
    | 'triggerRule'
    | 'priorityWeight'
    | 'spot'
    | 'doc'
  > {
  /** Results of other tasks: `{{ inputs.name }}` in templates. */
  inputs?: TaskInputs
}

type Options<Type> = { readonly [Key in keyof Type]?: Type[Key] | null | undefined }

/** What describes a pod. Texts may have `{{ ds }}` and the like in them. */
export type PodParameterOptions = Options<{
  /** Default: the deployment's. */
  namespace: string
  /** What the pod's name begins with. Default: made of Dag and task. */
  name: string
  /** Whether the name is made unique for the attempt. Default true; false: exactly `name`. */
  randomNameSuffix: boolean
  image: string
  /** The container's command, over the image's entrypoint. */
  cmds: string | readonly string[]
  /** Arguments of the command or the image's entrypoint. */
  arguments: string | readonly string[]
  ports: readonly V1ContainerPort[]
  volumeMounts: readonly V1VolumeMount[]
  volumes: readonly V1Volume[]
  /** Environment variables: name → text, or Kubernetes' list. */
  envVars: Readonly<Record<string, string>> | readonly V1EnvVar[]
  envFrom: readonly V1EnvFromSource[]
  /** Made with `secret()`. */
  secrets: readonly Secret[]
  /** Names of config maps whose keys become environment variables. */
  configmaps: readonly string[]
  /** Environment variables with fields of the pod: `{ POD_NAME: 'metadata.name' }`. */
  podRuntimeInfoEnvs: Readonly<Record<string, string>> | readonly PodRuntimeInfoEnv[]
  labels: Readonly<Record<string, string>>
  annotations: Readonly<Record<string, string>>
  /** The container that is the task. Default 'base'. */
  baseContainerName: string
  imagePullPolicy: NonNullable<PodParameters['image_pull_policy']>
  imagePullSecrets: string | readonly (string | V1LocalObjectReference)[]
  containerResources: V1ResourceRequirements
  containerSecurityContext: V1SecurityContext
  terminationMessagePolicy: NonNullable<PodParameters['termination_message_policy']>
  /** Of the pod. */
  securityContext: V1PodSecurityContext
  serviceAccountName: string
  automountServiceAccountToken: boolean
  affinity: V1Affinity
  nodeSelector: Readonly<Record<string, string>>
  tolerations: readonly V1Toleration[]
  runtimeClassName: string
  priorityClassName: string
  schedulername: string
  hostnetwork: boolean
  hostAliases: readonly V1HostAlias[]
  hostname: string
  subdomain: string
  dnspolicy: NonNullable<PodParameters['dnspolicy']>
  dnsConfig: V1PodDNSConfig
  initContainers: readonly V1Container[]
  /** Seconds from SIGTERM to SIGKILL, or '2m'. */
  terminationGracePeriod: number | string
  /** Seconds after which Kubernetes ends the pod, or '1h'. */
  activeDeadlineSeconds: number | string
  /** A whole pod, under these options. */
  fullPodSpec: V1Pod
  /** YAML file of a pod, its path from the repository's top; under fullPodSpec. */
  podTemplateFile: string
  /** As podTemplateFile, written here. */
  podTemplateDict: V1Pod
}>

/** Airflow's PodRuntimeInfoEnv. */
export interface PodRuntimeInfoEnv {
  name: string
  fieldPath: string
}

/** Options of `pod()`. Airflow's spelling in snake case is accepted too. */
export type PodOperatorOptions = OperatorTaskOptions &
  PodParameterOptions &
  Options<{
    /** Whether the JSON in /branchline/xcom/return.json (or /airflow/xcom/return.json) is the result. Default false. */
    doXcomPush: boolean
    xcomSidecarContainerSecurityContext: V1SecurityContext
    /** Seconds from the pod's creation until its container runs, or '5m'. Default 120. */
    startupTimeoutSeconds: number | string
    /** Seconds until it has a node. Default: startupTimeoutSeconds covers it. */
    scheduleTimeoutSeconds: number | string
    /** Whether the container's output goes to the attempt's log. Default true. */
    getLogs: boolean
    /** Whose output goes there: names, or true for all. Default: the container that is the task. */
    containerLogs: true | string | readonly string[]
    /** As containerLogs, of init containers. Default: none. */
    initContainerLogs: true | string | readonly string[]
    /** Whether lines say which container they are from. Default true. */
    containerNameLogPrefixEnabled: boolean
    /** Whether the pod's events go to the log while it starts. Default true. */
    logEventsOnStartup: boolean
    /** Whether they do when it has failed. Default false. */
    logEventsOnFailure: boolean
    /** Whether the pod as it was sent goes to the log when it has failed. Default true. */
    logPodSpecOnFailure: boolean
    /** Exit code, or codes, that mean 'skipped' instead of 'failed'. Default: none. */
    skipOnExitCode: number | readonly number[]
    /** What becomes of the pod at the end. Default 'delete_pod'. */
    onFinishAction: 'delete_pod' | 'keep_pod' | 'delete_active_pod' | 'delete_succeeded_pod'
    /** The older form of onFinishAction: false is 'keep_pod'. */
    isDeleteOperatorPod: boolean
    /** What becomes of the pod when the task is ended from outside. Default 'delete_pod'. */
    onKillAction: 'delete_pod' | 'keep_pod'
    /** Functions that are called at the stages of the pod, in a process of their own. They change no outcome. */
    callbacks: PodCallbacksOption | readonly PodCallbacksOption[]
    /** Called once for each line that goes to the attempt's log; the same as that of `callbacks`. */
    progressCallback: (call: PodProgressCall) => unknown
  }> &
  AlwaysSoOptions

/** Options of Airflow that say what is always so here; no other value is taken. */
export type AlwaysSoOptions = Options<{
  deferrable: true
  durable: true
  reattachOnRestart: true
  kubernetesConnId: 'kubernetes_default'
  pollInterval: number
  startupCheckIntervalSeconds: number
  baseContainerStatusPollingInterval: number
  loggingInterval: number
}>
