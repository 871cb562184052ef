// The fence: what a scheduler may and may not commit, asked of the real function.
import { randomUUID } from 'node:crypto'
import { afterEach, beforeEach, expect, test } from 'vitest'
import {
  type ChangeBatch,
  commitChanges,
  commitRefusal,
  emptyChangeBatch,
} from '../../../scheduler/database/commit-changes.ts'
import { type Database, openDatabase } from '../../../scheduler/database/connection.ts'
import { migrate } from '../../../scheduler/database/migrate.ts'
import { registerScheduler, takeOverRuns } from '../../../scheduler/database/scheduler-lease.ts'
import { createTestDatabase, type TestDatabase } from '../../support/postgres.ts'

let database: TestDatabase
let db: Database
let schedulerId: number
let dagRunId: number

beforeEach(async () => {
  database = await createTestDatabase()
  db = openDatabase(database.url)
  await migrate(db)
  schedulerId = await registerScheduler(db, { hostname: 'here', pid: 1, leaseTtlMs: 60_000 })
  await db.query(`insert into bundle (bundle_hash, code) values ('b', '')`)
  await db.query(
    `insert into dag_version (dag_id, version_number, version_hash, bundle_hash, manifest, file)
     values ('d', 1, 'v', 'b', '{}', 'd.ts')`,
  )
  await db.query(
    `insert into dag (dag_id, dag_version_id, is_paused, max_active_runs)
     select 'd', dag_version_id, false, 16 from dag_version`,
  )
  const { rows } = await db.query<{ dag_run_id: number }>(
    `insert into dag_run (dag_id, run_id, dag_version_id, run_type, state, triggered_by, scheduler_id)
     select 'd', 'r', dag_version_id, 'manual', 'running', 'test', $1 from dag_version returning dag_run_id`,
    [schedulerId],
  )
  dagRunId = rows[0]!.dag_run_id
})
afterEach(async () => {
  await db.close()
  await database[Symbol.asyncDispose]()
})

const queued = (taskId: string) => ({
  dag_run_id: dagRunId,
  task_id: taskId,
  map_index: -1,
  try_number: 1,
  max_tries: 1,
  token: randomUUID(),
  executor: 'local',
})
const commit = (commitNumber: number, batch: Partial<ChangeBatch>, id = schedulerId) =>
  commitChanges(db, {
    schedulerId: id,
    commitNumber,
    leaseTtlMs: 60_000,
    batch: { ...emptyChangeBatch(), ...batch },
  })
const taskIds = async () =>
  (await db.query<{ task_id: string }>('select task_id from task_instance order by 1')).rows.map(
    (row) => row.task_id,
  )

test('a commit whose answer was lost is made once, however often it is sent', async () => {
  const batch = { queuedNew: [queued('a')] }
  await commit(1, batch)
  await commit(1, batch)
  await commit(2, { queuedNew: [queued('b')] })
  expect(await taskIds()).toEqual(['a', 'b'])
})

test('a scheduler whose runs were taken over commits nothing any more', async () => {
  const successor = await registerScheduler(db, { hostname: 'there', pid: 2, leaseTtlMs: 60_000 })
  await db.query(`update scheduler set lease_expires_at = '-infinity' where scheduler_id = $1`, [schedulerId])
  const taken = await takeOverRuns(db, successor)
  expect(taken.map((run) => run.dag_run_id)).toEqual([dagRunId])
  const refused = await commit(1, { queuedNew: [queued('late')] }).catch((error: unknown) => error)
  expect(commitRefusal(refused)).toBe('lease_lost')
  expect(await taskIds()).toEqual([])
  await commit(1, { queuedNew: [queued('next')] }, successor)
  expect(await taskIds()).toEqual(['next'])
})

test('a lease that has not run out is not taken over', async () => {
  const other = await registerScheduler(db, { hostname: 'there', pid: 2, leaseTtlMs: 60_000 })
  expect(await takeOverRuns(db, other)).toEqual([])
})

test('a change of a row that is not in the state it was left in is refused with all of its commit', async () => {
  await commit(1, { queuedNew: [queued('a')] })
  const again = { ...queued('a'), try_number: 2, from_state: 'up_for_retry', infrastructure_retries: 0 }
  const refused = await commit(2, { queuedNew: [queued('b')], queuedAgain: [again] }).catch(
    (error: unknown) => error,
  )
  expect(commitRefusal(refused)).toBe('inconsistent')
  expect(await taskIds()).toEqual(['a'])
})

