// Renders the tasks of one Dag, each to a file.
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Config } from '../../runtime/config-table.ts'
import { PodSpecError, TemplateError } from '../../runtime/errors.ts'
import { checkRunId } from '../../runtime/ids.ts'
import type { LoadedDag } from '../../runtime/loader/load-result.ts'
import type { TaskManifest } from '../../runtime/manifest.ts'
import type { ResourceOperatorManifest } from '../../runtime/operator-manifest.ts'
import { executorOf } from '../../scheduler/executors/executor-of.ts'
import { timetableOf } from '../../scheduler/timetable/timetable.ts'
import { type RenderedFile, renderedFileName, renderYaml, withoutCommit } from './render-files.ts'
import type { RenderSettings } from './render-settings.ts'
import { type RenderRun, renderTask } from './render-task.ts'

export interface RenderedTask {
  file: RenderedFile
  objects: object[]
  /** What is done with the objects. */
  action: ResourceOperatorManifest['action']
}

interface DagRequest {
  dag: LoadedDag
  /** Default: every task that would have a pod. */
  taskId: string | undefined
  root: string
  commitSha: string | null
  config: Config
  settings: RenderSettings
  date: string
  runId: string | undefined
  params: Readonly<Record<string, unknown>>
  results: Readonly<Record<string, unknown>>
  /** What differs between any two commits is left out. */
  isCompared: boolean
}

/**
 * @returns notes: why a task has no file. faults: why one cannot be made, as the scheduler would fail it with
 * @throws InvalidInputError
 */
export async function renderDag(
  request: DagRequest,
): Promise<{ tasks: RenderedTask[]; notes: string[]; faults: string[] }> {
  const { dag, taskId, commitSha, isCompared } = request
  const run = runOf(request)
  const tasks: RenderedTask[] = []
  const notes: string[] = []
  const faults: string[] = []
  for (const task of dag.manifest.tasks) {
    if (taskId !== undefined && task.task_id !== taskId) continue
    const executor = executorFor(task, request.config)
    if (executor !== 'kubernetes') {
      notes.push(`${dag.dag_id}.${task.task_id} has no pod: its executor is '${executor}'`)
      continue
    }
    let made: object[]
    try {
      made = await renderTask({ ...request, task, run })
    } catch (error) {
      if (!(error instanceof PodSpecError || error instanceof TemplateError)) throw error
      faults.push(`${dag.dag_id}.${task.task_id}: ${error.message}`)
      continue
    }
    const objects = isCompared ? made.map((object) => withoutCommit(object, commitSha)) : made
    const remarks = isCompared ? [] : remarksOf(request, run)
    const name = renderedFileName(dag.dag_id, task.task_id, run.logical_date)
    const action = task.operator?.kind === 'resource' ? task.operator.action : 'create'
    tasks.push({ file: { name, text: renderYaml(objects, remarks) }, objects, action })
  }
  return { tasks, notes, faults }
}

/** @returns lines that say what was written */
export async function writeFiles(folder: string, tasks: readonly RenderedTask[]): Promise<string[]> {
  await mkdir(folder, { recursive: true })
  for (const { file } of tasks) await writeFile(join(folder, file.name), file.text)
  return tasks.map(({ file }) => join(folder, file.name))
}

/** Where the deployment is not said to have the executor kubernetes, it is asked as if it had it for all tasks. */
function executorFor(task: TaskManifest, config: Config): string {
  const hasKubernetes = config.executors.includes('kubernetes')
  return executorOf(task, hasKubernetes ? (config.default_executor ?? config.executors[0]!) : 'kubernetes')
}

function runOf({ dag, date, runId, params, results }: DagRequest): RenderRun {
  const { schedule } = dag.manifest
  const type = schedule === null ? 'manual' : 'scheduled'
  const { start, end } = timetableOf(schedule).manualInterval(Date.parse(date))
  return {
    run_id: runId === undefined ? `${type}__${date}` : checkRunId(runId),
    run_type: type,
    logical_date: date,
    data_interval_start: new Date(start).toISOString(),
    data_interval_end: new Date(end).toISOString(),
    params,
    results,
  }
}

function remarksOf({ dag, commitSha }: DagRequest, run: RenderRun): string[] {
  return [
    `${dag.file}, run ${run.run_id}, first attempt.`,
    'Only a run has them: branchline.dev/deployment_id (zeros here), and the letters at the end of the name.',
    ...(commitSha === null ? ['The source is no Git checkout: the commit is zeros.'] : []),
  ]
}
