import { expect, test } from 'vitest'
import type { TaskInstanceState } from '../../runtime/states.ts'
import { selectToClear } from '../../web/server/clear-selection.ts'
import { taskInstancesJson } from '../../web/server/json/task-instance.ts'
import type { ClearBody } from '../../web/server/schemas/dag-run.ts'
import { manifestOf } from './rows.ts'

// a → b → d, c → d, d → e
const manifest = manifestOf('graph', { a: [], b: ['a'], c: [], d: ['b', 'c'], e: ['d'] })

function cleared(states: Record<string, TaskInstanceState>, request: ClearBody): string {
  const rows = Object.entries(states).map(([task_id, state]) => ({
    task_id,
    map_index: -1,
    state,
    try_number: 1,
    max_tries: 2,
    next_try_at: null,
    start_date: null,
    end_date: null,
  }))
  return selectToClear(manifest, taskInstancesJson(manifest, rows), request)
    .map((one) => one.task_id)
    .join(' ')
}

const failedAtB = {
  a: 'success',
  b: 'failed',
  c: 'success',
  d: 'upstream_failed',
  e: 'upstream_failed',
} as const

test.each<[string, Record<string, TaskInstanceState>, ClearBody, string]>([
  ['what failed and all below', failedAtB, {}, 'b d e'],
  ['what failed alone', failedAtB, { include_downstream: false }, 'b d e'],
  ['everything', failedAtB, { only_failed: false }, 'a b c d e'],
  ['one task and all below, whatever its state', failedAtB, { task_ids: ['c'] }, 'c d e'],
  ['one task alone', failedAtB, { task_ids: ['c'], include_downstream: false }, 'c'],
  ['of the named tasks those that failed', failedAtB, { task_ids: ['a', 'b'], only_failed: true }, 'b d e'],
  ['skipped tasks below a failed one', { b: 'failed', d: 'skipped' }, {}, 'b d'],
  [
    'running and waiting tasks that are named',
    { a: 'running', b: 'up_for_retry' },
    { task_ids: ['a'] },
    'a b',
  ],
])('a request to clear chooses %s', (_, states, request, expected) => {
  expect(cleared(states, request)).toBe(expected)
})
