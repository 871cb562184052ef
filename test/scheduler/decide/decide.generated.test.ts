// Generated runs: any graph, any order of events, with everything checked after every event by RunInMemory.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decide, type RunEvent } from '../../../scheduler/decide/decide.ts'
import { createRunState } from '../../../scheduler/decide/run-state.ts'
import { anyGraph } from './graphs.ts'
import { RunInMemory, readyTasks, viewOf } from './run-in-memory.ts'

type Outcome = Pick<Extract<RunEvent, { type: 'attempt_finished' }>, 'state' | 'retryable' | 'infrastructure'>

const infrastructureBudget = { retries: 2, retryDelayMs: 1_000 }

const anyOutcome: fc.Arbitrary<Outcome> = fc.oneof(
  { weight: 8, arbitrary: fc.constant<Outcome>({ state: 'success', retryable: true }) },
  { weight: 4, arbitrary: fc.constant<Outcome>({ state: 'failed', retryable: true }) },
  { weight: 1, arbitrary: fc.constant<Outcome>({ state: 'failed', retryable: false }) },
  { weight: 1, arbitrary: fc.constant<Outcome>({ state: 'skipped', retryable: true }) },
  {
    weight: 3,
    arbitrary: fc
      .boolean()
      .map((retryable): Outcome => ({ state: 'failed', retryable, infrastructure: infrastructureBudget })),
  },
)

/** What happens next; `pick` says to which of the tasks to which it can happen. */
const anyStep = fc.oneof(
  { weight: 4, arbitrary: fc.record({ type: fc.constant('start'), pick: fc.nat(1_000) }) },
  {
    weight: 8,
    arbitrary: fc.record({ type: fc.constant('finish'), pick: fc.nat(1_000), outcome: anyOutcome }),
  },
  { weight: 3, arbitrary: fc.record({ type: fc.constant('retry'), pick: fc.nat(1_000) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constant('stale'),
      pick: fc.nat(1_000),
      back: fc.integer({ min: -1, max: 3 }),
      outcome: fc.option(anyOutcome),
    }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('clear_above'), pick: fc.nat(1_000) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      type: fc.constant('clear'),
      picks: fc.array(fc.nat(1_000), { maxLength: 5, size: 'max' }),
    }),
  },
)

const anyLife = fc.record({
  graph: anyGraph,
  steps: fc.array(anyStep, { maxLength: 80, size: 'max' }),
  /** The step before which somebody cancels. */
  cancelAt: fc.option(fc.nat(40), { freq: 2 }),
  drain: fc.array(anyOutcome, { minLength: 1, maxLength: 10 }),
  /** What is cleared once the run has ended, and what becomes of it. */
  clearAfter: fc.array(fc.array(fc.nat(1_000), { maxLength: 6 }), { maxLength: 3, size: 'max' }),
})
type Step = typeof anyStep extends fc.Arbitrary<infer T> ? T : never
type Life = typeof anyLife extends fc.Arbitrary<infer T> ? T : never

const at = <T>(list: readonly T[], pick: number): T | undefined => list[pick % Math.max(1, list.length)]

/** The event that `step` means for the run as it is; undefined: it can't happen now. */
function eventOf(run: RunInMemory, step: Step): RunEvent | undefined {
  const { rows, graph } = run
  switch (step.type) {
    case 'start': {
      const task = at(rows.tasksIn('queued'), step.pick)
      if (task === undefined) return undefined
      return { type: 'attempt_started', task, tryNumber: rows.tryNumberOf(task) }
    }
    case 'finish': {
      const task = at(rows.tasksIn('queued', 'running'), step.pick)
      if (task === undefined) return undefined
      return { type: 'attempt_finished', task, tryNumber: rows.tryNumberOf(task), ...step.outcome }
    }
    case 'retry': {
      const task = at(rows.tasksIn('up_for_retry'), step.pick) ?? step.pick % graph.tasks.length
      return { type: 'retry_due', task }
    }
    case 'stale': {
      const task = step.pick % graph.tasks.length
      const tryNumber = rows.tryNumberOf(task) - step.back
      if (step.outcome) return { type: 'attempt_finished', task, tryNumber, ...step.outcome }
      return { type: 'attempt_started', task, tryNumber }
    }
    case 'clear_above': {
      const begun = rows.tasksIn('queued', 'running', 'up_for_retry')
      const task = at([...new Set([...readyTasks(run.live), ...begun])], step.pick)
      return task === undefined ? undefined : { type: 'clear', tasks: graph.upstream[task]! }
    }
    case 'clear':
      return { type: 'clear', tasks: step.picks.map((pick) => pick % graph.tasks.length) }
  }
}

