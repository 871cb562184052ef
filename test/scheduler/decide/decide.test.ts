// Single stories, with the changes as they are told; decide.generated.test.ts holds what is true of all runs.
import { expect, test } from 'vitest'
import { decide } from '../../../scheduler/decide/decide.ts'
import { graphOfEdges } from './graphs.ts'
import { RunInMemory } from './run-in-memory.ts'

/** No attempt was made because the cluster failed one. */
const budget = { infrastructureRetries: 0 }

const finish = (task: number, tryNumber: number, state: 'success' | 'failed' | 'skipped' = 'success') =>
  ({ type: 'attempt_finished', task, tryNumber, state, retryable: true }) as const

test('a leased run queues its roots, and each success what it completes', () => {
  const run = new RunInMemory(graphOfEdges({ a: [], b: [], c: ['a', 'b'] }))
  expect(run.history[0]!.changes).toEqual([
    { type: 'queue', task: 0, tryNumber: 1, maxTries: 1, from: 'none', hasRow: false, ...budget },
    { type: 'queue', task: 1, tryNumber: 1, maxTries: 1, from: 'none', hasRow: false, ...budget },
  ])
  expect(run.happen({ type: 'attempt_started', task: 0, tryNumber: 1 })).toEqual([
    { type: 'start', task: 0, tryNumber: 1 },
  ])
  const ended = {
    tryNumber: 1,
    to: 'success',
    attemptState: 'success',
    retryDelayMs: null,
    maxTries: 1,
    ...budget,
  }
  expect(run.happen(finish(0, 1))).toEqual([{ type: 'finish', task: 0, from: 'running', ...ended }])
  // Its start was never reported.
  expect(run.happen(finish(1, 1))).toEqual([
    { type: 'finish', task: 1, from: 'queued', ...ended },
    { type: 'queue', task: 2, tryNumber: 1, maxTries: 1, from: 'none', hasRow: false, ...budget },
  ])
  expect(run.happen(finish(2, 1)).at(-1)).toEqual({ type: 'run', state: 'success' })
})

test('a run of a Dag without tasks succeeds when it is leased', () => {
  const run = new RunInMemory(graphOfEdges({}))
  expect(run.history[0]!.changes).toEqual([{ type: 'run', state: 'success' }])
})

test('a failed attempt is retried after its delay, as often as retries says', () => {
  const fields = { a: { retries: 2, retry_delay_ms: 1_000, retry_exponential_backoff: 2 } }
  const run = new RunInMemory(graphOfEdges({ a: [] }, { fields }))
  for (const [tryNumber, delay] of [
    [1, 1_000],
    [2, 2_000],
  ] as const) {
    expect(run.happen(finish(0, tryNumber, 'failed'))).toMatchObject([
      { type: 'finish', to: 'up_for_retry', attemptState: 'failed', retryDelayMs: delay },
    ])
    expect(run.happen({ type: 'retry_due', task: 0 })).toEqual([
      {
        type: 'queue',
        task: 0,
        tryNumber: tryNumber + 1,
        maxTries: 3,
        from: 'up_for_retry',
        hasRow: true,
        ...budget,
      },
    ])
  }
  expect(run.happen(finish(0, 3, 'failed'))).toMatchObject([
    { type: 'finish', to: 'failed', retryDelayMs: null },
    { type: 'run', state: 'failed' },
  ])
})

test('an attempt that says not to retry is the last one', () => {
  const run = new RunInMemory(graphOfEdges({ a: [] }, { fields: { a: { retries: 5 } } }))
  expect(run.happen({ ...finish(0, 1, 'failed'), retryable: false })).toMatchObject([
    { type: 'finish', to: 'failed', retryDelayMs: null },
    { type: 'run', state: 'failed' },
  ])
})

