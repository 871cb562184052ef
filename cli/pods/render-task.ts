// What a task is in a cluster, rendered without one: the pod, job or objects of its first attempt. It is the scheduler's
// own code that makes them; what only a run knows has values that show what stands there.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { buildOperatorJob } from '../../k8s/operators/operator-job.ts'
import { buildOperatorObjects } from '../../k8s/operators/operator-objects.ts'
import { buildOperatorPod } from '../../k8s/operators/operator-pod.ts'
import { operatorTemplatePath, parseOperatorTemplate } from '../../k8s/operators/operator-template.ts'
import type { AttemptIdentity } from '../../k8s/pod/attempt-identity.ts'
import { buildAttemptPod } from '../../k8s/pod/attempt-pod.ts'
import { overridesOf } from '../../k8s/pod/overrides-of.ts'
import { parsePodTemplate } from '../../k8s/pod/pod-template.ts'
import { withSpecHash } from '../../k8s/pod/spec-hash.ts'
import { PodSpecError } from '../../runtime/errors.ts'
import type { V1Pod } from '../../runtime/kubernetes-types.ts'
import type { LoadedDag } from '../../runtime/loader/load-result.ts'
import type { TaskManifest } from '../../runtime/manifest.ts'
import type { OperatorManifest } from '../../runtime/operator-manifest.ts'
import { mapTexts } from '../../runtime/templates/map-texts.ts'
import { isTemplate, parseTemplate } from '../../runtime/templates/parse-template.ts'
import { type TemplateVariables, templateVariables } from '../../runtime/templates/template-variables.ts'
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
  const { dag, task, root, run, settings: deployment } = input
  const { settings, hook } = deployment
  const identity: AttemptIdentity = {
    deploymentId: unknownDeploymentId,
    dagRunId: unknownRunId,
    dagId: dag.dag_id,
    runId: run.run_id,
    taskId: task.task_id,
    mapIndex: -1,
    tryNumber: 1,
    maxTries: task.retries + 1,
    logicalDate: run.logical_date,
    commitSha: input.commitSha ?? unknownCommit,
    bundleHash: dag.bundle_hash,
  }
  const changed = async (pod: V1Pod) => (hook === null ? pod : withSpecHash(await hook(pod, identity)))
  if (task.operator === null) {
    const file = task.pod_template_file
    const template =
      file === null
        ? deployment.template
        : parsePodTemplate(fileOfCommit(root, file), file, { hasWorkerImage: settings.image !== null })
    const overrides = overridesOf(dag.manifest, task)
    return [await changed(buildAttemptPod({ identity, settings, template, overrides, spot: task.spot }))]
  }
  const variables = variablesOf(input, identity)
  const operator = withKnownInputs(task.operator, run, task)
  if (operator.kind === 'resource') return buildOperatorObjects({ identity, settings, operator, variables })
  const template = templateOf(operator.pod_template_file, root, variables)
  return operator.kind === 'job'
    ? [buildOperatorJob({ identity, settings, operator, variables, template, spot: task.spot })]
    : [
        await changed(
          buildOperatorPod({ identity, settings, operator, variables, template, spot: task.spot }),
        ),
      ]
}

function templateOf(file: string | null, root: string, variables: TemplateVariables): V1Pod | null {
  if (file === null) return null
  const path = operatorTemplatePath(file, variables)
  return parseOperatorTemplate(fileOfCommit(root, path), path)
}

function fileOfCommit(root: string, file: string): string {
  const path = join(root, file)
  if (existsSync(path)) return readFileSync(path, 'utf8')
  throw new PodSpecError(`the pod template ${file} is not in the run's commit (${path})`)
}

function variablesOf(
  { dag, task, run }: RenderInput,
  { dagId, runId, taskId }: AttemptIdentity,
): TemplateVariables {
  const inputs = Object.entries(task.inputs).map(([name, id]) => [
    name,
    JSON.stringify(Object.hasOwn(run.results, id) ? run.results[id] : `<inputs.${name}>`),
  ])
  return templateVariables({
    dag_id: dagId,
    run_id: runId,
    task_id: taskId,
    map_index: -1,
    try_number: 1,
    run_type: run.run_type,
    logical_date: run.logical_date,
    data_interval_start: run.data_interval_start,
    data_interval_end: run.data_interval_end,
    params: JSON.stringify({ ...dag.manifest.params, ...run.params }),
    inputs: Object.fromEntries(inputs),
  })
}

/** `{{ inputs.orders[0].id }}` becomes `<inputs.orders[0].id>` where nobody gave that result. */
function withKnownInputs<Manifest extends OperatorManifest>(
  operator: Manifest,
  { results }: RenderRun,
  { inputs }: TaskManifest,
): Manifest {
  const isKnown = (name: string) => Object.hasOwn(results, inputs[name] ?? '')
  return mapTexts(operator, 'operator', (text) => {
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
}
