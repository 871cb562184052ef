// Statements of several programs that change many rows of the launch ledger at once, in whatever order they name them.
import { expect, test } from 'vitest'
import { markPodsCreated, markPodsEnded } from '../../../../scheduler/database/pod-ledger.ts'
import { takeUnseenPods } from '../../../../scheduler/database/pod-rows.ts'
import { createLedgerDatabase } from './ledger-database.ts'

test('whoever changes many rows of the ledger waits for nobody who waits for it', async () => {
  await using ledger = await createLedgerDatabase()
  const { db, schedulerId } = ledger
  const taskIds = Array.from({ length: 60 }, (_, n) => `t-${n}`)
  const keys = []
  for (const taskId of taskIds) keys.push(await ledger.plan(taskId))
  const heard = taskIds.map((taskId) => ({ taskId, uid: `u-${taskId}` })).reverse()

  for (let round = 1; round <= 40; round += 1) {
    await Promise.all([
      ledger.hear(String(round), ...heard.map((one) => ({ ...one, resource_version: String(round) }))),
      markPodsCreated(
        db,
        keys.map((key) => ({ ...key, uid: `u-${key.task_id}` })),
      ),
      takeUnseenPods(db, schedulerId, 500),
    ])
  }
  await Promise.all([
    markPodsEnded(
      db,
      keys.map((key) => ({ ...key, delete_after_ms: null })),
    ),
    ledger.hear('99', ...heard.map((one) => ({ ...one, resource_version: '99' }))),
  ])
  const { rows } = await db.query<{ deadlocks: number }>(
    'select deadlocks from pg_stat_database where datname = current_database()',
  )
  expect(rows[0]!.deadlocks).toBe(0)
}, 60_000)
