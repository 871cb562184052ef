// Postgres ends, stays away or stands still under two schedulers: everything waits and goes on, no attempt is
// ended or begun because of it, and neither scheduler takes what the other has.
import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { processTree, signalProcesses } from '../../runtime/authoring/process-tree.ts'
import { eventually } from '../support/eventually.ts'
import { keepWhenFailed, startTwoSchedulers, type TwoSchedulers, type WatchedRun } from './two-schedulers.ts'

let two: TwoSchedulers
beforeAll(async () => {
  two = await startTwoSchedulers()
})
beforeEach(() => two.complete())
afterEach(({ task }) => keepWhenFailed(two.deployment, task.result?.state === 'fail'))
afterAll(() => two[Symbol.asyncDispose]())

/** Runs that wait in the middle, at least one in each scheduler. */
async function waitingRuns(): Promise<WatchedRun[]> {
  const runs = [await two.run('waits')]
  const [owner] = await runs[0]!.owners()
  await eventually('a run of the other scheduler', async () => {
    const run = await two.run('waits')
    const [itsOwner] = await run.owners()
    if (itsOwner !== owner) runs.push(run)
    else run.go()
    return itsOwner !== owner
  })
  for (const run of runs) await run.begun('middle')
  return runs
}

async function goOnUndisturbed(runs: readonly WatchedRun[]): Promise<void> {
  for (const run of runs) {
    run.go()
    await run.endsWell()
    expect(await run.tries()).toBe(1)
  }
  for (const { child, lines } of two.schedulers()) {
    expect(child.exitCode).toBeNull()
    expect(lines().filter(({ msg }) => msg === 'scheduler started')).toHaveLength(1)
  }
}

test('killed and stopped in the middle of many runs', async () => {
  const first = await two.runs('spread', 20)
  await two.deployment.killPostgres()
  const second = two.runs('spread', 20)
  await two.deployment.startPostgres()
  const runs = [...first, ...(await second)]
  await two.deployment.postgres().stop()
  await two.deployment.startPostgres()
  await goOnUndisturbed(runs)
})

// A quarter, about all, and twice of a lease's 1.5 s: where a lease runs out just when Postgres comes back, one
// scheduler sees it before the other could renew.
test.each([400, 1_300, 3_000])('away for %i ms', async (awayMs) => {
  const runs = await waitingRuns()
  await two.deployment.killPostgres()
  await delay(awayMs)
  await two.deployment.startPostgres()
  await goOnUndisturbed(runs)
})

test('gone between the lease of a run and what is read of it', async () => {
  const { db, env } = two.deployment
  await db.query(`update dag set is_paused = true where dag_id = 'unread'`)
  const run = await two.run('unread')
  const client = new pg.Client({ connectionString: env.BRANCHLINE_DATABASE_URL })
  await client.connect()
  try {
    await client.query('begin')
    await client.query('lock table dag_version in access exclusive mode')
    await db.query(`update dag set is_paused = false where dag_id = 'unread'`)
    await eventually('a scheduler that leased it and waits for the lock', async () => {
      const { rowCount } = await db.query(
        `select pg_terminate_backend(pid) from pg_stat_activity
         where wait_event_type = 'Lock' and query like '%from dag_version%'`,
      )
      return rowCount === 1
    })
    await client.query('rollback')
  } finally {
    await client.end()
  }
  await goOnUndisturbed([run])
})

test('standing still for 3 s', async () => {
  const runs = await waitingRuns()
  const server = processTree(two.deployment.postgres().pid)
  signalProcesses(server, 'SIGSTOP')
  await delay(3_000)
  signalProcesses(server, 'SIGCONT')
  await goOnUndisturbed(runs)
})