test('a commit renews the lease', async () => {
  await db.query(`update scheduler set lease_expires_at = now() - interval '1 hour'`)
  await commit(1, { queuedNew: [queued('a')] })
  const { rows } = await db.query<{ alive: boolean }>(
    'select lease_expires_at > now() as alive from scheduler',
  )
  expect(rows).toEqual([{ alive: true }])
})

const at = '2026-01-05T06:00:00.000Z'
const failed = (tryNumber: number) => ({
  dag_run_id: dagRunId,
  task_id: 'a',
  map_index: -1,
  try_number: tryNumber,
  from_state: 'queued',
  to_state: 'up_for_retry',
  attempt_state: 'failed',
  start_date: at,
  end_date: at,
  next_try_at: at,
  hostname: null,
  pid: null,
  exit_code: null,
  error: null,
  result: null,
})
const budget = async () => {
  const { rows } = await db.query<{ state: string; max_tries: number; infrastructure_retries: number }>(
    'select state, max_tries, infrastructure_retries from task_instance',
  )
  return rows
}

test('the end, the next attempt and the clearing of a task instance each write its budget', async () => {
  await commit(1, { queuedNew: [queued('a')] })
  expect(await budget()).toEqual([{ state: 'queued', max_tries: 1, infrastructure_retries: 0 }])
  await commit(2, { finished: [{ ...failed(1), max_tries: 2, infrastructure_retries: 1 }] })
  expect(await budget()).toEqual([{ state: 'up_for_retry', max_tries: 2, infrastructure_retries: 1 }])
  const again = { ...queued('a'), try_number: 2, max_tries: 2, from_state: 'up_for_retry' }
  await commit(3, { queuedAgain: [{ ...again, infrastructure_retries: 1 }] })
  expect(await budget()).toEqual([{ state: 'queued', max_tries: 2, infrastructure_retries: 1 }])
  await commit(4, { finished: [{ ...failed(2), max_tries: 3, infrastructure_retries: 2 }] })
  const cleared = { dag_run_id: dagRunId, task_id: 'a', map_index: -1, from_state: 'up_for_retry' }
  await commit(5, {
    decided: [{ ...cleared, to_state: 'none', max_tries: 3, infrastructure_retries: 0 }],
  })
  expect(await budget()).toEqual([{ state: 'none', max_tries: 3, infrastructure_retries: 0 }])
})

test('a commit of the former release leaves the budget as it is', async () => {
  await commit(1, { queuedNew: [queued('a')] })
  await commit(2, { finished: [{ ...failed(1), max_tries: 3, infrastructure_retries: 1 }] })
  // Its `finished` has no max_tries, and nothing of it has infrastructure_retries.
  const commitAsBefore = (
    commitNumber: number,
    kind: 'queued_again' | 'finished' | 'decided',
    row: object,
  ) => {
    const kinds = ['queued_new', 'queued_again', 'started', 'finished', 'decided_new', 'decided']
    const changes = kinds.map((name) => (name === kind ? JSON.stringify([row]) : null))
    return db.query(
      `select commit_changes($1, $2, interval '1 minute', $3, $4, $5, $6, $7, $8, null, null)`,
      [schedulerId, commitNumber, ...changes],
    )
  }
  const again = { ...queued('a'), try_number: 2, max_tries: 3, from_state: 'up_for_retry' }
  await commitAsBefore(3, 'queued_again', again)
  expect(await budget()).toEqual([{ state: 'queued', max_tries: 3, infrastructure_retries: 1 }])
  await commitAsBefore(4, 'finished', failed(2))
  expect(await budget()).toEqual([{ state: 'up_for_retry', max_tries: 3, infrastructure_retries: 1 }])
  const cleared = { dag_run_id: dagRunId, task_id: 'a', map_index: -1, from_state: 'up_for_retry' }
  await commitAsBefore(5, 'decided', { ...cleared, to_state: 'none', max_tries: 3 })
  expect(await budget()).toEqual([{ state: 'none', max_tries: 3, infrastructure_retries: 1 }])
})