/** Whether `event` is of an attempt that is not the current one or has passed that point. */
function isStale({ rows }: RunInMemory, event: RunEvent): boolean {
  if (event.type === 'retry_due') return rows.stateOf(event.task) !== 'up_for_retry'
  if (event.type !== 'attempt_started' && event.type !== 'attempt_finished') return false
  const isCurrent = rows.tryNumberOf(event.task) === event.tryNumber
  const states = event.type === 'attempt_started' ? ['queued'] : ['queued', 'running']
  return !isCurrent || !states.includes(rows.stateOf(event.task))
}

/** How often the generated runs came to the places where mistakes are made. */
const seen = {
  stale: 0,
  cancelWithActive: 0,
  cancelWithRetry: 0,
  clearWhileRunning: 0,
  clearWhileEnding: 0,
  reopened: 0,
  endedByClear: 0,
  clearAboveReady: 0,
  retryWithoutUpstream: 0,
  retryWithoutRoom: 0,
  infrastructureRetry: 0,
  infrastructureUsedUp: 0,
  infrastructureCancelled: 0,
  success: 0,
  failed: 0,
}

/** What becomes of a task whose current attempt ends so, and what is left of its budgets. */
function naiveOutcome({ rows, isCancelled }: RunInMemory, event: RunEvent) {
  if (event.type !== 'attempt_finished') return undefined
  const { try_number, max_tries, infrastructure_retries } = rows.taskInstances.get(event.task)!
  const isOfCluster = event.infrastructure !== undefined
  const hasBudgetLeft = isOfCluster && infrastructure_retries < infrastructureBudget.retries
  const hasTriesLeft = event.retryable && try_number < max_tries
  if (isOfCluster && isCancelled) seen.infrastructureCancelled += 1
  else if (hasBudgetLeft) seen.infrastructureRetry += 1
  else if (isOfCluster) seen.infrastructureUsedUp += 1
  const isRetried = event.state === 'failed' && !isCancelled && (hasBudgetLeft || hasTriesLeft)
  // What the cluster's budget pays for leaves the task's own tries as many as they were.
  const paid = isRetried && hasBudgetLeft ? 1 : 0
  return {
    state: isRetried ? 'up_for_retry' : event.state,
    max_tries: max_tries + paid,
    infrastructure_retries: infrastructure_retries + paid,
  }
}

