// A run as a scheduler without a database would keep it: the live state, and the rows that its changes make. Each
// event is checked against everything that must hold always, by means that share nothing with the code: counts
// are counted anew from the rows, and a scheduler that took the run over at this moment must hold the same.
import { expect } from 'vitest'
import type { TaskInstanceState } from '../../../runtime/states.ts'
import type { DagGraph } from '../../../scheduler/decide/dag-graph.ts'
import { type Change, decide, type RunEvent } from '../../../scheduler/decide/decide.ts'
import { createRunState, type RunState } from '../../../scheduler/decide/run-state.ts'
import { RunRows } from './run-rows.ts'

export class RunInMemory {
  readonly graph: DagGraph
  readonly live: RunState
  readonly rows: RunRows
  /** Every event with its changes, in order. */
  readonly history: { event: RunEvent; changes: Change[] }[] = []
  /** Retries whose time has come and that wait for room; whoever takes the run over finds them due at once. */
  readonly due = new Set<number>()
  isCancelled = false

  constructor(graph: DagGraph) {
    this.graph = graph
    this.live = createRunState(graph)
    this.rows = new RunRows(graph)
    this.happen({ type: 'leased' })
  }

  /** Decides `event`, commits, and checks what must hold. */
  happen(event: RunEvent): Change[] {
    const wasEnded = this.rows.state !== 'running'
    const successor = this.takeOver()
    const changes = decide(this.live, event)
    // A scheduler that took over just before would have decided the same.
    expect(decide(successor, event)).toEqual(changes)
    this.history.push({ event, changes })
    this.rows.commit(changes)
    this.#followDue(event, changes)
    if (event.type === 'cancel' && !wasEnded) this.isCancelled = true
    if (wasEnded && changes.some((change) => change.type === 'run')) this.isCancelled = false
    this.#check(changes)
    return changes
  }

  /** The state of a scheduler that knows the rows alone, beside what the run's command and next_try_at say. */
  takeOver(): RunState {
    const successor = createRunState(this.graph, [...this.rows.taskInstances.values()])
    successor.state = this.live.state
    successor.isCancelled = this.live.isCancelled
    if (this.history.length === 0) return successor
    expect(decide(successor, { type: 'leased' })).toEqual([])
    for (const task of this.due) expect(decide(successor, { type: 'retry_due', task })).toEqual([])
    return successor
  }

  #followDue(event: RunEvent, changes: readonly Change[]): void {
    if (event.type === 'retry_due' && this.rows.stateOf(event.task) === 'up_for_retry') {
      this.due.add(event.task)
    }
    for (const change of changes) {
      if (change.type === 'queue' || change.type === 'set') this.due.delete(change.task)
    }
  }

  #check(changes: readonly Change[]): void {
    const { graph, rows, live } = this
    const active = rows.tasksIn('queued', 'running')
    expect(active.length).toBeLessThanOrEqual(graph.manifest.max_active_tasks)
    for (const change of changes) {
      if (change.type !== 'queue') continue
      expect(this.isCancelled, 'nothing is queued after a cancellation').toBe(false)
      for (const above of graph.upstream[change.task]!) expect(rows.stateOf(above)).toBe('success')
    }
    this.#checkOrder(changes)
    expect(rows.state).toBe(naiveRunState(this))
    expect(live.isCancelled && rows.state === 'running').toBe(this.isCancelled && rows.state === 'running')
    expect(viewOf(live)).toEqual(viewOf(this.takeOver()))
    expect(viewOf(live)).toEqual(naiveView(this))
    for (const task of this.due) expect(live.tasks[task]!.isReady).toBe(true)
    const waiting = readyTasks(live).map((task) => graph.rank[task]!)
    expect(live.ready.data).toEqual(expect.arrayContaining(waiting))
  }

  /** What was queued had the highest priority of what was ready, and nothing that has room is left waiting. */
  #checkOrder(changes: readonly Change[]): void {
    const { graph, live } = this
    const queued = changes.flatMap((change) => (change.type === 'queue' ? [graph.rank[change.task]!] : []))
    const waiting = readyTasks(live).map((task) => graph.rank[task]!)
    expect(queued).toEqual(queued.toSorted((a, b) => a - b))
    if (queued.length > 0 && waiting.length > 0) {
      expect(Math.max(...queued)).toBeLessThan(Math.min(...waiting))
    }
    if (waiting.length > 0) expect(live.active).toBe(graph.manifest.max_active_tasks)
  }
}

/** Tasks that wait for room alone. */
export function readyTasks(run: RunState): number[] {
  return run.tasks.flatMap((task, number) => (task.isReady ? [number] : []))
}

/** All of a state but the order in which ready tasks lie in memory. */
export function viewOf(run: RunState) {
  const { state, isCancelled, active, unfinished, tasks } = run
  return { state, isCancelled, active, unfinished, tasks }
}

const endedStates: readonly TaskInstanceState[] = ['success', 'failed', 'skipped', 'upstream_failed']

/** What a state must be for these rows, counted from nothing. */
function naiveView({ graph, rows, live, due }: RunInMemory): ReturnType<typeof viewOf> {
  const isRoomless = rows.tasksIn('queued', 'running').length === graph.manifest.max_active_tasks
  return {
    state: rows.state,
    isCancelled: live.isCancelled,
    active: rows.tasksIn('queued', 'running').length,
    unfinished: graph.tasks.length - rows.tasksIn(...endedStates).length,
    tasks: graph.tasks.map((task, number) => {
      const above = graph.upstream[number]!.map((upstream) => rows.stateOf(upstream))
      const count = (state: TaskInstanceState) => above.filter((one) => one === state).length
      const row = rows.taskInstances.get(number)
      const isRunnable = row === undefined || row.state === 'none' || due.has(number)
      return {
        state: rows.stateOf(number),
        tryNumber: row?.try_number ?? 0,
        maxTries: row?.max_tries ?? task.retries + 1,
        infrastructureRetries: row?.infrastructure_retries ?? 0,
        hasRow: row !== undefined,
        isReady: isRoomless && isRunnable && above.every((state) => state === 'success'),
        upstream: {
          total: above.length,
          success: count('success'),
          failed: count('failed'),
          skipped: count('skipped'),
          upstream_failed: count('upstream_failed'),
        },
      }
    }),
  }
}

/** The state of the run as its rows and the cancellation say. */
function naiveRunState({ graph, rows, isCancelled }: RunInMemory) {
  const states = graph.tasks.map((_, number) => rows.stateOf(number))
  if (!states.every((state) => endedStates.includes(state))) return 'running'
  const hasDownstream = new Set(graph.tasks.flatMap((task) => task.upstream_task_ids))
  const isFailed = graph.tasks.some(
    (task, number) =>
      !hasDownstream.has(task.task_id) && ['failed', 'upstream_failed'].includes(states[number]!),
  )
  return isCancelled || isFailed ? 'failed' : 'success'
}
