// What a scheduler holds in memory of a run that it leases: the state of each task, and for each task the counts
// of how its upstream tasks ended, so that a finished task costs its own edges and not the whole run. It can be
// rebuilt at any time from the run's rows; the counts are never stored.
import TinyQueue from 'tinyqueue'
import { type DagRunState, finishedTaskInstanceStates, type TaskInstanceState } from '../../runtime/states.ts'
import type { UpstreamCounts } from '../../runtime/trigger-rules.ts'
import type { DagGraph } from './dag-graph.ts'

export interface TaskState {
  state: TaskInstanceState
  /** Number of the newest attempt; 0: none. */
  tryNumber: number
  /** A failed attempt with a smaller number is retried. */
  maxTries: number
  /** Attempts made because the cluster failed the one before; they count in tryNumber and maxTries. */
  infrastructureRetries: number
  /** Whether task_instance has a row of it. */
  hasRow: boolean
  /** Its trigger rule says run; it waits for room under max_active_tasks. */
  isReady: boolean
  readonly upstream: UpstreamCounts
}

export interface RunState {
  readonly graph: DagGraph
  state: DagRunState
  /** Somebody asked to cancel it, or it timed out: nothing new starts, and it ends as failed. */
  isCancelled: boolean
  readonly tasks: readonly TaskState[]
  /** Ranks of ready tasks, lowest first. */
  readonly ready: TinyQueue<number>
  /** Attempts queued or running. */
  active: number
  unfinished: number
}

/** A task_instance row, as far as deciding needs it. */
export interface TaskInstanceRow {
  task_id: string
  state: TaskInstanceState
  try_number: number
  max_tries: number
  infrastructure_retries: number
}

const finished = new Set<TaskInstanceState>(finishedTaskInstanceStates)

/** Whether a task in `state` changes only by being cleared. */
export function isFinished(state: TaskInstanceState): boolean {
  return finished.has(state)
}

/** Adds `by` to what `task`'s downstream tasks know about tasks that ended as `state`. */
export function countUpstream(run: RunState, task: number, state: TaskInstanceState, by: 1 | -1): void {
  for (const below of run.graph.downstream[task]!) {
    const counts = run.tasks[below]!.upstream
    counts[state as Exclude<keyof UpstreamCounts, 'total'>] += by
  }
}

/**
 * The state of a run as its rows say; no rows for a run that has just begun. Rows of unknown tasks are left alone.
 * @param state of the run; one that has ended is given only to be cleared
 */
export function createRunState(
  graph: DagGraph,
  rows: readonly TaskInstanceRow[] = [],
  state: DagRunState = 'running',
): RunState {
  const tasks = graph.tasks.map(
    (task, number): TaskState => ({
      state: 'none',
      tryNumber: 0,
      maxTries: task.retries + 1,
      infrastructureRetries: 0,
      hasRow: false,
      isReady: false,
      upstream: {
        total: graph.upstream[number]!.length,
        success: 0,
        failed: 0,
        skipped: 0,
        upstream_failed: 0,
      },
    }),
  )
  const run: RunState = {
    graph,
    state,
    isCancelled: false,
    tasks,
    ready: new TinyQueue<number>([], (a, b) => a - b),
    active: 0,
    unfinished: tasks.length,
  }
  for (const row of rows) {
    const number = graph.numberOf.get(row.task_id)
    if (number === undefined) continue
    const task = tasks[number]!
    task.state = row.state
    task.tryNumber = row.try_number
    task.maxTries = row.max_tries
    task.infrastructureRetries = row.infrastructure_retries
    task.hasRow = true
    if (row.state === 'queued' || row.state === 'running') run.active += 1
    if (isFinished(row.state)) {
      run.unfinished -= 1
      countUpstream(run, number, row.state, 1)
    }
  }
  return run
}