test('the ready task with the highest priority takes the room that is left', () => {
  const fields = { c: { priority_weight: 9 }, d: { priority_weight: 4 } }
  const run = new RunInMemory(graphOfEdges({ a: [], b: [], c: [], d: [] }, { maxActiveTasks: 1, fields }))
  const order: number[] = []
  while (run.rows.state === 'running') {
    const [task] = run.rows.tasksIn('queued')
    order.push(task!)
    run.happen(finish(task!, 1))
  }
  expect(order).toEqual([2, 3, 0, 1])
})

test('a cancelled run skips what was not begun, fails what waits for a retry, and ends with its last attempt', () => {
  const edges = { a: [], b: [], c: ['a'], d: ['b'] }
  const run = new RunInMemory(graphOfEdges(edges, { fields: { a: { retries: 1 }, b: { retries: 1 } } }))
  run.happen(finish(1, 1, 'failed'))
  const none = { from: 'none', to: 'skipped', maxTries: 1, hasRow: false, ...budget }
  expect(run.happen({ type: 'cancel', reason: 'run_timeout' })).toEqual([
    { type: 'cancel_attempt', task: 0, tryNumber: 1, reason: 'run_timeout' },
    { type: 'set', task: 1, from: 'up_for_retry', to: 'failed', maxTries: 2, hasRow: true, ...budget },
    { type: 'set', task: 3, ...none },
    { type: 'set', task: 2, ...none },
  ])
  // The process was ended; that is not a reason to begin anew.
  expect(run.happen(finish(0, 1, 'failed'))).toMatchObject([
    { type: 'finish', to: 'failed' },
    { type: 'run', state: 'failed' },
  ])
})

test('a task that was skipped stays so when another upstream task fails later', () => {
  const run = new RunInMemory(graphOfEdges({ a: [], b: [], c: ['a', 'b'] }))
  expect(run.happen(finish(0, 1, 'skipped')).at(-1)).toMatchObject({ type: 'set', task: 2, to: 'skipped' })
  expect(run.happen(finish(1, 1, 'failed')).at(-1)).toEqual({ type: 'run', state: 'success' })
})

test('a cancelled run fails even where its last attempts succeed', () => {
  const run = new RunInMemory(graphOfEdges({ a: [] }))
  run.happen({ type: 'cancel', reason: 'cancelled' })
  expect(run.happen(finish(0, 1)).at(-1)).toEqual({ type: 'run', state: 'failed' })
})

test('a cleared task of an ended run runs again with a new number and all its retries', () => {
  const run = new RunInMemory(graphOfEdges({ a: [], b: ['a'] }, { fields: { a: { retries: 1 } } }))
  run.happen({ ...finish(0, 1, 'failed'), retryable: false })
  expect(run.happen({ type: 'clear', tasks: [1, 0] })).toEqual([
    { type: 'run', state: 'running' },
    { type: 'queue', task: 0, tryNumber: 2, maxTries: 3, from: 'failed', hasRow: true, ...budget },
    { type: 'set', task: 1, from: 'upstream_failed', to: 'none', maxTries: 1, hasRow: true, ...budget },
  ])
  run.happen(finish(0, 2))
  expect(run.happen(finish(1, 1)).at(-1)).toEqual({ type: 'run', state: 'success' })
})

test('a task whose upstream task stays failed is settled again when it alone is cleared', () => {
  const run = new RunInMemory(graphOfEdges({ a: [], b: ['a'] }))
  run.happen(finish(0, 1, 'failed'))
  expect(run.happen({ type: 'clear', tasks: [1] })).toEqual([
    { type: 'run', state: 'failed' },
    {
      type: 'set',
      task: 1,
      from: 'upstream_failed',
      to: 'upstream_failed',
      maxTries: 1,
      hasRow: true,
      ...budget,
    },
  ])
})

test('a task named twice is cleared once', () => {
  const run = new RunInMemory(graphOfEdges({ a: [] }))
  run.happen(finish(0, 1))
  expect(run.happen({ type: 'clear', tasks: [0, 0] })).toMatchObject([
    { type: 'run', state: 'running' },
    { type: 'queue', task: 0, tryNumber: 2, from: 'success' },
  ])
})

