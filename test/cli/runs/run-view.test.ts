import { expect, test } from 'vitest'
import { plain } from '../../../cli/output/style.ts'
import { changeLines, createRunView } from '../../../cli/runs/run-view.ts'
import { applyEvent } from '../../../cli/runs/watch-run.ts'
import { createTerminal, type Terminal } from '../../../cli/terminal.ts'
import type { DagRun } from '../../../web/server/schemas/dag-run.ts'
import type { TaskInstance } from '../../../web/server/schemas/task-instance.ts'

const time = '2026-01-02T03:04:05.000Z'

const run: DagRun = {
  dag_id: 'daily',
  run_id: 'one',
  run_type: 'manual',
  state: 'running',
  version_number: 1,
  commit_sha: null,
  logical_date: null,
  data_interval_start: null,
  data_interval_end: null,
  run_after: time,
  queued_at: time,
  start_date: time,
  end_date: null,
  duration: null,
  params: {},
  triggered_by: 'api',
}

function task(task_id: string, state: TaskInstance['state'], try_number = 1): TaskInstance {
  return {
    task_id,
    map_index: -1,
    kind: 'task',
    upstream_task_ids: [],
    state,
    try_number,
    max_tries: 2,
    next_try_at: null,
    start_date: time,
    end_date: state === 'success' ? '2026-01-02T03:04:07.500Z' : null,
    duration: null,
  }
}

const before = { run, taskInstances: [task('a', 'running'), task('b', 'none', 0)], groupIds: [] }

/** Events in, changed lines out, without their times. */
function changes(event: Parameters<typeof applyEvent>[1]): string[] {
  const after = applyEvent(before, event)
  return changeLines(before, after, plain, Date.parse(time)).map((line) => line.replace(/^\S+ {2}/, ''))
}

test('an event about some tasks changes those alone, and each change is a line', () => {
  const task_instances = [task('b', 'running', 2), task('a', 'success')]
  expect(
    changes({ event: 'task_instances', data: { dag_id: 'daily', run_id: 'one', task_instances } }),
  ).toEqual(['a  ✓ success  2.50s', 'b  ● running  try 2 of 2'])
  expect(
    changes({ event: 'task_instances', data: { dag_id: 'daily', run_id: 'one', task_instances: [] } }),
  ).toEqual([])
})

test('a run that ended is told with how long it took', () => {
  const data: DagRun = { ...run, state: 'failed', end_date: '2026-01-02T03:04:15.000Z' }
  expect(changes({ event: 'dag_run', data })).toEqual(['daily one  ✗ failed  10.0s'])
})

test('on a terminal the tree is drawn in place, says what is wrong, and stays when it ends', () => {
  let written = ''
  const terminal: Terminal = {
    ...createTerminal(),
    style: plain,
    stdout: {
      isTTY: true,
      rows: 10,
      write: (text: string) => (written += text),
    } as unknown as NodeJS.WriteStream,
  }
  const view = createRunView(terminal, false)
  view.update(before)
  view.trouble('http://x does not answer, trying again …')
  const firstLines = written.split('\n').map((line) => line.slice(0, 12))
  expect(firstLines.some((line) => line.includes('a  running'))).toBe(true)
  expect(written).toContain('trying again')
  written = ''
  view.end({ ...before, run: { ...run, state: 'success', end_date: time } })
  expect(written.startsWith(`${String.fromCharCode(27)}[6A\r`)).toBe(true)
  expect(written).toContain('✓ success')
  expect(written).not.toContain('trying again')
})
