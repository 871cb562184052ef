import { expect, test } from 'vitest'
import { changeLines, runLine, type Snapshot } from '../../../cli/dev/news-lines.ts'
import { plain } from '../../../cli/output/style.ts'
import type { Dag } from '../../../web/server/schemas/dag.ts'
import type { DagRun } from '../../../web/server/schemas/dag-run.ts'
import type { ImportError } from '../../../web/server/schemas/monitoring.ts'

const dag = (dag_id: string, version_number = 1) => ({ dag_id, version_number }) as Dag
const commit = (letter: string, subject: string) => ({ sha: letter.repeat(40), subject })
const error = (file: string, message: string, more: Partial<ImportError> = {}): ImportError => ({
  file,
  error_file: file,
  message,
  line: null,
  column: null,
  hint: null,
  stack: null,
  commit_sha: null,
  created_at: '2026-01-01T00:00:00.000Z',
  ...more,
})
const before: Snapshot = { dags: [dag('a'), dag('b')], importErrors: [], commit: commit('1', 'first') }

test.each<{ what: string; after: Partial<Snapshot>; lines: string[] }>([
  { what: 'nothing', after: {}, lines: [] },
  {
    what: 'a commit that changes a Dag, adds one and removes one',
    after: { dags: [dag('a', 2), dag('c')], commit: commit('2', 'second') },
    lines: ['↑ 2222222 second is live: a is version 2, c is new, b is gone'],
  },
  {
    what: 'a commit that touches no Dag',
    after: { commit: commit('2', '') },
    lines: ['↑ 2222222 is live: no Dag changed'],
  },
  {
    what: 'a plain directory that changed',
    after: { commit: undefined, dags: [dag('a', 2), dag('b')] },
    lines: ['↑ live: a is version 2'],
  },
  {
    what: 'an import error with its place and hint',
    after: { importErrors: [error('x.ts', 'it throws', { line: 3, column: 5, hint: 'do not' })] },
    lines: ['✗ import error: x.ts:3:5: it throws\n    do not'],
  },
  {
    what: 'an import error in a helper',
    after: { importErrors: [error('x.ts', 'it throws', { error_file: 'lib/help.ts', line: 1 })] },
    lines: ['✗ import error: lib/help.ts:1 (imported by x.ts): it throws'],
  },
])('$what is told', ({ after, lines }) => {
  expect(changeLines(before, { ...before, ...after }, plain)).toEqual(lines)
})

test('an import error is told again only when it says something else, and when it is fixed', () => {
  const broken = { ...before, importErrors: [error('x.ts', 'one')] }
  expect(changeLines(broken, broken, plain)).toEqual([])
  expect(changeLines(broken, { ...before, importErrors: [error('x.ts', 'two')] }, plain)).toEqual([
    '✗ import error: x.ts: two',
  ])
  expect(changeLines(broken, before, plain)).toEqual(['✓ import error fixed: x.ts'])
})

const run = (state: DagRun['state'], duration: number | null) =>
  ({ dag_id: 'a', run_id: 'manual__1', state, duration }) as DagRun

test('a run is told with its state and how long it took', () => {
  expect(runLine(run('running', null), plain)).toBe('● a manual__1 started')
  expect(runLine(run('success', 1.5), plain)).toBe('✓ a manual__1 done in 1.50s')
  expect(runLine(run('failed', 61), plain, ['✗ load  Error: no'])).toBe(
    '✗ a manual__1 failed in 1m 01s\n    ✗ load  Error: no',
  )
})
