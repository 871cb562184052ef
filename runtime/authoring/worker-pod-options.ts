// Reading what an author says about the pods that a task's attempts run in: overrides, a template of its own, spot
// nodes. (The options of `pod()`, whose pod is the task itself, are in pod-options.ts.)
import { DagDefinitionError } from '../errors.ts'
import type { V1Affinity, V1Toleration } from '../kubernetes-types.ts'
import type { SpotManifest } from '../manifest.ts'
import { type PodOverride, podOverrideFault } from '../pod-override.ts'
import { checkOptionNames, type OptionPlace, readInteger, readText, refuse } from './option-values.ts'

/** Where the attempts of a task run that may be interrupted: all but the last ones. */
export interface SpotOptions {
  /** Labels of spot nodes; added to the pod's own. */
  nodeSelector?: Readonly<Record<string, string>>
  /** Taints of spot nodes that are tolerated; added to the pod's own. */
  tolerations?: readonly V1Toleration[]
  /** In place of the pod's own. */
  affinity?: V1Affinity
  /** How many of a task's last attempts run elsewhere. Default 1. */
  onDemandAttempts?: number
}

/** Options that the pods of a task's attempts have; only the executor `kubernetes` makes such. */
export interface WorkerPodOptions {
  /** Laid over the task's pods, after those of its Dag and its groups. */
  podOverride?: PodOverride | null
  /** A pod template of the repository, from its directory; in place of the deployment's. */
  podTemplateFile?: string | null
  /** Spot nodes for all attempts but the last ones. */
  spot?: SpotOptions | null
}

/** An override as the manifest has it; null where there is none, or one that says nothing. */
export function readPodOverride(at: OptionPlace, value: unknown): Record<string, unknown> | null {
  if (value === undefined || value === null) return null
  const fault = podOverrideFault(value)
  if (fault !== null) {
    throw new DagDefinitionError(`${at.place}: option '${at.option}' ${fault}`, { details: { ...at } })
  }
  return Object.keys(value).length === 0 ? null : asJson(value)
}

function asJson(value: object): Record<string, unknown> {
  return JSON.parse(JSON.stringify(value)) as Record<string, unknown>
}

/** A path within the repository, without './' before it. */
export function readPodTemplateFile(at: OptionPlace, value: unknown): string | null {
  const path = readText(at, value)
  if (path === null) return null
  const parts = path.split('/').filter((part) => part !== '.' && part !== '')
  if (path.startsWith('/') || parts.length === 0 || parts.includes('..') || path.includes('\0')) {
    refuse(at, path, "a path within the repository, from its directory: 'pods/large.yaml'")
  }
  return parts.join('/')
}

const spotNames = [
  'nodeSelector',
  'tolerations',
  'affinity',
  'onDemandAttempts',
] as const satisfies readonly (keyof SpotOptions)[]

export function readSpot(at: OptionPlace, value: unknown): SpotManifest | null {
  if (value === undefined || value === null) return null
  checkOptionNames(`${at.place}, option '${at.option}'`, value, spotNames)
  const { nodeSelector = {}, tolerations = [], affinity = null, onDemandAttempts } = value as SpotOptions
  const part = (option: string) => ({ ...at, option: `${at.option}.${option}` })
  const isTexts =
    isObject(nodeSelector) && Object.values(nodeSelector).every((one) => typeof one === 'string')
  if (!isTexts) refuse(part('nodeSelector'), nodeSelector, 'an object: label → value')
  if (!Array.isArray(tolerations) || !tolerations.every(isObject)) {
    refuse(part('tolerations'), tolerations, 'a list of tolerations')
  }
  if (affinity !== null && !isObject(affinity)) refuse(part('affinity'), affinity, 'an object')
  if (Object.keys(nodeSelector).length + tolerations.length === 0 && affinity === null) {
    refuse(at, value, 'an object with what spot nodes are known by: nodeSelector, tolerations or affinity')
  }
  // They become part of a pod, so they are judged as such a part is.
  const fault = podOverrideFault({ spec: { nodeSelector, tolerations, affinity } })
  if (fault !== null) throw new DagDefinitionError(`${at.place}: option '${at.option}' ${fault}`)
  return {
    node_selector: { ...nodeSelector },
    tolerations: tolerations.map(asJson),
    affinity: affinity === null ? null : asJson(affinity),
    on_demand_attempts: readInteger(part('onDemandAttempts'), onDemandAttempts, 1, 0),
  }
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
