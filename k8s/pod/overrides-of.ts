// Which overrides a task's pods get: the Dag's, those of the groups around the task from the outside in, its own.
import type { DagManifest, TaskManifest } from '../../runtime/manifest.ts'
import type { PodOverride } from '../../runtime/pod-override.ts'

/** In the order in which they are laid over each other. */
export function overridesOf(
  dag: Pick<DagManifest, 'pod_override' | 'task_groups'>,
  task: Pick<TaskManifest, 'task_id' | 'pod_override'>,
): PodOverride[] {
  const around = dag.task_groups
    .filter(({ group_id }) => task.task_id.startsWith(`${group_id}.`))
    .sort((one, other) => one.group_id.length - other.group_id.length)
  return [dag, ...around, task].map(({ pod_override }) => pod_override).filter((part) => part !== null)
}
