// The graph of one Dag version, in the form that deciding wants: tasks by number, edges as lists of numbers. It
// is made once for each version and shared by all its runs; it never changes.
import type { DagManifest, TaskManifest } from '../../runtime/manifest.ts'

export interface DagGraph {
  readonly manifest: DagManifest
  /** In topological order; a task's place in it is its number everywhere in this folder. */
  readonly tasks: readonly TaskManifest[]
  readonly numberOf: ReadonlyMap<string, number>
  /** Task → the tasks that it is directly upstream of. */
  readonly downstream: readonly (readonly number[])[]
  readonly upstream: readonly (readonly number[])[]
  /** Task → its place in the order in which ready tasks start: higher priority_weight first, then topological. */
  readonly rank: readonly number[]
  /** Rank → task. */
  readonly byRank: readonly number[]
}

/** Makes the graph of a manifest whose ids and edges the loader has checked. */
export function createDagGraph(manifest: DagManifest): DagGraph {
  const tasks = manifest.tasks
  const numberOf = new Map(tasks.map((task, number) => [task.task_id, number]))
  const downstream: number[][] = tasks.map(() => [])
  const upstream = tasks.map((task, number) =>
    task.upstream_task_ids.map((taskId) => {
      const above = numberOf.get(taskId)!
      downstream[above]!.push(number)
      return above
    }),
  )
  const byRank = tasks
    .map((_, number) => number)
    .sort((a, b) => tasks[b]!.priority_weight - tasks[a]!.priority_weight || a - b)
  const rank: number[] = new Array(tasks.length)
  for (const [place, number] of byRank.entries()) rank[number] = place
  return { manifest, tasks, numberOf, downstream, upstream, rank, byRank }
}
