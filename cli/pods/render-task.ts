// What a task is in a cluster, rendered without one: the pod, job or objects of its first attempt. It is the scheduler's
// own code that makes them; what only a run knows has values that show what stands there.
import { notMapped } from '../../runtime/ids.ts'
import type { LoadedDag } from '../../runtime/loader/load-result.ts'
import type { TaskManifest } from '../../runtime/manifest.ts'
import { mapTexts } from '../../runtime/templates/map-texts.ts'
import { isTemplate, parseTemplate } from '../../runtime/templates/parse-template.ts'
import type { DispatchOrder } from '../../scheduler/executors/executor.ts'
import { createPodBuilder } from '../../scheduler/executors/kubernetes/build-pod.ts'
import type { RenderSettings } from './render-settings.ts'

/** The run for which it is rendered; it need not exist. */
export interface RenderRun {
  run_id: string
  run_type: 'scheduled' | 'manual'
  /** ISO 8601. */
  logical_date: string
  data_interval_start: string
  data_interval_end: string
  /** Over the Dag's defaults. */
  params: Readonly<Record<string, unknown>>
  /** Task id → its result, as far as it is known. */
  results: Readonly<Record<string, unknown>>
}

export interface RenderInput {
  dag: LoadedDag
  task: TaskManifest
  /** Directory of the commit. */
  root: string
  commitSha: string | null
  run: RenderRun
  settings: RenderSettings
}

/** Of a deployment and a run that there are not. */
const unknownDeploymentId = '00000000-0000-0000-0000-000000000000'
const unknownRunId = 0

/** A commit where the source is no checkout; what stands there is a hash. */
const unknownCommit = '0'.repeat(40)

/**
 * The objects that one attempt would have the API server make.
 * @throws PodSpecError, TemplateError as the scheduler would fail the task instance with them
 */
export async function renderTask(input: RenderInput): Promise<object[]> {
  const { settings, template, hook } = input.settings
  const build = createPodBuilder({
    podSettings: settings,
    template,
    hook,
    deploymentId: unknownDeploymentId,
  })
  const { pod, objects } = await build(dispatchOf(input))
  return pod === null ? objects.objects : [pod]
}

function dispatchOf({ dag, task, root, commitSha, run }: RenderInput): DispatchOrder {
  return {
    dagRunId: unknownRunId,
    dag: dag.manifest,
    task: withKnownInputs(task, run),
    order: {
      attempt_id: '',
      token: '',
      dag_id: dag.dag_id,
      run_id: run.run_id,
      task_id: task.task_id,
      map_index: notMapped,
      try_number: 1,
      max_tries: task.retries + 1,
      run_type: run.run_type,
      logical_date: run.logical_date,
      data_interval_start: run.data_interval_start,
      data_interval_end: run.data_interval_end,
      params: JSON.stringify({ ...dag.manifest.params, ...run.params }),
      inputs: inputsOf(task, run),
      bundle_hash: dag.bundle_hash,
      bundle_path: dag.bundle_path,
      source_path: root,
      commit_sha: commitSha ?? unknownCommit,
      log_path: '',
      execution_timeout_ms: task.execution_timeout_ms,
    },
  }
}

function inputsOf({ inputs }: TaskManifest, { results }: RenderRun): Record<string, string> {
  const texts = Object.entries(inputs).map(([name, id]) => [
    name,
    JSON.stringify(Object.hasOwn(results, id) ? results[id] : `<inputs.${name}>`),
  ])
  return Object.fromEntries(texts)
}

/** `{{ inputs.orders[0].id }}` becomes `<inputs.orders[0].id>` where nobody gave that result. */
function withKnownInputs(task: TaskManifest, { results }: RenderRun): TaskManifest {
  const isKnown = (name: string) => Object.hasOwn(results, task.inputs[name] ?? '')
  const operator = mapTexts(task.operator, 'operator', (text) => {
    const parts = isTemplate(text) ? parseTemplate(text).parts : null
    if (parts === null) return text
    const written = parts.map((part) => {
      if (typeof part === 'string') return part
      const [name, input] = part.path
      const isUnknown = name === 'inputs' && input !== undefined && !isKnown(String(input))
      return isUnknown ? `<${part.source}>` : `{{ ${part.source} }}`
    })
    return written.join('')
  })
  return { ...task, operator }
}
