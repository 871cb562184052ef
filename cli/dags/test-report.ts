// What `dags test` prints: what each task logged, then the tree, then the errors. Pure.
import type { TestDagRun, TestTaskInstance } from '../../runtime/authoring/test-dag.ts'
import type { DagManifest, TaskManifest } from '../../runtime/manifest.ts'
import { renderMessage } from '../output/log-line.ts'
import { buildTree, renderTree, type TreeTask } from '../output/run-tree.ts'
import { stateText } from '../output/state.ts'
import type { Style } from '../output/style.ts'
import { shortDuration } from '../output/time.ts'
import { withoutOwnFrames } from './own-frames.ts'

/** @param durationMs of the whole run */
export function renderTestRun(
  manifest: DagManifest,
  run: TestDagRun,
  durationMs: number,
  style: Style,
): string[] {
  const tasks = manifest.tasks.map((task) => ({ task, instance: run.tasks[task.task_id]! }))
  const groupIds = manifest.task_groups.map((group) => group.group_id)
  const nodes = buildTree(
    tasks.map(({ task, instance }) => treeTask(task, instance)),
    groupIds,
  )
  return [
    ...tasks.flatMap(({ task, instance }) => logLines(task.task_id, instance, style)),
    `${style('bold', manifest.dag_id)}  ${stateText(run.state, style)}  ${shortDuration(durationMs)}`,
    ...renderTree(nodes, { style, now: 0, isLive: false }),
    ...tasks.flatMap(({ task, instance }) => errorLines(task.task_id, instance, style)),
  ]
}

function logLines(taskId: string, { lines }: TestTaskInstance, style: Style): string[] {
  if (lines.length === 0) return []
  return [
    style('bold', taskId),
    ...lines.flatMap((line) => renderMessage(line, style)).map((line) => `  ${line}`),
    '',
  ]
}

/** Test runs have no clock: times of single tasks are not kept. */
function treeTask(task: TaskManifest, { state, tries }: TestTaskInstance): TreeTask {
  return {
    task_id: task.task_id,
    map_index: -1,
    state,
    try_number: tries,
    max_tries: task.retries + 1,
    next_try_at: null,
    start_date: null,
    end_date: null,
  }
}

function errorLines(taskId: string, { state, error }: TestTaskInstance, style: Style): string[] {
  if (error === null || state === 'success') return []
  if (state === 'skipped') return ['', `${style('magenta', `⊘ ${taskId}`)}  ${error.message}`]
  const { name, message, stack } = withoutOwnFrames(error)
  const told = stack ?? `${name}: ${message}`
  return ['', style('red', `✗ ${taskId}`), ...told.split('\n').map((line) => `  ${line}`)]
}
