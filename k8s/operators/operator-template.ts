// Reads the file that `podTemplateFile` names. Unlike a template of worker pods it needs neither a name nor a container
// `base`: the options give what is missing, and the first container is the task's whatever its name was.
import { messageOf, PodSpecError } from '../../runtime/errors.ts'
import type { V1Pod } from '../../runtime/kubernetes-types.ts'
import type { TemplateVariables } from '../../runtime/templates/template-variables.ts'
import { parseYaml } from '../yaml.ts'
import { renderTexts } from './render-operator.ts'

/**
 * The path of the template within the run's commit.
 * @throws TemplateError
 * @throws PodSpecError where it leads out of the commit
 */
export function operatorTemplatePath(file: string, variables: TemplateVariables): string {
  const path = renderTexts(file, variables, { key: 'pod_template_file', name: 'podTemplateFile' })
  // What a param brings must not lead out of the commit, to a file of the scheduler's.
  if (!path.startsWith('/') && !path.split('/').includes('..') && !path.includes('\0')) return path
  throw new PodSpecError(
    `option 'podTemplateFile' is ${JSON.stringify(path)}, which is no path within the repository`,
  )
}

/**
 * @param file for messages: the path as the Dag has it
 * @throws PodSpecError where it is no YAML, or no pod
 */
export function parseOperatorTemplate(text: string, file: string): V1Pod {
  let value: unknown
  try {
    value = parseYaml(text, `pod template ${file}`)
  } catch (cause) {
    throw new PodSpecError(messageOf(cause), { details: { file }, cause })
  }
  const refuse = (problem: string): never => {
    throw new PodSpecError(`pod template ${file} ${problem}`, { details: { file } })
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return refuse('is no pod: it is empty or a list')
  const { kind = 'Pod', ...rest } = value as { kind?: unknown } & V1Pod
  if (kind !== 'Pod') return refuse(`is of kind ${JSON.stringify(kind)}, but must be a Pod`)
  const stray = Object.keys(rest).find((key) => !['apiVersion', 'metadata', 'spec'].includes(key))
  if (stray !== undefined) return refuse(`has '${stray}' at its top: a pod has metadata and spec`)
  if (rest.spec?.containers !== undefined && !Array.isArray(rest.spec.containers)) {
    return refuse('has spec.containers that is no list')
  }
  return value as V1Pod
}
