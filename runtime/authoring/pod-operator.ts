// What `pod()`, `job()` and `resource()` have in common: their options are read the same way, their texts are checked
// as templates, and none of them is code of the author's, but for the functions that `pod()` may be given.
import { DagDefinitionError } from '../errors.ts'
import type { OperatorManifest } from '../operator-manifest.ts'
import { templateFault } from '../templates/check-template.ts'
import { mapTexts } from '../templates/map-texts.ts'
import { currentDag } from './dag-builder.ts'
import type { Task, TaskInputs } from './handles.ts'
import { shown } from './option-values.ts'
import type { PodCallback } from './pod-callbacks.ts'
import { checkMovedOptions, movedOptionNames } from './pod-moved-options.ts'
import type { OperatorTaskOptions } from './pod-operator-options.ts'
import { camelCase, optionsInCamelCase } from './pod-option-names.ts'

const taskOptionNames = [
  'after',
  'retries',
  'retryDelay',
  'retryExponentialBackoff',
  'maxRetryDelay',
  'executionTimeout',
  'triggerRule',
  'priorityWeight',
  'spot',
  'doc',
  'inputs',
] as const satisfies readonly (keyof OperatorTaskOptions)[]

/** Not for operators, though every other task may have it: its Dag's default must not reach them either. */
const withoutWorker = {
  executor: 'kubernetes',
  isolation: 'warm',
  podOverride: null,
  podTemplateFile: null,
} as const

interface OperatorCall<Manifest extends OperatorManifest> {
  id: string
  options: unknown
  kind: Manifest['kind']
  /** In camel case, without those of every task. */
  optionNames: readonly string[]
  /** @param options in camel case */
  read(place: string, options: Readonly<Record<string, unknown>>): Manifest
  /** Those of a pod; default: none. */
  readCallbacks?(place: string, options: Readonly<Record<string, unknown>>): PodCallback[]
}

/**
 * Adds the task to the Dag that is being defined.
 * @throws DagDefinitionError
 */
export function addOperator<Result, Manifest extends OperatorManifest>(
  call: OperatorCall<Manifest>,
): Task<Result> {
  const { id, kind } = call
  const dag = currentDag(`${kind}(${shown(id)})`)
  const taskId = dag.fullId('task_id', id)
  const place = dag.placeOf(taskId)
  const taskOptions = taskOptionNames.filter((name) => kind !== 'resource' || name !== 'spot')
  const known = [...call.optionNames, ...taskOptions, ...movedOptionNames]
  const given = optionsInCamelCase(place, call.options, known)
  checkMovedOptions(place, given, call.optionNames)
  const isTaskOption = (name: string) => (taskOptionNames as readonly string[]).includes(name)
  const entries = Object.entries(given)
  const { inputs = {}, ...options } = Object.fromEntries(entries.filter(([name]) => isTaskOption(name)))
  const own = Object.fromEntries(entries.filter(([name]) => !isTaskOption(name)))
  checkInputs(place, inputs)
  const operator = call.read(place, own)
  checkTemplates(place, operator, Object.keys(inputs))
  return dag.addTask({
    taskId,
    kind,
    inputs,
    options: { ...options, ...withoutWorker, ...(kind === 'resource' && { spot: null }) },
    definition: { kind, taskId, callbacks: call.readCallbacks?.(place, own) ?? [] },
    operator,
  })
}

/** Their names are environment variables too. */
function checkInputs(place: string, inputs: unknown): asserts inputs is TaskInputs {
  if (typeof inputs !== 'object' || inputs === null || Array.isArray(inputs)) {
    throw new DagDefinitionError(
      `${place}: option 'inputs' is ${shown(inputs)}, but must be an object: name → task`,
    )
  }
  const wrong = Object.keys(inputs).find((name) => !/^[A-Za-z_]\w*$/.test(name))
  if (wrong !== undefined) {
    throw new DagDefinitionError(
      `${place}: option 'inputs' is ${shown(wrong)}, but must be named with letters, digits and '_', as environment variables are`,
    )
  }
}

/** Names that cannot be right are told now, not when the pod is to start. */
function checkTemplates(place: string, operator: OperatorManifest, inputNames: readonly string[]): void {
  for (const [key, value] of Object.entries(operator)) {
    mapTexts(value, `option '${camelCase(key)}'`, (text, at) => {
      const fault = templateFault(text, inputNames)
      if (fault !== null)
        throw new DagDefinitionError(`${place}, ${at}: ${fault}`, { details: { place, at } })
      return text
    })
  }
}
