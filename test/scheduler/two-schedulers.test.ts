// Two schedulers on one database, and what happens when one of them is killed, paused or stopped.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { signalProcesses } from '../../runtime/authoring/process-tree.ts'
import { isRunning } from '../../runtime/process-start.ts'
import { kill, type ProgramProcess } from '../support/deployment.ts'
import { eventually } from '../support/eventually.ts'
import { keepWhenFailed, startTwoSchedulers, type TwoSchedulers, type WatchedRun } from './two-schedulers.ts'

let two: TwoSchedulers
beforeAll(async () => {
  two = await startTwoSchedulers()
})
beforeEach(() => two.complete())
afterEach(({ task }) => keepWhenFailed(two.deployment, task.result?.state === 'fail'))
afterAll(() => two[Symbol.asyncDispose]())

/** Processes of the first attempt of both tasks of `stubborn`, its bash task's children included. */
async function stubbornProcesses(run: WatchedRun) {
  await run.begun('loops')
  await eventually('its children', () => run.entry('children')?.attempts[0]?.children.length === 2)
  const loop = run.entry('loops')!.attempts[0]!.pid
  const { pid: shell, children } = run.entry('children')!.attempts[0]!
  expect([loop, shell, ...children].filter(isRunning)).toHaveLength(4)
  return { loop, shell, children }
}

/** Lets a paused scheduler go on, and waits until it has found out. */
async function goesOnAnew(program: ProgramProcess): Promise<void> {
  const started = () => program.lines().filter(({ msg }) => msg === 'scheduler started').length
  const before = started()
  program.kill('SIGCONT')
  await eventually('it begins anew', () => started() === before + 1)
}

test('both take a share of the runs', async () => {
  const runs = await two.runs('spread', 60)
  for (const run of runs) await run.endsWell()
  expect(Math.max(...(await Promise.all(runs.map((run) => run.tries()))))).toBe(1)
  const { rows } = await two.deployment.db.query('select 1 from attempt group by scheduler_id')
  expect(rows).toHaveLength(2)
})

test('the runs of one that was killed go on in the other within 2 s', async () => {
  const run = await two.run('waits')
  await run.begun('middle')
  const [owner] = await run.owners()
  owner.kill('SIGKILL')
  const killedAt = Date.now()
  await run.begun('middle', 2)
  expect(run.entry('middle')!.attempts[1]!.beganMs - killedAt).toBeLessThan(2_000)
  run.go()
  await run.endsWell()
  expect(run.entry('first')!.attempts).toHaveLength(1)
})

test('task runners of one that was killed end with it, in a busy loop too, and with all that tasks started', async () => {
  const run = await two.run('stubborn')
  const { loop, shell, children } = await stubbornProcesses(run)
  const [owner] = await run.owners()
  owner.kill('SIGKILL')
  await eventually('their end', () => ![loop, shell, ...children].some(isRunning), 1_000)
  await run.endsWell()
})

test('what a task started ends with its task runner, before the next attempt begins', async () => {
  const run = await two.run('stubborn')
  const { loop, shell, children } = await stubbornProcesses(run)
  const runner = two.deployment.processes().find(({ pid }) => pid === shell)!.parentPid
  kill(runner, 'SIGKILL')
  await run.begun('children', 2)
  expect([shell, ...children].filter(isRunning)).toEqual([])
  kill(loop, 'SIGKILL')
  await run.endsWell()
})

test('what a task started ends also where everything that knew of it was killed at once', async () => {
  const run = await two.run('stubborn')
  const { loop, shell, children } = await stubbornProcesses(run)
  const [owner] = await run.owners()
  const below = two.deployment.processes().filter(({ parentPid }) => parentPid === owner.pid)
  const all = [owner.pid, ...below.map(({ pid }) => pid)]
  // Paused first, so that none of them sees another's end.
  signalProcesses(all, 'SIGSTOP')
  signalProcesses(all, 'SIGKILL')
  await run.begun('children', 2)
  expect([loop, shell, ...children].filter(isRunning)).toEqual([])
  await run.endsWell()
})

