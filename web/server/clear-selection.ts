// Which task instances a request to clear means. Pure: a run's version, its instances and the request in, a list out.
import { ConflictError } from '../../runtime/errors.ts'
import type { DagManifest } from '../../runtime/manifest.ts'
import type { ClearBody } from './schemas/dag-run.ts'
import type { TaskInstance } from './schemas/task-instance.ts'

/**
 * The chosen tasks and, unless it says otherwise, all below them, as far as there is anything to clear: a task
 * that was not reached yet will run anyway.
 * @param instances of every task, in topological order, which is also that of the answer
 * @throws ConflictError where that is nothing
 */
export function selectToClear(
  manifest: DagManifest,
  instances: readonly TaskInstance[],
  request: ClearBody,
): TaskInstance[] {
  const onlyFailed = request.only_failed ?? request.task_ids === undefined
  const asked = request.task_ids === undefined ? undefined : new Set(request.task_ids)
  const isFailed = ({ state }: TaskInstance) => state === 'failed' || state === 'upstream_failed'
  const chosen = new Set(
    instances
      .filter((one) => (asked?.has(one.task_id) ?? true) && (!onlyFailed || isFailed(one)))
      .map((one) => one.task_id),
  )
  if (request.include_downstream ?? true) addDownstream(manifest, chosen)
  const selected = instances.filter((one) => chosen.has(one.task_id) && one.state !== 'none')
  if (selected.length > 0) return selected
  throw new ConflictError(
    onlyFailed
      ? 'there is nothing to clear: none of these tasks is failed or upstream_failed. To run others again, say which (task_ids), or all (only_failed: false)'
      : 'there is nothing to clear: none of these tasks has been reached yet, they will run anyway',
  )
}

/** One pass is enough, as an upstream task stands before those that need it. */
function addDownstream(manifest: DagManifest, chosen: Set<string>): void {
  for (const task of manifest.tasks) {
    if (task.upstream_task_ids.some((taskId) => chosen.has(taskId))) chosen.add(task.task_id)
  }
}
