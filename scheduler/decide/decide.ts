// The decision: (state of a run, event) → changes. No clock, no database, no randomness: the same state and
// event give the same changes, always. `decide` moves the state along as it goes, because a cascade must see its
// own effects, and a state rebuilt from the rows that the changes make equals the one that was moved along; the
// tests hold both over generated graphs and orders of events.
//
// A task, and the run, stands at most once among the changes of one event, so that one statement can write them all. The
// caller commits the changes and acts on them only then: what is queued is dispatched, what is cancelled is told.

import { retryDelayMs } from '../../runtime/retry-delay.ts'
import type { TaskInstanceState } from '../../runtime/states.ts'
import { type TriggerDecision, triggerDecision } from '../../runtime/trigger-rules.ts'
import { countUpstream, isFinished, type RunState } from './run-state.ts'

/** How often, and how long after the failure, an attempt that the cluster failed is made again. */
export interface InfrastructureBudget {
  retries: number
  /** Of the first; doubled each time. */
  retryDelayMs: number
}

/** Delays between attempts that the cluster failed do not grow beyond this. */
const maxInfrastructureDelayMs = 5 * 60_000
/** Of that delay, enough for one of a millisecond; bounded, since a delay of 0 times Infinity would be NaN. */
const maxDoublings = 20

/** Tasks are numbers of the run's graph. */
export type RunEvent =
  /** The run was leased: look at every task once. */
  | { type: 'leased' }
  | { type: 'attempt_started'; task: number; tryNumber: number }
  | {
      type: 'attempt_finished'
      task: number
      tryNumber: number
      state: 'success' | 'failed' | 'skipped'
      /** False: no further attempt, whatever `retries` says. */
      retryable: boolean
      /** The cluster failed it, not the task: another attempt is made within this budget, beside `retries`. Absent: the task did. */
      infrastructure?: InfrastructureBudget | null
    }
  | { type: 'retry_due'; task: number }
  /** Nothing new starts, active attempts are told to end, the run becomes failed when they have. */
  | { type: 'cancel'; reason: 'cancelled' | 'run_timeout' }
  /**
   * These tasks are to run again, but for active and undecided ones. Their attempts go on counting. Changes
   * nothing in a run that is cancelled and has not ended: clear it when it has.
   */
  | { type: 'clear'; tasks: readonly number[] }

export type Change =
  | {
      type: 'queue'
      task: number
      tryNumber: number
      maxTries: number
      infrastructureRetries: number
      from: TaskInstanceState
      hasRow: boolean
    }
  | { type: 'start'; task: number; tryNumber: number }
  | {
      type: 'finish'
      task: number
      tryNumber: number
      from: TaskInstanceState
      to: 'success' | 'failed' | 'skipped' | 'up_for_retry'
      attemptState: 'success' | 'failed' | 'skipped'
      /** With up_for_retry. */
      retryDelayMs: number | null
      maxTries: number
      infrastructureRetries: number
    }
  | {
      type: 'set'
      task: number
      from: TaskInstanceState
      to: 'none' | 'failed' | 'skipped' | 'upstream_failed'
      maxTries: number
      infrastructureRetries: number
      hasRow: boolean
    }
  | { type: 'cancel_attempt'; task: number; tryNumber: number; reason: 'cancelled' | 'run_timeout' }
  | { type: 'run'; state: 'running' | 'success' | 'failed' }

/**
 * What `event` means for `run`; moves `run` along. An event of an attempt that is not the current one, or of one
 * that has ended, gives no changes.
 */
export function decide(run: RunState, event: RunEvent): Change[] {
  const changes: Change[] = []
  switch (event.type) {
    case 'leased':
      for (let task = 0; task < run.tasks.length; task += 1) evaluate(run, task, changes)
      break
    case 'attempt_started':
      start(run, event.task, event.tryNumber, changes)
      break
    case 'attempt_finished':
      finishAttempt(run, event, changes)
      break
    case 'retry_due':
      retry(run, event.task, changes)
      break
    case 'cancel':
      cancel(run, event.reason, changes)
      break
    case 'clear':
      clear(run, event.tasks, changes)
      break
  }
  queueReady(run, changes)
  endRun(run, changes)
  return changes
}

