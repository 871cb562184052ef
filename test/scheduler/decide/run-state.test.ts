import { expect, test } from 'vitest'
import { finishedTaskInstanceStates, TaskInstanceState } from '../../../runtime/states.ts'
import { createRunState, isFinished } from '../../../scheduler/decide/run-state.ts'
import { graphOfEdges } from './graphs.ts'
import { viewOf } from './run-in-memory.ts'

const graph = graphOfEdges(
  { extract: [], check: [], load: ['extract', 'check'] },
  { fields: { load: { retries: 2 } } },
)

test('a run without rows has reached no task', () => {
  const run = createRunState(graph)
  expect(run).toMatchObject({ state: 'running', isCancelled: false, active: 0, unfinished: 3 })
  expect(run.tasks[2]).toEqual({
    state: 'none',
    tryNumber: 0,
    maxTries: 3,
    infrastructureRetries: 0,
    hasRow: false,
    isReady: false,
    upstream: { total: 2, success: 0, failed: 0, skipped: 0, upstream_failed: 0 },
  })
})

test('rows give states, attempts and the counts of those below', () => {
  const run = createRunState(graph, [
    { task_id: 'extract', state: 'success', try_number: 2, max_tries: 4, infrastructure_retries: 0 },
    { task_id: 'check', state: 'running', try_number: 1, max_tries: 1, infrastructure_retries: 0 },
    { task_id: 'load', state: 'none', try_number: 3, max_tries: 6, infrastructure_retries: 2 },
  ])
  expect(run).toMatchObject({ active: 1, unfinished: 2 })
  expect(run.tasks[0]).toMatchObject({ state: 'success', tryNumber: 2, maxTries: 4, hasRow: true })
  expect(run.tasks[2]).toMatchObject({
    state: 'none',
    tryNumber: 3,
    maxTries: 6,
    infrastructureRetries: 2,
    hasRow: true,
  })
  expect(run.tasks[2]!.upstream).toEqual({ total: 2, success: 1, failed: 0, skipped: 0, upstream_failed: 0 })
})

test('rows of tasks that the version does not have are left alone', () => {
  const run = createRunState(graph, [
    { task_id: 'gone', state: 'failed', try_number: 1, max_tries: 1, infrastructure_retries: 0 },
  ])
  expect(viewOf(run)).toEqual(viewOf(createRunState(graph)))
})

test('the finished states are those of the table of states', () => {
  const finished = Object.values(TaskInstanceState).filter(isFinished)
  expect(finished.toSorted()).toEqual([...finishedTaskInstanceStates].toSorted())
})
