import { DagDefinitionError, type DagOptions, dag, task } from 'branchline'
import { expect, test } from 'vitest'
import { isDag } from '../../../runtime/authoring/dag.ts'

const manifestOf = (options: DagOptions) => dag('daily', options, () => {}).manifest
/** Options as they come from data, which the compiler has not seen. */
const refused = (options: object) => () => manifestOf(options as DagOptions)

test('a Dag without options gets the defaults', () => {
  const daily = dag('daily', {}, () => {
    task('extract', () => 1)
  })
  expect(daily.dagId).toBe('daily')
  expect(daily.manifest).toEqual({
    dag_id: 'daily',
    description: null,
    tags: [],
    schedule: null,
    timezone: 'UTC',
    start_date: null,
    end_date: null,
    catchup: false,
    max_active_runs: 16,
    max_active_tasks: 16,
    dagrun_timeout_ms: null,
    is_paused_upon_creation: null,
    params: {},
    pod_override: null,
    tasks: [
      {
        task_id: 'extract',
        kind: 'task',
        upstream_task_ids: [],
        inputs: {},
        trigger_rule: 'all_success',
        retries: 0,
        retry_delay_ms: 300_000,
        retry_exponential_backoff: 1,
        max_retry_delay_ms: 86_400_000,
        execution_timeout_ms: null,
        priority_weight: 1,
        executor: null,
        isolation: 'warm',
        pod_override: null,
        pod_template_file: null,
        spot: null,
        operator: null,
        doc: null,
      },
    ],
    task_groups: [],
  })
})

test('every option reaches the manifest, which is plain JSON', () => {
  const manifest = manifestOf({
    description: 'sales of a day',
    tags: ['sales', 'daily', 'sales'],
    schedule: '0 6 * * 1-5',
    timezone: 'Europe/Berlin',
    startDate: '2026-01-01',
    endDate: new Date('2027-01-01T00:00:00Z'),
    catchup: true,
    maxActiveRuns: 1,
    maxActiveTasks: 4,
    dagrunTimeout: '1h30m',
    isPausedUponCreation: true,
    params: { since: new Date(0), limit: 10 },
  })
  expect(manifest).toMatchObject({
    description: 'sales of a day',
    tags: ['sales', 'daily'],
    schedule: { type: 'cron', expression: '0 6 * * 1-5', timezone: 'Europe/Berlin' },
    timezone: 'Europe/Berlin',
    start_date: '2025-12-31T23:00:00.000Z',
    end_date: '2027-01-01T00:00:00.000Z',
    catchup: true,
    max_active_runs: 1,
    max_active_tasks: 4,
    dagrun_timeout_ms: 5_400_000,
    is_paused_upon_creation: true,
    params: { since: '1970-01-01T00:00:00.000Z', limit: 10 },
  })
  expect(JSON.parse(JSON.stringify(manifest))).toEqual(manifest)
})

test.each([
  ['@hourly', '0 * * * *'],
  ['@daily', '0 0 * * *'],
  ['@midnight', '0 0 * * *'],
  ['@weekly', '0 0 * * 0'],
  ['@monthly', '0 0 1 * *'],
  ['@quarterly', '0 0 1 */3 *'],
  ['@yearly', '0 0 1 1 *'],
  ['@annually', '0 0 1 1 *'],
])('the preset %s is spelt out', (preset, expression) => {
  expect(manifestOf({ schedule: preset, timezone: 'Asia/Tokyo' }).schedule).toEqual({
    type: 'cron',
    expression,
    timezone: 'Asia/Tokyo',
  })
})

test('a schedule may be an interval, once, or nothing', () => {
  expect(manifestOf({ schedule: { every: '10m' } }).schedule).toEqual({ type: 'interval', every_ms: 600_000 })
  expect(manifestOf({ schedule: '@once' }).schedule).toEqual({ type: 'once' })
  expect(manifestOf({ schedule: null }).schedule).toBeNull()
})