/** What its trigger rule says of a task by now; `wait` also where it was decided before. */
function decisionFor(run: RunState, number: number): TriggerDecision {
  const task = run.tasks[number]!
  if (task.state !== 'none' || task.isReady) return 'wait'
  if (run.isCancelled) return 'skipped'
  return triggerDecision(run.graph.tasks[number]!.trigger_rule, task.upstream)
}

function evaluate(run: RunState, number: number, changes: Change[]): void {
  const decision = decisionFor(run, number)
  if (decision === 'run') makeReady(run, number)
  else if (decision !== 'wait') settle(run, number, decision, changes)
}

function makeReady(run: RunState, number: number): void {
  const task = run.tasks[number]!
  if (task.isReady) return
  task.isReady = true
  run.ready.push(run.graph.rank[number]!)
}

/** Gives a task a final state without an attempt, and whatever follows from that to the tasks below it. */
function settle(
  run: RunState,
  first: number,
  to: 'failed' | 'skipped' | 'upstream_failed',
  changes: Change[],
): void {
  const settled: number[] = []
  const set = (number: number, state: typeof to) => {
    const task = run.tasks[number]!
    const { state: from, maxTries, infrastructureRetries, hasRow } = task
    changes.push({ type: 'set', task: number, from, to: state, maxTries, infrastructureRetries, hasRow })
    task.state = state
    task.hasRow = true
    task.isReady = false
    run.unfinished -= 1
    countUpstream(run, number, state, 1)
    settled.push(number)
  }
  set(first, to)
  // A growing list instead of recursion: a chain of ten thousand tasks may be skipped at once.
  for (let next = 0; next < settled.length; next += 1) {
    for (const below of run.graph.downstream[settled[next]!]!) {
      const decision = decisionFor(run, below)
      if (decision === 'run') makeReady(run, below)
      else if (decision !== 'wait') set(below, decision)
    }
  }
}

function start(run: RunState, number: number, tryNumber: number, changes: Change[]): void {
  const task = run.tasks[number]!
  if (task.state !== 'queued' || task.tryNumber !== tryNumber) return
  task.state = 'running'
  changes.push({ type: 'start', task: number, tryNumber })
}

function finishAttempt(
  run: RunState,
  event: Extract<RunEvent, { type: 'attempt_finished' }>,
  changes: Change[],
): void {
  const number = event.task
  const task = run.tasks[number]!
  const isCurrent =
    (task.state === 'queued' || task.state === 'running') && task.tryNumber === event.tryNumber
  if (!isCurrent) return
  const delayMs = event.state === 'failed' && !run.isCancelled ? delayUntilRetry(run, event) : null
  const to = delayMs === null ? event.state : 'up_for_retry'
  changes.push({
    type: 'finish',
    task: number,
    tryNumber: task.tryNumber,
    from: task.state,
    to,
    attemptState: event.state,
    retryDelayMs: delayMs,
    maxTries: task.maxTries,
    infrastructureRetries: task.infrastructureRetries,
  })
  run.active -= 1
  task.state = to
  if (to === 'up_for_retry') return
  run.unfinished -= 1
  countUpstream(run, number, to, 1)
  for (const below of run.graph.downstream[number]!) evaluate(run, below, changes)
}

/** Takes it from the budget that it is for; null where none is left. */
function delayUntilRetry(
  run: RunState,
  { task: number, retryable, infrastructure }: Extract<RunEvent, { type: 'attempt_finished' }>,
): number | null {
  const task = run.tasks[number]!
  if (infrastructure && task.infrastructureRetries < infrastructure.retries) {
    const delayMs = infrastructure.retryDelayMs * 2 ** Math.min(task.infrastructureRetries, maxDoublings)
    task.infrastructureRetries += 1
    task.maxTries += 1
    return Math.min(delayMs, maxInfrastructureDelayMs)
  }
  if (!retryable || task.tryNumber >= task.maxTries) return null
  // The delay grows with the task's own failures alone.
  return retryDelayMs(run.graph.tasks[number]!, task.tryNumber - task.infrastructureRetries)
}

function retry(run: RunState, number: number, changes: Change[]): void {
  const task = run.tasks[number]!
  if (task.state !== 'up_for_retry') return
  // An upstream task may have been cleared since the attempt began; then its result is gone.
  if (triggerDecision(run.graph.tasks[number]!.trigger_rule, task.upstream) === 'run') makeReady(run, number)
  else decideAgain(run, [number], changes)
}

