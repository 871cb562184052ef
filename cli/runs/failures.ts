// Why a run failed, below its tree: the errors of its failed tasks, and where to read more.

import type { DagRunDetails } from '../../web/server/schemas/dag-run.ts'
import type { TaskInstanceDetails } from '../../web/server/schemas/task-instance.ts'
import { type Api, path } from '../api/client.ts'
import { callText } from '../call-text.ts'
import type { Style } from '../output/style.ts'

/** More would push the tree out of sight; the first is often the cause of the rest. */
const maxShown = 3

/** Lines about the run's failed tasks; none where no task failed. */
export async function failureLines(api: Api, run: DagRunDetails, style: Style): Promise<string[]> {
  const failed = run.task_instances.filter((task) => task.state === 'failed')
  const shown = await Promise.all(
    failed
      .slice(0, maxShown)
      .map(({ task_id }) =>
        api.get<TaskInstanceDetails>(
          path`/dags/${run.dag_id}/dagRuns/${run.run_id}/taskInstances/${task_id}`,
        ),
      ),
  )
  const lines = shown.flatMap((task) => failureOf(task, style))
  const rest = failed.length - shown.length
  return rest > 0 ? [...lines, style('dim', `and ${rest} more failed tasks`)] : lines
}

function failureOf({ dag_id, run_id, task_id, attempts }: TaskInstanceDetails, style: Style): string[] {
  const error = attempts.at(-1)?.error
  const told = error ? `${error.name}: ${error.message}` : 'failed'
  return [
    '',
    `${style('red', `✗ ${task_id}`)}  ${told}`,
    style('dim', `  ${callText(`tasks logs ${dag_id} ${run_id} ${task_id}`)}`),
  ]
}