test('one that was paused loses its runs, commits nothing when it goes on, and begins anew', async () => {
  const run = await two.run('waits')
  await run.begun('middle')
  const [owner, other] = await run.owners()
  owner.kill('SIGSTOP')
  await run.begun('middle', 2)
  expect(isRunning(run.entry('middle')!.attempts[0]!.pid)).toBe(false)
  expect((await run.owners())[0]).toBe(other)
  await goesOnAnew(owner)
  expect((await run.owners())[0]).toBe(other)
  run.go()
  await run.endsWell()
  // It takes part again.
  const owners = async (runs: WatchedRun[]) =>
    new Set((await Promise.all(runs.map((one) => one.attempts()))).flat().map((row) => row.scheduler_id)).size
  const more = await two.runs('spread', 40)
  for (const one of more) await one.endsWell()
  expect(await owners(more)).toBe(2)
})

test('attempts that wait in a paused scheduler begin once, whoever begins them', async () => {
  const run = await two.run('crowd')
  const [owner] = await run.owners()
  await eventually('both places taken', () => run.ledger().length === 2)
  owner.kill('SIGSTOP')
  const begun = () => run.ledger().flatMap(({ attempts }) => attempts).length
  await eventually('the other begins more', () => begun() === 4)
  // Its task runners are dead; what waits there must not get new ones.
  await goesOnAnew(owner)
  run.go()
  await run.endsWell()
})

test('one that is stopped tells what runs and hands over what waits with its try number', async () => {
  const run = await two.run('crowd')
  const [owner, other] = await run.owners()
  await eventually('both places taken', () => run.ledger().length === 2)
  const running = run.ledger().map(({ taskId }) => taskId)
  owner.kill('SIGTERM')
  expect(await owner.exited).toBe(0)
  await eventually('the other to take it', async () => (await run.owners())[0] === other)
  run.go()
  await run.endsWell()
  const attempts = await run.attempts()
  const failed = attempts.filter(({ state }) => state === 'failed')
  expect(failed.map(({ task_id, try_number }) => [task_id, try_number])).toEqual(
    running.sort().map((taskId) => [taskId, 1]),
  )
  for (const { error } of failed) expect(error!.message).toContain('shut down')
  expect(attempts).toHaveLength(6 + 2)
})

test('an outcome that nobody could commit any more is found in the journal', async () => {
  const { db, directory, env } = two.deployment
  const run = await two.run('waits')
  await run.begun('middle')
  const [owner] = await run.owners()
  const { rows } = await db.query<{ scheduler_id: number }>(
    'select scheduler_id from scheduler where pid = $1',
    [owner.pid],
  )
  const schedulerId = rows[0]!.scheduler_id
  const client = new pg.Client({ connectionString: env.BRANCHLINE_DATABASE_URL })
  await client.connect()
  try {
    // Its commits wait for this lock.
    await client.query('begin')
    await client.query('select 1 from scheduler where scheduler_id = $1 for update', [schedulerId])
    run.go()
    const runners = join(directory, 'data', 'runners', String(schedulerId))
    const journals = () => readdirSync(runners).map((name) => join(runners, name, 'journal'))
    await eventually('the end of the attempt in a journal', () =>
      journals().some((path) => existsSync(path) && /"finish".*\/middle\//.test(readFileSync(path, 'utf8'))),
    )
    owner.kill('SIGKILL')
    await owner.exited
    await client.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
       where application_name = 'branchline scheduler' and wait_event_type = 'Lock'`,
    )
    await client.query('rollback')
  } finally {
    await client.end()
  }
  await run.endsWell()
  const { attempts } = run.entry('middle')!
  expect(attempts).toHaveLength(1)
  const results = await db.query<{ value: string }>(
    `select value from xcom join dag_run using (dag_run_id) where run_id = $1 and task_id = 'middle'`,
    [run.runId],
  )
  expect(JSON.parse(results.rows[0]!.value)).toEqual({ tryNumber: 1, pid: attempts[0]!.pid })
})