function happen(run: RunInMemory, event: RunEvent): void {
  const before = structuredClone(viewOf(run.live))
  const wasStale = isStale(run, event)
  const wasReady = readyTasks(run.live)
  const wasEnded = run.rows.state !== 'running'
  const undecided = run.rows.tasksIn('none')
  const outcome = wasStale ? undefined : naiveOutcome(run, event)
  const changes = run.happen(event)
  if (outcome && event.type === 'attempt_finished') {
    expect(run.rows.taskInstances.get(event.task)).toMatchObject(outcome)
  }
  if (wasStale) {
    seen.stale += 1
    expect(changes).toEqual([])
    expect(viewOf(run.live)).toEqual(before)
  }
  if (event.type === 'cancel' && !wasEnded) {
    if (changes.some((change) => change.type === 'cancel_attempt')) seen.cancelWithActive += 1
    if (changes.some((change) => change.type === 'set' && change.from === 'up_for_retry')) {
      seen.cancelWithRetry += 1
    }
    expect(run.rows.tasksIn('none', 'up_for_retry')).toEqual([])
    for (const task of undecided) expect(run.rows.stateOf(task)).toBe('skipped')
  }
  if (event.type === 'clear') {
    if (run.isCancelled && !wasEnded && event.tasks.length > 0) seen.clearWhileEnding += 1
    if (!wasEnded && changes.length > 0) seen.clearWhileRunning += 1
    if (wasEnded && run.rows.state === 'running') seen.reopened += 1
    if (wasEnded && run.rows.state !== 'running' && changes.length > 0) seen.endedByClear += 1
    const waitsAgain = wasReady.filter(
      (task) => !event.tasks.includes(task) && !run.live.tasks[task]!.isReady,
    )
    if (waitsAgain.some((task) => run.rows.stateOf(task) === 'none')) seen.clearAboveReady += 1
  }
  if (event.type === 'retry_due' && !wasStale) {
    if (changes.some((change) => change.type === 'set')) seen.retryWithoutUpstream += 1
    if (changes.length === 0) seen.retryWithoutRoom += 1
  }
}

/** Ends every active attempt and lets every retry come due until the run has ended. */
function drain(run: RunInMemory, outcomesInTurn: Life['drain']): void {
  // Each round ends an attempt or lets one retry come due, and attempts are numbered.
  const attempts = run.graph.tasks.reduce((sum, _, number) => {
    const { tryNumber, maxTries } = run.live.tasks[number]!
    return sum + Math.max(0, maxTries - tryNumber) + 1 + infrastructureBudget.retries
  }, 0)
  for (let round = 0; run.rows.state === 'running'; round += 1) {
    if (round > 2 * attempts + run.graph.tasks.length) throw new Error('the run does not end')
    const [retry] = run.rows.tasksIn('up_for_retry').filter((task) => !run.due.has(task))
    const active = run.rows.tasksIn('queued', 'running')
    if (retry !== undefined) happen(run, { type: 'retry_due', task: retry })
    else if (active.length > 0) {
      const task = at(active, round)!
      const outcome = at(outcomesInTurn, round)!
      happen(run, { type: 'attempt_finished', task, tryNumber: run.rows.tryNumberOf(task), ...outcome })
    } else throw new Error('nothing is active, nothing waits for a retry, and the run has not ended')
  }
  expect([...run.rows.attempts.values()]).not.toContain('queued')
  expect([...run.rows.attempts.values()]).not.toContain('running')
  if (run.rows.state === 'success') seen.success += 1
  else seen.failed += 1
}

function live({ graph, steps, cancelAt, drain: outcomesInTurn, clearAfter }: Life): RunInMemory {
  const run = new RunInMemory(graph)
  for (const [place, step] of steps.entries()) {
    if (place === cancelAt) {
      happen(run, { type: 'cancel', reason: 'cancelled' })
    }
    const event = eventOf(run, step)
    if (event) happen(run, event)
  }
  drain(run, outcomesInTurn)
  for (const picks of clearAfter) {
    happen(run, { type: 'clear', tasks: picks.map((pick) => pick % graph.tasks.length) })
    drain(run, outcomesInTurn)
  }
  return run
}

test('any run in any order of events keeps its rows, its memory and its limits right, and ends', () => {
  fc.assert(
    fc.property(anyLife, (life) => {
      live(life)
    }),
    { numRuns: 400 },
  )
  for (const [place, count] of Object.entries(seen)) {
    expect(count, `no generated run came to '${place}'`).toBeGreaterThan(0)
  }
})

test('the same events give the same changes', () => {
  fc.assert(
    fc.property(anyLife, (life) => {
      const { graph, history } = live(life)
      const again = createRunState(graph)
      for (const { event, changes } of history) expect(decide(again, event)).toEqual(changes)
    }),
    { numRuns: 100 },
  )
})