test.each([
  [{ shedule: '@daily' }, /no option 'shedule'\. Did you mean 'schedule'\?/],
  [{ schedule: '@dayly' }, /'schedule' is '@dayly'.*Did you mean '@daily'\?/],
  [{ schedule: ' ' }, /'schedule' is ''.*leave the option out/],
  [{ schedule: 5 }, /'schedule' is 5/],
  [{ schedule: { evry: '5m' } }, /'schedule' is \{ evry: '5m' \}/],
  [{ schedule: { every: '5m', at: 1 } }, /no option 'at'/],
  [{ schedule: { every: '10ms' } }, /'schedule\.every' is '10ms'.*1000 ms or more/],
  [{ schedule: { every: 'soon' } }, /'schedule\.every': "soon" is not a duration/],
  [{ schedule: { every: null } }, /'schedule\.every' is null/],
  [{ timezone: 'Europe/Berlim' }, /'timezone' is 'Europe\/Berlim'.*Did you mean 'Europe\/Berlin'\?/],
  [{ timezone: 7 }, /'timezone' is 7/],
  [{ startDate: '2026-02-30' }, /'startDate' is '2026-02-30'/],
  [{ startDate: '0026-02-03' }, /'startDate' is '0026-02-03'/],
  [{ startDate: '01.02.2026' }, /'startDate' is '01\.02\.2026'/],
  [{ startDate: new Date('x') }, /'startDate' is Invalid Date/],
  [
    { startDate: '2026-01-02', endDate: '2026-01-01' },
    /'endDate' is '2026-01-01'.*no earlier than startDate/,
  ],
  [{ catchup: 'yes' }, /'catchup' is 'yes'/],
  [{ tags: 'sales' }, /'tags' is 'sales'/],
  [{ description: '' }, /'description' is ''/],
  [{ maxActiveRuns: 0 }, /'maxActiveRuns' is 0, but must be a whole number of 1 or more/],
  [{ maxActiveTasks: 1.5 }, /'maxActiveTasks' is 1\.5/],
  [{ dagrunTimeout: -1 }, /'dagrunTimeout': -1 is not a duration/],
  [{ params: [1] }, /'params' is \[ 1 \]/],
  [{ params: { n: 1n } }, /'params' cannot be written as JSON/],
  [
    { defaults: { retires: 1 } },
    /option 'defaults': there is no option 'retires'\. Did you mean 'retries'\?/,
  ],
  [{ defaults: { retries: -1 } }, /option 'defaults': option 'retries' is -1/],
  [{ defaults: { after: [] } }, /no option 'after'/],
])('options that cannot be are refused by name: %o', (options, message) => {
  expect(refused(options)).toThrow(DagDefinitionError)
  expect(refused(options)).toThrow(message)
  expect(refused(options)).toThrow(/Dag 'daily'/)
})

test.each([
  ['Europe/Berlin', '2026-07-01', '2026-06-30T22:00:00.000Z'],
  ['Europe/Berlin', '2026-01-01T06:30', '2026-01-01T05:30:00.000Z'],
  ['Europe/Berlin', '2026-01-01T06:30:15.5', '2026-01-01T05:30:15.500Z'],
  ['Europe/Berlin', '2026-01-01T06:30:00Z', '2026-01-01T06:30:00.000Z'],
  ['Europe/Berlin', '2026-01-01T06:30:00-0330', '2026-01-01T10:00:00.000Z'],
  // The clock goes from 02:00 to 03:00, and in autumn from 03:00 back to 02:00: the first of the two is meant.
  ['Europe/Berlin', '2026-03-29T02:30', '2026-03-29T01:30:00.000Z'],
  ['Europe/Berlin', '2026-10-25T02:30', '2026-10-25T00:30:00.000Z'],
  ['Europe/Berlin', '2026-10-25T03:00', '2026-10-25T02:00:00.000Z'],
  ['America/St_Johns', '2026-01-01', '2026-01-01T03:30:00.000Z'],
  ['Pacific/Kiritimati', '2026-01-01', '2025-12-31T10:00:00.000Z'],
])('in %s the date %s is %s', (timezone, startDate, utc) => {
  expect(manifestOf({ timezone, startDate }).start_date).toBe(utc)
})

test('a dag_id that is none, and a define that is no function, are refused', () => {
  expect(() => dag('daily sales', {}, () => {})).toThrow(/dag_id "daily sales" is not valid/)
  expect(() => dag('daily', {}, undefined as never)).toThrow(/takes an id, options and the function/)
  expect(() => dag('daily', (() => {}) as never, undefined as never)).toThrow(/takes an id, options/)
  expect(() => dag('daily', null as never, () => {})).toThrow(/options are null/)
})

test('an async define is refused', () => {
  expect(() => dag('daily', {}, (async () => {}) as never)).toThrow(/defined by an async function/)
})

test('a Dag within a Dag is refused, and the next Dag is not disturbed by it', () => {
  expect(() => dag('outer', {}, () => dag('inner', {}, () => {}))).toThrow(
    /Dag 'inner' is defined within Dag 'outer'/,
  )
  expect(() => task('stray', () => {})).toThrow(/task\('stray'\) was called outside of a Dag/)
  expect(dag('next', {}, () => task('only', () => {})).manifest.tasks).toHaveLength(1)
})

test('several Dags are made in a loop from data', () => {
  const dags = ['north', 'south'].map((region) =>
    dag(`sales-${region}`, {}, () => task('load', () => region)),
  )
  expect(dags.map(({ dagId }) => dagId)).toEqual(['sales-north', 'sales-south'])
})

test('a Dag is told from anything else', () => {
  expect(isDag(dag('daily', {}, () => {}))).toBe(true)
  for (const other of [null, undefined, 'daily', {}, [], { dagId: 'daily' }, () => {}]) {
    expect(isDag(other)).toBe(false)
  }
})