test('a ready task without room waits again when its upstream task is cleared', () => {
  const edges = { a: [], b: [], c: ['a'] }
  const run = new RunInMemory(
    graphOfEdges(edges, { maxActiveTasks: 1, fields: { c: { priority_weight: -1 } } }),
  )
  run.happen(finish(0, 1))
  expect(run.live.tasks[2]!.isReady).toBe(true)
  run.happen({ type: 'clear', tasks: [0] })
  expect(run.happen(finish(1, 1))).toMatchObject([
    { type: 'finish', task: 1 },
    { type: 'queue', task: 0, tryNumber: 2 },
  ])
  expect(run.happen(finish(0, 2)).at(-1)).toMatchObject({ type: 'queue', task: 2 })
})

test('a retry whose upstream task was cleared meanwhile waits for it', () => {
  const run = new RunInMemory(graphOfEdges({ a: [], b: ['a'] }, { fields: { b: { retries: 1 } } }))
  run.happen(finish(0, 1))
  run.happen({ type: 'clear', tasks: [0] })
  run.happen(finish(1, 1, 'failed'))
  expect(run.happen({ type: 'retry_due', task: 1 })).toEqual([
    { type: 'set', task: 1, from: 'up_for_retry', to: 'none', maxTries: 2, hasRow: true, ...budget },
  ])
  expect(run.happen(finish(0, 2)).at(-1)).toMatchObject({ type: 'queue', task: 1, tryNumber: 2, maxTries: 2 })
})

test('a run that is being cancelled is not cleared before it has ended', () => {
  const run = new RunInMemory(graphOfEdges({ a: [], b: [] }))
  run.happen(finish(0, 1))
  run.happen({ type: 'cancel', reason: 'cancelled' })
  expect(run.happen({ type: 'clear', tasks: [0] })).toEqual([])
  run.happen(finish(1, 1))
  expect(run.happen({ type: 'clear', tasks: [0] })).toMatchObject([
    { type: 'run', state: 'running' },
    { type: 'queue', task: 0, tryNumber: 2 },
  ])
})

test('cancelling an ended run changes nothing', () => {
  const run = new RunInMemory(graphOfEdges({ a: [] }))
  run.happen(finish(0, 1))
  expect(run.happen({ type: 'cancel', reason: 'cancelled' })).toEqual([])
  expect(run.rows.state).toBe('success')
})

const clusterFailed = (task: number, tryNumber: number, retries: number, retryDelayMs = 1_000) =>
  ({ ...finish(task, tryNumber, 'failed'), infrastructure: { retries, retryDelayMs } }) as const

test('what the cluster failed is tried again beside the retries of the task', () => {
  const fields = { a: { retries: 1, retry_delay_ms: 7_000, retry_exponential_backoff: 3 } }
  const run = new RunInMemory(graphOfEdges({ a: [] }, { fields }))
  expect(run.happen(clusterFailed(0, 1, 2))).toEqual([
    {
      type: 'finish',
      task: 0,
      tryNumber: 1,
      from: 'queued',
      to: 'up_for_retry',
      attemptState: 'failed',
      retryDelayMs: 1_000,
      maxTries: 3,
      infrastructureRetries: 1,
    },
  ])
  expect(run.happen({ type: 'retry_due', task: 0 })).toMatchObject([
    { type: 'queue', tryNumber: 2, maxTries: 3, infrastructureRetries: 1 },
  ])
  // The task's own failure takes its own retry, after the delay of a first one.
  expect(run.happen(finish(0, 2, 'failed'))).toMatchObject([
    { to: 'up_for_retry', retryDelayMs: 7_000, maxTries: 3, infrastructureRetries: 1 },
  ])
  run.happen({ type: 'retry_due', task: 0 })
  expect(run.happen(clusterFailed(0, 3, 2))).toMatchObject([
    { to: 'up_for_retry', retryDelayMs: 2_000, maxTries: 4, infrastructureRetries: 2 },
  ])
  run.happen({ type: 'retry_due', task: 0 })
  expect(run.happen(finish(0, 4, 'failed'))).toMatchObject([
    { to: 'failed', retryDelayMs: null, maxTries: 4, infrastructureRetries: 2 },
    { type: 'run', state: 'failed' },
  ])
})

