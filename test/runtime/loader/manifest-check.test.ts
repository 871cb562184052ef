import { expect, test } from 'vitest'
import { bash, dag, group, task } from '../../../runtime/index.ts'
import { checkReading } from '../../../runtime/loader/manifest-check.ts'

const rich = dag(
  'rich',
  {
    description: 'all of it',
    tags: ['a'],
    schedule: '0 6 * * 1-5',
    timezone: 'Europe/Berlin',
    startDate: '2026-01-01',
    endDate: '2027-01-01',
    params: { depth: { of: ['values'] } },
    defaults: { retries: 2, executionTimeout: '10m', spot: { nodeSelector: { spot: 'yes' } } },
    podOverride: { spec: { hostNetwork: false } },
  },
  () => {
    const first = task('first', () => 1)
    group('inner', () => bash('second', 'true', { after: [first] }))
    task('third', { first }, ({ first }) => first)
  },
).manifest

type Json = Record<string, unknown> & {
  tasks: Record<string, unknown>[]
  task_groups: Record<string, unknown>[]
}

const readingOf = (damage: (manifest: Json) => void) => {
  const manifest = JSON.parse(JSON.stringify(rich)) as Json
  damage(manifest)
  return { dags: [{ manifest, made_at: { line: 1, column: 1 } }], unexported: [] }
}

test('what dag() makes is a manifest, for each kind of schedule', () => {
  expect(checkReading(readingOf(() => {}))).toBe(null)
  for (const schedule of [null, '@once', '@daily', { every: '10m' }] as const) {
    const { manifest } = dag('x', { schedule, startDate: '2026-01-01' }, () => {})
    expect(checkReading({ dags: [{ manifest, made_at: null }], unexported: [] })).toBe(null)
  }
})

test.each<[string, (manifest: Json) => unknown]>([
  ['Dag: timezone', (m) => delete m.timezone],
  ['Dag: tags', (m) => (m.tags = ['a', 1])],
  ['Dag: schedule', (m) => (m.schedule = { type: 'cron', expression: 1, timezone: 'UTC' })],
  ['Dag: start_date', (m) => (m.start_date = 'yesterday')],
  ['Dag: max_active_runs', (m) => (m.max_active_runs = 0)],
  ['Dag: surprise', (m) => (m.surprise = 1)],
  ['Dag: tasks', (m) => (m.tasks = [null as never])],
  ['dag_id "a b"', (m) => (m.dag_id = 'a b')],
  ['task_id "../x"', (m) => (m.tasks[0]!.task_id = '../x')],
  ['task_id first stands twice', (m) => m.tasks.push(m.tasks[0]!)],
  ['which does not stand before it', (m) => m.tasks.reverse()],
  ['needs other', (m) => (m.tasks[2]!.inputs = { first: 'other' })],
  ['task: retries', (m) => (m.tasks[0]!.retries = -1)],
  ['task: isolation', (m) => (m.tasks[0]!.isolation = 'cold')],
  ['group: tooltip', (m) => (m.task_groups[0]!.tooltip = 1)],
  ['group: pod_override', (m) => (m.task_groups[0]!.pod_override = { metadata: { name: 'x' } })],
  ['Dag: pod_override', (m) => (m.pod_override = { containers: [] })],
  ['task: pod_override', (m) => (m.tasks[0]!.pod_override = [])],
  ['task: pod_template_file', (m) => (m.tasks[0]!.pod_template_file = 1)],
  ['task: spot', (m) => (m.tasks[0]!.spot = { node_selector: {} })],
])('a manifest is refused with what is wrong with it: %s', (problem, damage) => {
  const reading = readingOf((manifest) => {
    damage(manifest)
  })
  expect(checkReading(reading)).toContain(problem)
})

test.each([
  null,
  [],
  {},
  { dags: {} },
  { dags: [null], unexported: [] },
  { dags: [], unexported: [{ made_at: null }] },
])('what is no reading at all is refused: %j', (value) => {
  expect(checkReading(value)).not.toBe(null)
})
