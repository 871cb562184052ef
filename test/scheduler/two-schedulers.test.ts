// Two schedulers on one database, as processes, and what happens when one of them is killed, paused or stopped, or
// when Postgres goes away under both.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { processTree, signalProcesses } from '../../runtime/authoring/process-tree.ts'
import { isRunning } from '../../runtime/process-start.ts'
import {
  createDeployment,
  type Deployment,
  dagsLoaded,
  kill,
  type ProgramProcess,
  whileAway,
} from '../support/deployment.ts'
import { type LedgerEntry, ledgerFiles, readLedger } from '../support/ledger.ts'
import { eventually } from '../support/scheduler.ts'

const modules = {
  ...ledgerFiles,
  'work.ts': `
    import { existsSync } from 'node:fs'
    import { dag, task, bash, chain } from 'branchline'
    import { attempt } from './ledger.ts'

    const defaults = { retries: 5, retryDelay: '20ms' }
    const until = async (file, signal) => {
      while (!existsSync(process.env.LEDGER + '/../' + file)) {
        await new Promise((done) => setTimeout(done, 5))
        signal.throwIfAborted()
      }
    }
    export const spread = dag('spread', { defaults }, () => {
      chain(...[1, 2, 3, 4].map((n) => task('t' + n, (context) => attempt(context, { lines: 2, pauseMs: 10 }))))
    })
    // Goes on when the file 'go' is there.
    export const waits = dag('waits', { defaults }, () => {
      const first = task('first', (context) => attempt(context, { lines: 2, pauseMs: 0 }))
      const middle = task('middle', { after: [first] }, async (context) => {
        const result = await attempt(context, { lines: 2, pauseMs: 0 })
        await until('go', context.signal)
        return result
      })
      task('last', { after: [middle] }, (context) => attempt(context, { lines: 2, pauseMs: 0 }))
    })
    export const stubborn = dag('stubborn', { defaults }, () => {
      task('loops', async (context) => {
        await attempt(context, { lines: 1, pauseMs: 0 })
        while (context.tryNumber === 1);
      })
      bash('children', \`
        . ./account.sh
        line 1
        [ $try = 1 ] || exit 0
        child sleep 1000
        child bash -c 'trap "" TERM; while :; do sleep 1; done'
        line 2
        wait\`)
    })
    // More attempts than there are places: some wait in the scheduler.
    export const crowd = dag('crowd', { defaults }, () => {
      for (let n = 0; n < 8; n += 1) {
        task('t' + n, async (context) => {
          await attempt(context, { lines: 1, pauseMs: 0 })
          await until('go', context.signal)
        })
      }
    })
  `,
}

let deployment: Deployment
let schedulers: ProgramProcess[]

beforeEach(async () => {
  deployment = await createDeployment({ files: modules, env: { BRANCHLINE_TASK_KILL_GRACE: '500ms' } })
  schedulers = [deployment.startProgram('scheduler'), deployment.startProgram('scheduler')]
  await dagsLoaded(deployment, 4)
  await eventually('both schedulers', async () => {
    const { rows } = await deployment.db.query('select 1 from scheduler')
    return rows.length === 2
  })
})
afterEach(async ({ task }) => {
  if (task.result?.state === 'fail') {
    deployment.keepFiles()
    console.error(`state kept in ${deployment.directory}`)
  }
  await deployment[Symbol.asyncDispose]()
})

const go = async () => {
  const { writeFile } = await import('node:fs/promises')
  await writeFile(join(deployment.directory, 'go'), '')
}

/** The scheduler that leases the run, and the other one. */
async function ownerAndOther(dagId: string, runId: string): Promise<[ProgramProcess, ProgramProcess]> {
  const pid = await eventually(`an owner of ${dagId} ${runId}`, () => deployment.ownerOf(dagId, runId))
  const owner = schedulers.find((program) => program.pid === pid)!
  return [owner, schedulers.find((program) => program !== owner)!]
}

const ledgerOf = (dagId: string, runId: string): LedgerEntry[] =>
  readLedger(deployment.ledger).filter((entry) => entry.dagId === dagId && entry.runId === runId)
const entryOf = (dagId: string, runId: string, taskId: string) =>
  ledgerOf(dagId, runId).find((entry) => entry.taskId === taskId)

