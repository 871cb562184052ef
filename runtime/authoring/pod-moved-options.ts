// Options of Airflow's KubernetesPodOperator and KubernetesJobOperator that change nothing here. Those that say what is
// always so are taken with that value, so that a Dag that is moved over keeps working, and refused with any other; the
// rest is refused with what stands in its place. docs/airflow.md has a row for each.
import { DagDefinitionError } from '../errors.ts'
import { shown } from './option-values.ts'

interface AlwaysSo {
  /** Null is taken too. */
  takes(value: unknown): boolean
  reason: string
}

const only = (only: unknown, reason: string): AlwaysSo => ({ takes: (value) => value === only, reason })

/** Pods are watched, so whatever the interval, their changes are seen within it. */
const interval: AlwaysSo = {
  takes: (value) => typeof value === 'number' && Number.isFinite(value) && value > 0,
  reason: 'pods are watched, and seen sooner than any interval: leave it out, or write a number above 0',
}

const alwaysSo: Record<string, AlwaysSo> = {
  deferrable: only(
    true,
    'the pod is watched by the scheduler, and no worker waits for it: leave it out, or write true',
  ),
  durable: only(true, 'a scheduler that restarts finds the pod by its name: leave it out, or write true'),
  reattachOnRestart: only(
    true,
    'a scheduler that restarts finds the pod by its name: leave it out, or write true',
  ),
  kubernetesConnId: only(
    'kubernetes_default',
    "pods are made in the deployment's own cluster: leave it out; the settings kubernetes_config_file and kubernetes_cluster_context say which that is",
  ),
  pollInterval: interval,
  startupCheckIntervalSeconds: interval,
  baseContainerStatusPollingInterval: interval,
  loggingInterval: interval,
  jobPollInterval: interval,
}

const insteadOf: Record<string, string> = {
  inCluster: 'the setting kubernetes_in_cluster says it for the deployment',
  clusterContext: 'the setting kubernetes_cluster_context says it for the deployment',
  configFile: 'the setting kubernetes_config_file says it for the deployment',
  callbacks: 'only pod() has callbacks; put what is to be done after it into a task with after: […]',
  progressCallback: 'only pod() has callbacks',
  triggerKwargs: 'there is no triggerer: the scheduler watches the pod',
  logFormatter:
    'no code of a Dag runs in the scheduler; containerNameLogPrefixEnabled says whether lines have the name of their container',
  podOverride:
    'the options of the pod say the same, and fullPodSpec says all else; podOverride is for the worker pods of task() and bash()',
  executor: "it always runs by the executor 'kubernetes'",
  isolation: 'it always has a pod of its own',
  resources: 'its name is containerResources',
}

/** Names that are taken only to be judged here. */
export const movedOptionNames = [...Object.keys(alwaysSo), ...Object.keys(insteadOf)]

/**
 * Judges those that are among `options`.
 * @param options in camel case
 * @param ownNames options that the operator has itself
 * @throws DagDefinitionError
 */
export function checkMovedOptions(
  place: string,
  options: Readonly<Record<string, unknown>>,
  ownNames: readonly string[],
): void {
  for (const [option, value] of Object.entries(options)) {
    if (value === null || ownNames.includes(option)) continue
    const instead = Object.hasOwn(insteadOf, option) ? insteadOf[option] : undefined
    if (instead !== undefined) refuseMoved(place, option, `cannot be given: ${instead}`)
    const rule = Object.hasOwn(alwaysSo, option) ? alwaysSo[option] : undefined
    if (rule !== undefined && !rule.takes(value))
      refuseMoved(place, option, `cannot be ${shown(value)}: ${rule.reason}`)
  }
}

function refuseMoved(place: string, option: string, problem: string): never {
  throw new DagDefinitionError(`${place}: option '${option}' ${problem}`, { details: { place, option } })
}
