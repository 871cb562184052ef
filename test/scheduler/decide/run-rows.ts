// What Postgres would hold of one run: the changes of `decide` written to plain Maps with the checks that
// commit_changes() of the migrations makes (primary keys, the state that a change leaves) and those of the
// table of moves.
import { type DagRunState, type TaskInstanceState, taskInstanceMoves } from '../../../runtime/states.ts'
import type { DagGraph } from '../../../scheduler/decide/dag-graph.ts'
import type { Change } from '../../../scheduler/decide/decide.ts'
import type { TaskInstanceRow } from '../../../scheduler/decide/run-state.ts'

export type AttemptRowState = 'queued' | 'running' | 'success' | 'failed' | 'skipped'

export class RunRows {
  readonly graph: DagGraph
  state: DagRunState = 'running'
  readonly taskInstances = new Map<number, TaskInstanceRow>()
  /** `task/try` → state. */
  readonly attempts = new Map<string, AttemptRowState>()

  constructor(graph: DagGraph) {
    this.graph = graph
  }

  /** State of a task; a task without a row is `none`. */
  stateOf(task: number): TaskInstanceState {
    return this.taskInstances.get(task)?.state ?? 'none'
  }

  /** Number of the newest attempt of a task. */
  tryNumberOf(task: number): number {
    return this.taskInstances.get(task)?.try_number ?? 0
  }

  /** Tasks in one of `states`, in order. */
  tasksIn(...states: readonly TaskInstanceState[]): number[] {
    return [...this.graph.tasks.keys()].filter((task) => states.includes(this.stateOf(task)))
  }

  /** Writes the changes of one event. @throws Error where Postgres or the table of moves would refuse one */
  commit(changes: readonly Change[]): void {
    const touched = new Set<number | 'run'>()
    for (const change of changes) {
      const subject = change.type === 'run' ? 'run' : change.task
      if (touched.has(subject)) throw new Error(`${subject} stands twice: ${JSON.stringify(changes)}`)
      touched.add(subject)
      this.#write(change)
    }
  }

  #write(change: Change): void {
    switch (change.type) {
      case 'queue': {
        const { task, tryNumber, from, hasRow } = change
        this.#leave(change, from, 'queued', hasRow)
        this.#setRow(task, { state: 'queued', try_number: tryNumber, ...this.#budget(change) })
        const attempt = `${task}/${tryNumber}`
        if (this.attempts.has(attempt)) throw new Error(`attempt ${attempt} is there already`)
        this.attempts.set(attempt, 'queued')
        break
      }
      case 'start': {
        this.#leave(change, 'queued', 'running', true)
        this.#sameTry(change)
        this.#setRow(change.task, { state: 'running' })
        this.attempts.set(`${change.task}/${change.tryNumber}`, 'running')
        break
      }
      case 'finish': {
        const { task, tryNumber, from, to, attemptState, retryDelayMs } = change
        this.#leave(change, from, to, true)
        this.#sameTry(change)
        if ((to === 'up_for_retry') !== (retryDelayMs !== null)) {
          throw new Error(`next_try_at goes with up_for_retry alone: ${JSON.stringify(change)}`)
        }
        this.#setRow(task, { state: to, ...this.#budget(change) })
        this.attempts.set(`${task}/${tryNumber}`, attemptState)
        break
      }
      case 'set': {
        const { task, from, to, hasRow } = change
        this.#leave(change, from, to, hasRow)
        this.#setRow(task, { state: to, ...this.#budget(change) })
        break
      }
      case 'cancel_attempt': {
        this.#sameTry(change)
        if (!['queued', 'running'].includes(this.stateOf(change.task))) throw new Error('nothing to cancel')
        break
      }
      case 'run':
        this.state = change.state
        break
    }
  }

  #leave(change: Change & { task: number }, from: TaskInstanceState, to: TaskInstanceState, hasRow: boolean) {
    const { task } = change
    const problem =
      this.stateOf(task) !== from
        ? `it is ${this.stateOf(task)}`
        : this.taskInstances.has(task) !== hasRow
          ? 'hasRow is wrong'
          : !taskInstanceMoves[from].includes(to)
            ? `${from} → ${to} is not among the moves`
            : undefined
    if (problem) throw new Error(`${problem}: ${JSON.stringify(change)}`)
  }

  #sameTry({ task, tryNumber }: { task: number; tryNumber: number }): void {
    if (this.tryNumberOf(task) !== tryNumber) {
      throw new Error(`${task} is at attempt ${this.tryNumberOf(task)}, not ${tryNumber}`)
    }
  }

  /** @throws Error where a row that is made by this change would lose some of it: a new row begins with none used */
  #budget(change: Extract<Change, { maxTries: number }> & { task: number }) {
    const { task, maxTries, infrastructureRetries } = change
    if (!this.taskInstances.has(task) && infrastructureRetries !== 0) {
      throw new Error(`a new row has no infrastructure retries: ${JSON.stringify(change)}`)
    }
    return { max_tries: maxTries, infrastructure_retries: infrastructureRetries }
  }

  #setRow(task: number, fields: Partial<TaskInstanceRow>): void {
    const task_id = this.graph.tasks[task]!.task_id
    const none = { state: 'none', try_number: 0, max_tries: 0, infrastructure_retries: 0 } as const
    const row = this.taskInstances.get(task) ?? { task_id, ...none }
    this.taskInstances.set(task, { ...row, ...fields })
  }
}