const begun = (dagId: string, runId: string, taskId: string, count = 1) =>
  eventually(
    `attempt ${count} of ${taskId}`,
    () => (entryOf(dagId, runId, taskId)?.attempts.length ?? 0) >= count,
  )

/** No attempt began twice, none while an earlier one was alive, and what succeeded did so once, as its last. */
async function expectOnce(dagId: string, runId: string): Promise<void> {
  for (const { taskId, attempts, overlaps } of ledgerOf(dagId, runId)) {
    expect(overlaps, taskId).toEqual([])
    const tries = attempts.map(({ tryNumber }) => tryNumber)
    expect(new Set(tries).size, `${taskId} began as ${tries}`).toBe(tries.length)
  }
  const rows = await deployment.attempts(dagId, runId)
  for (const attempts of Map.groupBy(rows, (row) => row.task_id).values()) {
    expect(attempts.map(({ try_number }) => try_number)).toEqual(attempts.map((_, index) => index + 1))
    expect(attempts.filter(({ state }) => state === 'success')).toEqual([attempts.at(-1)])
  }
}

const triesOf = async (dagId: string, runId: string) =>
  Math.max(...(await deployment.attempts(dagId, runId)).map(({ try_number }) => try_number))

test('both take a share of the runs', async () => {
  const runIds = Array.from({ length: 60 }, (_, n) => `r${n}`)
  await Promise.all(runIds.map((runId) => deployment.trigger('spread', runId)))
  for (const runId of runIds) expect(await deployment.ended('spread', runId)).toBe('success')
  const { rows } = await deployment.db.query<{ n: number }>(
    'select count(*)::integer as n from attempt group by scheduler_id',
  )
  expect(rows).toHaveLength(2)
  for (const runId of runIds) {
    await expectOnce('spread', runId)
    expect(await triesOf('spread', runId)).toBe(1)
  }
})

test('the runs of one that was killed go on in the other within 2 s', async () => {
  await deployment.trigger('waits', 'run')
  await begun('waits', 'run', 'middle')
  const [owner, other] = await ownerAndOther('waits', 'run')
  await go()
  owner.kill('SIGKILL')
  const killedAt = Date.now()
  await eventually(
    'the other to take it',
    async () => (await deployment.ownerOf('waits', 'run')) === other.pid,
  )
  await begun('waits', 'run', 'middle', 2)
  expect(Date.now() - killedAt).toBeLessThan(2_000)
  expect(await deployment.ended('waits', 'run')).toBe('success')
  await expectOnce('waits', 'run')
  expect(entryOf('waits', 'run', 'first')!.attempts).toHaveLength(1)
})

test('the task runners of one that was killed end with it, with all that tasks started', async () => {
  await deployment.trigger('stubborn', 'run')
  await begun('stubborn', 'run', 'loops')
  await eventually(
    'its children',
    () => entryOf('stubborn', 'run', 'children')?.attempts[0]?.children.length === 2,
  )
  const [owner] = await ownerAndOther('stubborn', 'run')
  const pids = ledgerOf('stubborn', 'run').flatMap(({ attempts }) => [
    attempts[0]!.pid,
    ...attempts[0]!.children,
  ])
  expect(pids).toHaveLength(4)
  expect(pids.every(isRunning)).toBe(true)
  owner.kill('SIGKILL')
  await eventually('their end', () => !pids.some(isRunning), 1_000)
  expect(await deployment.ended('stubborn', 'run')).toBe('success')
  await expectOnce('stubborn', 'run')
})

test('children of a task runner that was killed alone end with it', async () => {
  await deployment.trigger('stubborn', 'run')
  await eventually(
    'its children',
    () => entryOf('stubborn', 'run', 'children')?.attempts[0]?.children.length === 2,
  )
  const [shell] = entryOf('stubborn', 'run', 'children')!.attempts
  const runner = deployment.processes().find(({ pid }) => pid === shell!.pid)!.parentPid
  kill(runner, 'SIGKILL')
  await begun('stubborn', 'run', 'children', 2)
  expect([shell!.pid, ...shell!.children].filter(isRunning)).toEqual([])
  await begun('stubborn', 'run', 'loops')
  kill(entryOf('stubborn', 'run', 'loops')!.attempts[0]!.pid, 'SIGKILL')
  expect(await deployment.ended('stubborn', 'run')).toBe('success')
  await expectOnce('stubborn', 'run')
})

