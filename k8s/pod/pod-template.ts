// A pod template: the YAML of a pod from which every worker pod is made, of the deployment or of a task. What Airflow
// asks of one holds here too: a name, and a first container `base`. Everything else is for the API server to judge.
import { messageOf, PodSpecError } from '../../runtime/errors.ts'
import type { V1Pod } from '../../runtime/kubernetes-types.ts'
import { parseYamlWithLines, type YamlLines } from '../yaml.ts'
import { baseContainer } from './pod-names.ts'

export interface TemplateOptions {
  /** Whether `worker_image` is set: `base` needs no image of its own then. Default: it may come from elsewhere. */
  hasWorkerImage?: boolean
}

/**
 * The pod that a template's text describes. Its metadata.name is asked for and not used: names come from attempts.
 * @param where the file, for messages
 * @throws PodSpecError with file, line and remedy
 */
export function parsePodTemplate(text: string, where: string, options: TemplateOptions = {}): V1Pod {
  const yaml = readYaml(text, where)
  const fault = judge(yaml, options)
  if (fault === null) return yaml.value as V1Pod
  const line = yaml.lineOf(...fault.path)
  throw new PodSpecError(`pod template ${where}, line ${line}: ${fault.message}`, {
    details: { file: where, line },
  })
}

/** Why a text is no pod template, as a message with file, line and remedy; null where it is one. */
export function templateFault(text: string, where: string, options: TemplateOptions = {}): string | null {
  try {
    parsePodTemplate(text, where, options)
    return null
  } catch (error) {
    return messageOf(error)
  }
}

function readYaml(text: string, where: string): YamlLines {
  try {
    return parseYamlWithLines(text, `pod template ${where}`)
  } catch (cause) {
    throw new PodSpecError(messageOf(cause), { details: { file: where }, cause })
  }
}

interface Fault {
  path: (string | number)[]
  message: string
}

function judge({ value }: YamlLines, { hasWorkerImage = true }: TemplateOptions): Fault | null {
  if (!isObject(value)) {
    return { path: [], message: 'it is no pod: write apiVersion: v1, kind: Pod, metadata and spec' }
  }
  if (value.kind !== 'Pod') {
    const given = value.kind === undefined ? 'it has no kind' : `its kind is ${JSON.stringify(value.kind)}`
    return {
      path: ['kind'],
      message: `${given}: write kind: Pod (of a Deployment or Job, its spec.template)`,
    }
  }
  const { apiVersion = 'v1', metadata, spec } = value
  if (apiVersion !== 'v1') {
    return { path: ['apiVersion'], message: `its apiVersion is ${JSON.stringify(apiVersion)}: write v1` }
  }
  if (!isObject(metadata) || typeof metadata.name !== 'string' || metadata.name === '') {
    return { path: ['metadata', 'name'], message: 'it has no metadata.name: give it one, such as worker' }
  }
  const containers = isObject(spec) ? spec.containers : undefined
  if (!Array.isArray(containers) || containers.length === 0) {
    return {
      path: ['spec', 'containers'],
      message: `it has no containers: write spec.containers with one named ${baseContainer}`,
    }
  }
  const [base] = containers as unknown[]
  if (!isObject(base) || base.name !== baseContainer) {
    const name = isObject(base) ? JSON.stringify(base.name ?? null) : 'no container'
    return {
      path: ['spec', 'containers', 0],
      message: `its first container is ${name}: the task runs in the first one, so name it ${baseContainer}, or put that before it`,
    }
  }
  if (!hasWorkerImage && !base.image) {
    return {
      path: ['spec', 'containers', 0],
      message: `its container ${baseContainer} has no image, and worker_image is not set: give it one of the two`,
    }
  }
  return null
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
