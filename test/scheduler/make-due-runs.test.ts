// Scheduled runs, as rows: which are made when, and that each is made once whoever asks.
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { type DagOptions, dag, task } from '../../runtime/index.ts'
import { type Database, openDatabase } from '../../scheduler/database/connection.ts'
import { makeDueRuns } from '../../scheduler/database/make-due-runs.ts'
import { migrate } from '../../scheduler/database/migrate.ts'
import { createTestDatabase, type TestDatabase } from '../support/postgres.ts'

let database: TestDatabase
let db: Database
beforeAll(async () => {
  database = await createTestDatabase()
  db = openDatabase(database.url, { max: 10 })
  await migrate(db)
  await db.query(`insert into bundle (bundle_hash, code) values ('b', '')`)
})
afterAll(async () => {
  await db.close()
  await database[Symbol.asyncDispose]()
})
beforeEach(async () => {
  await db.query('truncate run_command, dag_run, dag, dag_version cascade')
})

const at = (text: string) => Date.parse(text)
const now = at('2026-03-10T12:34:00Z')

async function insertDag(options: DagOptions, firstSeen = '2026-03-01T00:00:00Z'): Promise<void> {
  const { manifest } = dag('d', options, () => {
    task('only', () => 1)
  })
  await db.query(
    `insert into dag_version (dag_id, version_number, version_hash, bundle_hash, manifest, file, commit_sha)
     values ('d', 1, 'v', 'b', $1, 'd.ts', repeat('a', 40))`,
    [JSON.stringify(manifest)],
  )
  await db.query(
    `insert into dag (dag_id, dag_version_id, commit_sha, is_paused, max_active_runs, first_seen_at, next_run_after)
     select 'd', dag_version_id, commit_sha, false, $1, $2, '-infinity' from dag_version`,
    [manifest.max_active_runs, firstSeen],
  )
}

async function runIds(): Promise<string[]> {
  const { rows } = await db.query<{ run_id: string }>('select run_id from dag_run order by logical_date')
  return rows.map((row) => row.run_id)
}
async function nextRunAfter(): Promise<string | undefined> {
  const { rows } = await db.query<{ next_run_after: Date | null }>('select next_run_after from dag')
  return rows[0]?.next_run_after?.toISOString()
}
const endAll = () => db.query(`update dag_run set state = 'success', end_date = now()`)

test('without catchup only the newest of the missed runs is made, and the next is worked out', async () => {
  await insertDag({ schedule: '0 * * * *', startDate: '2026-01-01' })
  expect(await makeDueRuns(db, now)).toBe(1)
  expect(await runIds()).toEqual(['scheduled__2026-03-10T12:00:00.000Z'])
  expect(await nextRunAfter()).toBe('2026-03-10T13:00:00.000Z')
  expect(await makeDueRuns(db, now)).toBe(0)
})

test('with catchup every missed run is made, no more at once than max_active_runs', async () => {
  await insertDag({ schedule: '@daily', startDate: '2026-03-05', catchup: true, maxActiveRuns: 4 })
  expect(await makeDueRuns(db, now)).toBe(4)
  expect(await makeDueRuns(db, now)).toBe(0)
  await endAll()
  expect(await makeDueRuns(db, now)).toBe(2)
  expect(await runIds()).toEqual(
    ['05', '06', '07', '08', '09', '10'].map((day) => `scheduled__2026-03-${day}T00:00:00.000Z`),
  )
  expect(await nextRunAfter()).toBe('2026-03-11T00:00:00.000Z')
})

test('a run is pinned to the version and commit of its Dag at that time', async () => {
  await insertDag({ schedule: '@hourly', startDate: '2026-01-01' })
  await makeDueRuns(db, now)
  const { rows } = await db.query(
    `select r.commit_sha = repeat('a', 40) as commit, r.dag_version_id = d.dag_version_id as version, r.run_type,
       r.data_interval_start = r.logical_date as interval, r.state
     from dag_run r join dag d using (dag_id)`,
  )
  expect(rows).toEqual([
    { commit: true, version: true, run_type: 'scheduled', interval: true, state: 'queued' },
  ])
})

test('ten schedulers at once make each run once', async () => {
  await insertDag({ schedule: '@daily', startDate: '2026-02-20', catchup: true, maxActiveRuns: 100 })
  const made = await Promise.all(Array.from({ length: 10 }, () => makeDueRuns(db, now)))
  expect(made.reduce((a, b) => a + b)).toBe(19)
  expect(await runIds()).toHaveLength(19)
})

test('a paused Dag and one that is in no module any more get no runs', async () => {
  await insertDag({ schedule: '@hourly', startDate: '2026-01-01' })
  await db.query('update dag set is_paused = true')
  expect(await makeDueRuns(db, now)).toBe(0)
  await db.query('update dag set is_paused = false, is_stale = true')
  expect(await makeDueRuns(db, now)).toBe(0)
  await db.query('update dag set is_stale = false')
  expect(await makeDueRuns(db, now)).toBe(1)
})

test('a Dag without a schedule is asked once and then left alone', async () => {
  await insertDag({})
  expect(await makeDueRuns(db, now)).toBe(0)
  expect(await nextRunAfter()).toBeUndefined()
})

test('once means once, also when the Dag changes later', async () => {
  await insertDag({ schedule: '@once' })
  expect(await makeDueRuns(db, now)).toBe(1)
  await db.query(`update dag set next_run_after = '-infinity'`)
  expect(await makeDueRuns(db, now)).toBe(0)
})