test('children die also where scheduler, reaper and task runner were all killed at once', async () => {
  await deployment.trigger('stubborn', 'run')
  await eventually(
    'its children',
    () => entryOf('stubborn', 'run', 'children')?.attempts[0]?.children.length === 2,
  )
  await begun('stubborn', 'run', 'loops')
  const [owner] = await ownerAndOther('stubborn', 'run')
  const [shell] = entryOf('stubborn', 'run', 'children')!.attempts
  const [loop] = entryOf('stubborn', 'run', 'loops')!.attempts
  const below = deployment.processes().filter(({ parentPid }) => parentPid === owner.pid)
  // Stopped first, so that none of them sees another's end.
  const all = [owner.pid, ...below.map(({ pid }) => pid)]
  signalProcesses(all, 'SIGSTOP')
  signalProcesses(all, 'SIGKILL')
  await begun('stubborn', 'run', 'children', 2)
  expect([shell!.pid, loop!.pid, ...shell!.children].filter(isRunning)).toEqual([])
  expect(await deployment.ended('stubborn', 'run')).toBe('success')
  await expectOnce('stubborn', 'run')
})

test('one that was paused loses its runs, commits nothing when it goes on, and begins anew', async () => {
  await deployment.trigger('waits', 'run')
  await deployment.trigger('crowd', 'run')
  await begun('waits', 'run', 'middle')
  await eventually('both places taken', () => ledgerOf('crowd', 'run').length >= 1)
  const [owner, other] = await ownerAndOther('waits', 'run')
  const middle = entryOf('waits', 'run', 'middle')!.attempts[0]!
  owner.kill('SIGSTOP')
  await begun('waits', 'run', 'middle', 2)
  expect(isRunning(middle.pid)).toBe(false)
  expect(await deployment.ownerOf('waits', 'run')).toBe(other.pid)
  owner.kill('SIGCONT')
  await eventually(
    'it begins anew',
    () => owner.lines().filter(({ msg }) => msg === 'scheduler started').length === 2,
  )
  await go()
  for (const dagId of ['waits', 'crowd']) {
    expect(await deployment.ended(dagId, 'run')).toBe('success')
    await expectOnce(dagId, 'run')
  }
  // It takes part again.
  const runIds = Array.from({ length: 40 }, (_, n) => `r${n}`)
  await Promise.all(runIds.map((runId) => deployment.trigger('spread', runId)))
  for (const runId of runIds) expect(await deployment.ended('spread', runId)).toBe('success')
  expect(owner.child.exitCode).toBeNull()
})

test('attempts that wait in a paused scheduler begin once, whoever begins them', async () => {
  await deployment.trigger('crowd', 'run')
  const [owner] = await ownerAndOther('crowd', 'run')
  await eventually('both places taken', () => ledgerOf('crowd', 'run').length === 2)
  owner.kill('SIGSTOP')
  await eventually('the other runs them', () => ledgerOf('crowd', 'run').length >= 4)
  // Its task runners are dead, and it would start new ones for what waits there.
  owner.kill('SIGCONT')
  await go()
  expect(await deployment.ended('crowd', 'run')).toBe('success')
  await expectOnce('crowd', 'run')
})

test('one that is stopped tells what runs and hands over what waits with its try number', async () => {
  await deployment.trigger('crowd', 'run')
  const [owner, other] = await ownerAndOther('crowd', 'run')
  await eventually('both places taken', () => ledgerOf('crowd', 'run').length === 2)
  const running = ledgerOf('crowd', 'run').map(({ taskId }) => taskId)
  owner.kill('SIGTERM')
  expect(await owner.exited).toBe(0)
  await eventually(
    'the other to take it',
    async () => (await deployment.ownerOf('crowd', 'run')) === other.pid,
  )
  await go()
  expect(await deployment.ended('crowd', 'run')).toBe('success')
  await expectOnce('crowd', 'run')
  const attempts = await deployment.attempts('crowd', 'run')
  for (const { task_id, try_number, error } of attempts.filter(({ state }) => state === 'failed')) {
    expect([running.includes(task_id), try_number]).toEqual([true, 1])
    expect(error!.message).toContain('shut down')
  }
  const tried = Map.groupBy(attempts, ({ task_id }) => task_id)
  for (const [taskId, tries] of tried) expect(tries, taskId).toHaveLength(running.includes(taskId) ? 2 : 1)
})

