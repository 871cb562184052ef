// `pod()`: a pod of the author's own becomes a task, as by Airflow's KubernetesPodOperator. The scheduler makes it,
// watches it and reads its log; no worker waits for it.
import type { PodOperatorManifest } from '../operator-manifest.ts'
import type { Task } from './handles.ts'
import { refuse } from './option-values.ts'
import { readPodCallbacks } from './pod-callbacks.ts'
import { addOperator } from './pod-operator.ts'
import type { PodOperatorOptions } from './pod-operator-options.ts'
import type { SnakeCased } from './pod-option-names.ts'
import { podParameterNames, readPodParameters } from './pod-parameters.ts'
import { choice, exitCodes, flag, kubernetesObject, seconds, texts } from './pod-values.ts'

const ownOptionNames = [
  'doXcomPush',
  'xcomSidecarContainerSecurityContext',
  'startupTimeoutSeconds',
  'scheduleTimeoutSeconds',
  'getLogs',
  'containerLogs',
  'initContainerLogs',
  'containerNameLogPrefixEnabled',
  'logEventsOnStartup',
  'logEventsOnFailure',
  'logPodSpecOnFailure',
  'skipOnExitCode',
  'onFinishAction',
  'isDeleteOperatorPod',
  'onKillAction',
  'callbacks',
  'progressCallback',
] as const satisfies readonly (keyof PodOperatorOptions)[]

/** Airflow's. */
const defaultStartupTimeoutSeconds = 120

/**
 * A task that is a pod. It succeeds when the pod's container `base` ends with exit code 0; with `doXcomPush: true` its
 * result is the JSON that the container wrote to /branchline/xcom/return.json.
 *
 * ```ts
 * const model = pod<{ accuracy: number }>('train', {
 *   image: 'registry.example.com/trainer:4',
 *   arguments: ['--day', '{{ ds }}'],
 *   containerResources: { requests: { cpu: '2', memory: '4Gi' } },
 *   doXcomPush: true,
 * })
 * ```
 * @throws DagDefinitionError outside of a Dag, and where an id, input or option cannot be
 */
export function pod<Result = unknown>(
  id: string,
  options: PodOperatorOptions & { doXcomPush: true } & Partial<SnakeCased<PodOperatorOptions>>,
): Task<Result>
export function pod<Result = unknown>(
  id: string,
  options: PodOperatorOptions & Partial<SnakeCased<PodOperatorOptions>> & { do_xcom_push: true },
): Task<Result>
export function pod(
  id: string,
  options: PodOperatorOptions & Partial<SnakeCased<PodOperatorOptions>>,
): Task<undefined>
export function pod(id: string, options: unknown): Task<unknown> {
  return addOperator<unknown, PodOperatorManifest>({
    id,
    options,
    kind: 'pod',
    optionNames: [...podParameterNames, ...ownOptionNames],
    read: readPodOperator,
    readCallbacks: readPodCallbacks,
  })
}

function readPodOperator(place: string, options: Readonly<Record<string, unknown>>): PodOperatorManifest {
  const at = (option: keyof PodOperatorOptions) => ({ place, option })
  const parameters = readPodParameters(place, options)
  const getLogs = flag(at('getLogs'), options.getLogs) ?? true
  const callbacks = readPodCallbacks(place, options).map(({ name }) => name)
  if (!getLogs && callbacks.includes('progressCallback')) {
    refuse(at('getLogs'), false, 'true for progressCallback, which is called with the lines of the log')
  }
  return {
    kind: 'pod',
    ...parameters,
    do_xcom_push: flag(at('doXcomPush'), options.doXcomPush) ?? false,
    xcom_sidecar_container_security_context: kubernetesObject<object>()(
      at('xcomSidecarContainerSecurityContext'),
      options.xcomSidecarContainerSecurityContext,
    ),
    startup_timeout_seconds:
      seconds(1)(at('startupTimeoutSeconds'), options.startupTimeoutSeconds) ?? defaultStartupTimeoutSeconds,
    schedule_timeout_seconds: seconds(1)(at('scheduleTimeoutSeconds'), options.scheduleTimeoutSeconds),
    get_logs: getLogs,
    container_logs: readContainers(at('containerLogs'), options.containerLogs, [
      parameters.base_container_name ?? 'base',
    ]),
    init_container_logs: readContainers(at('initContainerLogs'), options.initContainerLogs, []),
    container_name_log_prefix_enabled:
      flag(at('containerNameLogPrefixEnabled'), options.containerNameLogPrefixEnabled) ?? true,
    log_events_on_startup: flag(at('logEventsOnStartup'), options.logEventsOnStartup) ?? true,
    log_events_on_failure: flag(at('logEventsOnFailure'), options.logEventsOnFailure) ?? false,
    log_pod_spec_on_failure: flag(at('logPodSpecOnFailure'), options.logPodSpecOnFailure) ?? true,
    skip_on_exit_code: exitCodes(at('skipOnExitCode'), options.skipOnExitCode) ?? [],
    on_finish_action: readFinishAction(place, options),
    on_kill_action:
      choice('delete_pod', 'keep_pod')(at('onKillAction'), options.onKillAction) ?? 'delete_pod',
    callbacks,
  }
}

/** null: all. */
function readContainers(
  at: { place: string; option: string },
  value: unknown,
  fallback: string[],
): string[] | null {
  if (value === true) return null
  if (value === false) return []
  return texts(at, value) ?? fallback
}

function readFinishAction(
  place: string,
  options: Readonly<Record<string, unknown>>,
): PodOperatorManifest['on_finish_action'] {
  const action = choice(
    'delete_pod',
    'keep_pod',
    'delete_active_pod',
    'delete_succeeded_pod',
  )({ place, option: 'onFinishAction' }, options.onFinishAction)
  const isDeleted = flag({ place, option: 'isDeleteOperatorPod' }, options.isDeleteOperatorPod)
  if (action !== null && isDeleted !== null) {
    refuse({ place, option: 'isDeleteOperatorPod' }, isDeleted, 'left out, as onFinishAction says it')
  }
  return action ?? (isDeleted === false ? 'keep_pod' : 'delete_pod')
}