function cancel(run: RunState, reason: 'cancelled' | 'run_timeout', changes: Change[]): void {
  run.isCancelled = true
  for (const [number, task] of run.tasks.entries()) {
    task.isReady = false
    if (task.state === 'queued' || task.state === 'running') {
      changes.push({ type: 'cancel_attempt', task: number, tryNumber: task.tryNumber, reason })
    } else if (task.state === 'none') {
      settle(run, number, 'skipped', changes)
    } else if (task.state === 'up_for_retry') {
      settle(run, number, 'failed', changes)
    }
  }
  run.ready.data.length = 0
  run.ready.length = 0
}

function clear(run: RunState, numbers: readonly number[], changes: Change[]): void {
  const cleared = numbers.filter((number) => {
    const { state } = run.tasks[number]!
    return isFinished(state) || state === 'up_for_retry'
  })
  const isEnding = run.isCancelled && run.state === 'running'
  if (cleared.length === 0 || isEnding) return
  if (run.state !== 'running') {
    run.state = 'running'
    run.isCancelled = false
    changes.push({ type: 'run', state: 'running' })
  }
  for (const number of cleared) {
    const task = run.tasks[number]!
    task.maxTries = task.tryNumber + run.graph.tasks[number]!.retries + 1
    task.infrastructureRetries = 0
  }
  decideAgain(run, cleared, changes)
}

/**
 * Forgets what was decided of tasks, none of them active, and decides it again. Each stands once among the
 * changes: as what was decided now, or as `none` where it has to wait.
 */
function decideAgain(run: RunState, numbers: readonly number[], changes: Change[]): void {
  const undecided = new Set<number>()
  const before = new Map<number, TaskInstanceState>()
  const forget = (number: number) => {
    const task = run.tasks[number]!
    undecided.add(number)
    task.isReady = false
    if (task.state === 'none') return
    before.set(number, task.state)
    if (isFinished(task.state)) {
      run.unfinished += 1
      countUpstream(run, number, task.state, -1)
    }
    task.state = 'none'
  }
  for (const number of numbers) {
    forget(number)
    // What is ready has not read its inputs yet: it waits for this task again.
    for (const below of run.graph.downstream[number]!) if (run.tasks[below]!.isReady) forget(below)
  }
  // Topological order: what is settled again (an upstream task is failed and was not cleared) stands once.
  const decided: Change[] = []
  for (const number of [...undecided].sort((a, b) => a - b)) evaluate(run, number, decided)
  queueReady(run, decided)
  for (const change of decided) {
    if (change.type === 'queue' || change.type === 'set') {
      change.from = before.get(change.task) ?? change.from
      before.delete(change.task)
    }
    changes.push(change)
  }
  for (const [number, from] of before) {
    const { maxTries, infrastructureRetries } = run.tasks[number]!
    changes.push({
      type: 'set',
      task: number,
      from,
      to: 'none',
      maxTries,
      infrastructureRetries,
      hasRow: true,
    })
  }
}

/** Queues ready tasks, the highest priority first, as long as max_active_tasks leaves room. */
function queueReady(run: RunState, changes: Change[]): void {
  if (run.isCancelled) return
  const limit = run.graph.manifest.max_active_tasks
  while (run.active < limit && run.ready.length > 0) {
    const number = run.graph.byRank[run.ready.pop()!]!
    const task = run.tasks[number]!
    if (!task.isReady) continue
    changes.push({
      type: 'queue',
      task: number,
      tryNumber: task.tryNumber + 1,
      maxTries: task.maxTries,
      infrastructureRetries: task.infrastructureRetries,
      from: task.state,
      hasRow: task.hasRow,
    })
    task.isReady = false
    task.state = 'queued'
    task.tryNumber += 1
    task.hasRow = true
    run.active += 1
  }
}

/** A run ends when no task is unfinished; its leaves (tasks with nothing below) say how. */
function endRun(run: RunState, changes: Change[]): void {
  if (run.unfinished > 0 || run.state !== 'running') return
  const isFailed =
    run.isCancelled ||
    run.tasks.some(
      ({ state }, number) =>
        run.graph.downstream[number]!.length === 0 && (state === 'failed' || state === 'upstream_failed'),
    )
  run.state = isFailed ? 'failed' : 'success'
  // A cleared run may end at once (an upstream task that was not cleared is failed); it stands once as well.
  const reopened = changes.find((change) => change.type === 'run')
  if (reopened) reopened.state = run.state
  else changes.push({ type: 'run', state: run.state })
}
