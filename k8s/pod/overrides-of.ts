// Which overrides a task's pods get: the Dag's, those of the groups around the task from the outside in, its own.
import type { DagManifest, TaskManifest } from '../../runtime/manifest.ts'
import type { PodOverride } from '../../runtime/pod-override.ts'

type OverridingDag = Pick<DagManifest, 'pod_override' | 'task_groups'>
type OverridingTask = Pick<TaskManifest, 'task_id' | 'pod_override'>

/** In the order in which they are laid over each other. */
export function overridesOf(dag: OverridingDag, task: OverridingTask): PodOverride[] {
  return overrideLayersOf(dag, task).map(({ override }) => override)
}

/** The same with who says them, for people: `Dag`, `group etl`, `task`. */
export function overrideLayersOf(
  dag: OverridingDag,
  task: OverridingTask,
): { from: string; override: PodOverride }[] {
  const around = dag.task_groups
    .filter(({ group_id }) => task.task_id.startsWith(`${group_id}.`))
    .sort((one, other) => one.group_id.length - other.group_id.length)
    .map(({ group_id, pod_override }) => ({ from: `group ${group_id}`, override: pod_override }))
  const layers = [
    { from: 'Dag', override: dag.pod_override },
    ...around,
    { from: 'task', override: task.pod_override },
  ]
  return layers.flatMap(({ from, override }) => (override === null ? [] : [{ from, override }]))
}