test('an outcome that nobody could commit any more is found in the journal', async () => {
  await deployment.trigger('waits', 'run')
  await begun('waits', 'run', 'middle')
  const [owner] = await ownerAndOther('waits', 'run')
  const { rows } = await deployment.db.query<{ scheduler_id: number }>(
    'select scheduler_id from scheduler where pid = $1',
    [owner.pid],
  )
  const schedulerId = rows[0]!.scheduler_id
  const client = new pg.Client({ connectionString: deployment.env.BRANCHLINE_DATABASE_URL })
  await client.connect()
  try {
    // Its commits wait for this lock.
    await client.query('begin')
    await client.query('select 1 from scheduler where scheduler_id = $1 for update', [schedulerId])
    await go()
    const runners = join(deployment.directory, 'data', 'runners', String(schedulerId))
    await eventually('the end of the attempt in a journal', () =>
      readdirSync(runners)
        .map((name) => join(runners, name, 'journal'))
        .some((journal) => existsSync(journal) && /"finish".*\/middle\//.test(readFileSync(journal, 'utf8'))),
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
  expect(await deployment.ended('waits', 'run')).toBe('success')
  await expectOnce('waits', 'run')
  const middle = entryOf('waits', 'run', 'middle')!
  expect(middle.attempts).toHaveLength(1)
  const results = await deployment.db.query<{ value: string }>(
    `select value from xcom join dag_run using (dag_run_id) where run_id = 'run' and task_id = 'middle'`,
  )
  expect(JSON.parse(results.rows[0]!.value)).toEqual({ tryNumber: 1, pid: middle.attempts[0]!.pid })
})

test('Postgres may end in the middle: everything waits and goes on, nothing twice, nothing lost', async () => {
  const runIds = Array.from({ length: 40 }, (_, n) => `r${n}`)
  await Promise.all(runIds.slice(0, 20).map((runId) => deployment.trigger('spread', runId)))
  await deployment.killPostgres()
  const later = Promise.all(runIds.slice(20).map((runId) => deployment.trigger('spread', runId)))
  await deployment.startPostgres()
  await later
  await deployment.postgres().stop()
  await deployment.startPostgres()
  for (const runId of runIds) {
    expect(await deployment.ended('spread', runId)).toBe('success')
    await whileAway(() => expectOnce('spread', runId))
    expect(await triesOf('spread', runId)).toBe(1)
  }
  for (const { child } of schedulers) expect(child.exitCode).toBeNull()
})

test.each([
  ['is gone', 4_000],
  ['is gone for about as long as a lease', 1_300],
])('no living scheduler loses its runs while Postgres %s', async (_, awayMs) => {
  await deployment.trigger('waits', 'run')
  await deployment.trigger('waits', 'other')
  for (const runId of ['run', 'other']) await begun('waits', runId, 'middle')
  await deployment.killPostgres()
  await new Promise((done) => setTimeout(done, awayMs))
  await deployment.startPostgres()
  await go()
  for (const runId of ['run', 'other']) {
    expect(await deployment.ended('waits', runId)).toBe('success')
    await expectOnce('waits', runId)
    expect(await triesOf('waits', runId)).toBe(1)
  }
  for (const program of schedulers)
    expect(program.lines().filter(({ msg }) => msg === 'scheduler started')).toHaveLength(1)
})

test('no living scheduler loses its runs while Postgres is paused', async () => {
  await deployment.trigger('waits', 'run')
  await begun('waits', 'run', 'middle')
  const server = processTree(deployment.postgres().pid)
  signalProcesses(server, 'SIGSTOP')
  await new Promise((done) => setTimeout(done, 3_000))
  signalProcesses(server, 'SIGCONT')
  await go()
  expect(await deployment.ended('waits', 'run')).toBe('success')
  await expectOnce('waits', 'run')
  expect(await triesOf('waits', 'run')).toBe(1)
})