test('what the cluster fails takes the retries of the task when the budget is used up', () => {
  const fields = { a: { retries: 1, retry_delay_ms: 7_000 } }
  const run = new RunInMemory(graphOfEdges({ a: [] }, { fields }))
  run.happen(clusterFailed(0, 1, 1))
  run.happen({ type: 'retry_due', task: 0 })
  expect(run.happen(clusterFailed(0, 2, 1))).toMatchObject([
    { to: 'up_for_retry', retryDelayMs: 7_000, maxTries: 3, infrastructureRetries: 1 },
  ])
  run.happen({ type: 'retry_due', task: 0 })
  expect(run.happen(clusterFailed(0, 3, 1))).toMatchObject([{ to: 'failed', maxTries: 3 }, { type: 'run' }])
})

test('the delay after a failure of the cluster doubles up to five minutes', () => {
  const run = new RunInMemory(graphOfEdges({ a: [] }))
  const delays = Array.from({ length: 9 }, (_, nth) => {
    const [ended] = run.happen(clusterFailed(0, nth + 1, 9, 5_000))
    run.happen({ type: 'retry_due', task: 0 })
    return ended?.type === 'finish' ? ended.retryDelayMs : null
  })
  expect(delays).toEqual([5, 10, 20, 40, 80, 160, 300, 300, 300].map((seconds) => seconds * 1_000))
})

test('a budget of thousands without a delay stays without one', () => {
  const run = new RunInMemory(graphOfEdges({ a: [] }))
  run.live.tasks[0]!.infrastructureRetries = 2_000
  const event = clusterFailed(0, 1, 5_000, 0)
  expect(decide(run.live, event)).toMatchObject([{ to: 'up_for_retry', retryDelayMs: 0 }])
})

test('the cluster may fail a task that says not to retry: its code has not said so', () => {
  const run = new RunInMemory(graphOfEdges({ a: [] }))
  expect(run.happen({ ...clusterFailed(0, 1, 1), retryable: false })).toMatchObject([{ to: 'up_for_retry' }])
  run.happen({ type: 'retry_due', task: 0 })
  expect(run.happen({ ...clusterFailed(0, 2, 1), retryable: false })).toMatchObject([
    { to: 'failed' },
    { type: 'run', state: 'failed' },
  ])
})

test('a cleared task has its whole budget again', () => {
  const run = new RunInMemory(graphOfEdges({ a: [] }))
  run.happen(clusterFailed(0, 1, 1))
  run.happen({ type: 'retry_due', task: 0 })
  run.happen(clusterFailed(0, 2, 1))
  expect(run.rows.stateOf(0)).toBe('failed')
  expect(run.happen({ type: 'clear', tasks: [0] })).toMatchObject([
    { type: 'run', state: 'running' },
    { type: 'queue', tryNumber: 3, maxTries: 3, infrastructureRetries: 0 },
  ])
  expect(run.happen(clusterFailed(0, 3, 1))).toMatchObject([
    { to: 'up_for_retry', retryDelayMs: 1_000, maxTries: 4, infrastructureRetries: 1 },
  ])
})

test('a cancelled run makes nothing again that the cluster failed', () => {
  const run = new RunInMemory(graphOfEdges({ a: [] }))
  run.happen({ type: 'cancel', reason: 'cancelled' })
  expect(run.happen(clusterFailed(0, 1, 5))).toMatchObject([
    { to: 'failed', retryDelayMs: null, maxTries: 1, infrastructureRetries: 0 },
    { type: 'run', state: 'failed' },
  ])
})
