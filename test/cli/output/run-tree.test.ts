import { expect, test } from 'vitest'
import { renderRun } from '../../../cli/output/run-summary.ts'
import { buildTree, renderTree, type TreeTask } from '../../../cli/output/run-tree.ts'
import { plain } from '../../../cli/output/style.ts'
import type { TaskInstanceState } from '../../../runtime/states.ts'
import type { DagRun } from '../../../web/server/schemas/dag-run.ts'

const start = Date.parse('2026-01-02T03:04:00.000Z')
const at = (seconds: number) => new Date(start + seconds * 1_000).toISOString()
const options = { style: plain, now: start + 12_000, isLive: false }

function task(task_id: string, state: TaskInstanceState, more: Partial<TreeTask> = {}): TreeTask {
  const hasStarted = !['none', 'queued', 'upstream_failed'].includes(state)
  const hasEnded = ['success', 'failed', 'skipped'].includes(state)
  return {
    task_id,
    map_index: -1,
    state,
    try_number: hasStarted ? 1 : 0,
    max_tries: 3,
    next_try_at: null,
    start_date: hasStarted ? at(0) : null,
    end_date: hasEnded ? at(1.5) : null,
    ...more,
  }
}

const run: DagRun = {
  dag_id: 'daily',
  run_id: 'manual__1',
  run_type: 'manual',
  state: 'running',
  version_number: 4,
  commit_sha: 'abcdef0123456789abcdef0123456789abcdef01',
  logical_date: null,
  data_interval_start: null,
  data_interval_end: null,
  run_after: at(0),
  queued_at: at(0),
  start_date: at(0),
  end_date: null,
  duration: null,
  params: {},
  triggered_by: 'api',
}

const tasks = [
  task('extract', 'success'),
  task('load.north', 'running', { try_number: 2 }),
  task('load.inner.deep', 'up_for_retry', { next_try_at: at(37) }),
  task('load.south', 'queued'),
  task('v1.2-report', 'none'),
]
const groupIds = ['load', 'load.inner', 'unused']

test('a run is shown with its groups, states, durations and attempts', () => {
  const lines = renderRun({ run, taskInstances: tasks, groupIds }, options)
  expect(lines.join('\n')).toMatchInlineSnapshot(`
    "daily  manual__1  ● running  12.0s
    version 4 · commit abcdef0 · manual · by api
    ✓ extract      success       1.50s
    ▾ load         0 of 3        12.0s
      ● north      running       12.0s  try 2 of 3
      ▾ inner      0 of 1        12.0s
        ↻ deep     up_for_retry  12.0s  try 2 of 3 in 25s
      ○ south      queued
    · v1.2-report  none
    1 success · 1 running · 1 up_for_retry · 1 queued · 1 none"
  `)
})

test('what runs turns, and stands still where nobody looks', () => {
  const nodes = buildTree([task('a', 'running')], [])
  const live = [0, 120, 240].map(
    (ms) => renderTree(nodes, { ...options, isLive: true, now: start + ms })[0]![0],
  )
  expect(new Set(live).size).toBe(3)
  expect(renderTree(nodes, options)[0]![0]).toBe('●')
})

test('a tree that does not fit folds what has ended well, then keeps what needs an eye', () => {
  const many = [
    ...Array.from({ length: 5 }, (_, index) => task(`done.${index}`, 'success')),
    ...Array.from({ length: 20 }, (_, index) => task(`later.${index}`, 'none')),
    task('later.broken', 'failed'),
  ]
  const nodes = buildTree(many, ['done', 'later'])
  expect(renderTree(nodes, options)).toHaveLength(28)
  expect(renderTree(nodes, options, 24).slice(0, 2).join('\n')).toMatchInlineSnapshot(`
    "▸ done      5 of 5   1.50s
    ▾ later     1 of 21  12.0s"
  `)
  const short = renderTree(nodes, options, 6)
  expect(short).toHaveLength(6)
  expect(short.join('\n')).toContain('broken')
  expect(short.at(-1)).toBe('… 18 more')
})

test('a task id with a dot that is no group stays as it is', () => {
  expect(buildTree([task('v1.2', 'none')], ['v2'])).toMatchObject([{ task_id: 'v1.2' }])
})
