// One scheduler with everything real around it: modules on disk, the loader, Postgres, task runners.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { isRunning } from '../../runtime/process-start.ts'
import { eventually } from '../support/eventually.ts'
import { type SchedulerFixture, startScheduler } from '../support/scheduler.ts'

const modules = {
  'flow.ts': `
    import { bash, chain, dag, task, TaskFailError, TaskSkipError } from 'branchline'
    import { writeFileSync } from 'node:fs'
    export const flow = dag('flow', { params: { factor: 2 } }, () => {
      const numbers = task('numbers', () => [1, 2, 3])
      const doubled = task('doubled', { numbers }, ({ numbers }, { params, log }) => {
        log.info('doubling', { count: numbers.length })
        return numbers.map((n) => n * Number(params.factor))
      })
      const sum = task('sum', { doubled }, ({ doubled }) => doubled.reduce((a, b) => a + b, 0))
      bash('say', 'echo "sum is $sum"', { inputs: { sum } })
    })
    export const failing = dag('failing', { defaults: { retryDelay: '20ms' } }, () => {
      const flaky = task('flaky', { retries: 2 }, ({ tryNumber }) => {
        if (tryNumber < 3) throw new Error('try ' + tryNumber)
        return tryNumber
      })
      const never = task('never', { retries: 3, after: [flaky] }, () => {
        throw new TaskFailError('no use')
      })
      task('below', { after: [never] }, () => 'unreached')
      const skip = task('skip', { after: [flaky] }, () => {
        throw new TaskSkipError('not today')
      })
      task('below_skip', { after: [skip] }, () => 'unreached')
    })
    export const printing = dag('printing', {}, () => {
      task('prints', ({ log }) => {
        log.info('one', { a: 1 })
        console.log('two %d', 2)
        console.error('three')
        process.stdout.write('four\\n')
        process.stderr.write('five\\n')
        writeFileSync(1, 'six\\n')
        log.warn('seven')
        process.stdout.write('eight without newline')
      })
      bash('shell', 'echo out 1; echo err 2 >&2; echo out 3')
    })
    export const stuck = dag('stuck', {}, () => {
      task('loops', { executionTimeout: '300ms' }, () => { for (;;); })
      bash('sleeps', 'sleep 1000 & echo $! > "$PIDFILE"; wait', { executionTimeout: '300ms', env: { PIDFILE: 'sleep.pid' } })
    })
    export const polite = dag('polite', {}, () => {
      task('waits', async ({ signal, log }) => {
        log.info('waiting')
        await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
      })
      task('after', { after: [] }, () => 1)
    })
    export const dying = dag('dying', { defaults: { retryDelay: '10ms' } }, () => {
      task('exits', { retries: 1 }, ({ tryNumber }) => { if (tryNumber === 1) process.exit(7) })
      task('killed', { retries: 1 }, async ({ tryNumber, log }) => {
        log.info('pid', { pid: process.pid })
        if (tryNumber === 1) await new Promise((done) => setTimeout(done, 100_000))
      })
      task('throws_late', { retries: 1 }, async ({ tryNumber }) => {
        if (tryNumber === 1) setTimeout(() => { throw new Error('late') }, 1)
        await new Promise((done) => setTimeout(done, 50))
      })
    })
    export const wide = dag('wide', { maxActiveTasks: 3 }, () => {
      for (let i = 0; i < 12; i += 1) task('t' + i, async () => { await new Promise((done) => setTimeout(done, 20)) })
    })
    export const solo = dag('solo', { maxActiveRuns: 1 }, () => {
      task('only', async () => { await new Promise((done) => setTimeout(done, 30)) })
    })
    export const bad = dag('bad', {}, () => {
      task('too_big', () => 'x'.repeat(2_000_000))
      task('cyclic', () => { const a = {}; a.a = a; return a })
    })
    export const priorities = dag('priorities', { maxActiveTasks: 1 }, () => {
      for (const weight of [1, 5, 3]) task('w' + weight, { priorityWeight: weight }, () => weight)
    })
    export const hasty = dag('hasty', { dagrunTimeout: '1s' }, () => {
      task('waits', async ({ params, signal }) => {
        if (params.isSlow) await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
      })
    })
    export const late = dag('late', { defaults: { retryDelay: '1ms' } }, () => {
      task('fails', { retries: 1 }, async () => {
        await new Promise((done) => setTimeout(done, 300))
        throw new Error('as always')
      })
      task('slow', async () => { await new Promise((done) => setTimeout(done, 300)) })
    })
    export const fresh = dag('fresh', {}, () => {
      const a = task('a', { isolation: 'fresh' }, () => process.pid)
      task('b', { inputs: undefined, isolation: 'fresh', after: [a] }, () => process.pid)
    })
  `.replace('inputs: undefined, ', ''),
}

let fixture: SchedulerFixture
beforeAll(async () => {
  fixture = await startScheduler(modules, { BRANCHLINE_TASK_KILL_GRACE: '200ms' })
})
afterAll(async () => {
  await fixture[Symbol.asyncDispose]()
})

async function xcom(dagId: string, runId: string): Promise<Record<string, unknown>> {
  const { rows } = await fixture.db.query<{ task_id: string; value: string }>(
    'select x.task_id, x.value from xcom x join dag_run r using (dag_run_id) where r.dag_id = $1 and r.run_id = $2',
    [dagId, runId],
  )
  return Object.fromEntries(rows.map((row) => [row.task_id, JSON.parse(row.value)]))
}

test('results flow from task to task, and params from the trigger over the defaults', async () => {
  expect(await fixture.run('flow', 'defaults')).toBe('success')
  expect(await xcom('flow', 'defaults')).toEqual({ numbers: [1, 2, 3], doubled: [2, 4, 6], sum: 12 })
  expect(fixture.log('flow', 'defaults', 'say').map((line) => line.msg)).toEqual(['sum is 12'])
  expect(await fixture.run('flow', 'given', { factor: 10 })).toBe('success')
  expect((await xcom('flow', 'given')).sum).toBe(60)
})

test('failed attempts are retried, errors may refuse that, and both pass down as the trigger rule says', async () => {
  expect(await fixture.run('failing')).toBe('failed')
  expect(await fixture.states('failing', 'run')).toEqual({
    flaky: 'success',
    never: 'failed',
    below: 'upstream_failed',
    skip: 'skipped',
    below_skip: 'skipped',
  })
  const attempts = await fixture.attempts('failing', 'run')
  expect(attempts.filter((attempt) => attempt.task_id === 'flaky').map((attempt) => attempt.state)).toEqual([
    'failed',
    'failed',
    'success',
  ])
  expect(attempts.filter((attempt) => attempt.task_id === 'never')).toHaveLength(1)
  const first = attempts.find((attempt) => attempt.task_id === 'flaky')!
  expect(first.error).toMatchObject({ name: 'Error', message: 'try 1' })
  // The line of `throw` in the module as its author wrote it.
  expect(first.error!.stack).toMatch(/^Error: try 1\n {4}at \S+ \(flow\.ts:15:\d+\)$/)
})

test('everything that an attempt prints is in its log, in order, with level and stream', async () => {
  expect(await fixture.run('printing')).toBe('success')
  const lines = fixture.log('printing', 'run', 'prints')
  expect(lines.map(({ msg, level, stream }) => `${level} ${stream} ${msg}`)).toEqual([
    'info log one',
    'info console two 2',
    'error console three',
    'info stdout four',
    'error stderr five',
    'info stdout six',
    'warn log seven',
    'info stdout eight without newline',
  ])
  expect(lines[0]).toMatchObject({ a: 1, ts: expect.stringMatching(/^\d{4}-.*Z$/) })
  expect(fixture.log('printing', 'run', 'shell').map((line) => line.msg)).toEqual(['out 1', 'err 2', 'out 3'])
})

test('an attempt past its execution timeout ends with all of its children', async () => {
  expect(await fixture.run('stuck')).toBe('failed')
  for (const attempt of await fixture.attempts('stuck', 'run')) {
    expect(attempt.error!.message).toContain('execution timeout')
  }
  const pidFile = join(fixture.directory, 'source', 'sleep.pid')
  expect(existsSync(pidFile)).toBe(true)
  expect(isRunning(Number(readFileSync(pidFile, 'utf8')))).toBe(false)
})

test('a cancelled run ends: what runs is told, what was not reached is skipped', async () => {
  const dagRunId = await fixture.trigger('polite', 'run')
  await eventually('the task waits', async () => (await fixture.states('polite', 'run')).waits === 'running')
  await fixture.db.query(
    `insert into run_command (dag_run_id, command, actor) values ($1, 'cancel', 'test')`,
    [dagRunId],
  )
  await fixture.db.query(`select pg_notify('branchline', 'commands')`)
  expect(await fixture.ended('polite', 'run')).toBe('failed')
  const [waits] = (await fixture.attempts('polite', 'run')).filter((attempt) => attempt.task_id === 'waits')
  expect(waits!.error!.message).toContain('cancelled')
  const { rows } = await fixture.db.query('select 1 from run_command')
  expect(rows).toEqual([])
})

test('an attempt whose process ends under it fails with the reason and is retried', async () => {
  const ended = fixture.run('dying')
  await eventually('the victim runs', () => fixture.log('dying', 'run', 'killed').length > 0)
  const pid = fixture.log('dying', 'run', 'killed')[0]!.pid as number
  process.kill(pid, 'SIGKILL')
  expect(await ended).toBe('success')
  const attempts = await fixture.attempts('dying', 'run')
  const first = (taskId: string) =>
    attempts.find((attempt) => attempt.task_id === taskId && attempt.try_number === 1)!
  expect(first('exits')).toMatchObject({ state: 'failed', exit_code: 7 })
  expect(first('exits').error!.message).toContain('exit code 7')
  expect(first('killed').error!.message).toContain('SIGKILL')
  expect(first('throws_late').error!.message).toBe('late')
  // What it had logged is there although it was killed.
  expect(fixture.log('dying', 'run', 'killed')[0]).toMatchObject({ msg: 'pid', pid })
})

test('no more attempts of a run are active than max_active_tasks', async () => {
  const ended = fixture.run('wide')
  let most = 0
  let isOver = false
  void ended.then(() => {
    isOver = true
  })
  while (!isOver) {
    const { rows } = await fixture.db.query<{ n: number }>(
      `select count(*)::int n from task_instance t join dag_run r using (dag_run_id)
       where r.dag_id = 'wide' and t.state in ('queued', 'running')`,
    )
    most = Math.max(most, rows[0]!.n)
  }
  expect(await ended).toBe('success')
  expect(most).toBeGreaterThan(0)
  expect(most).toBeLessThanOrEqual(3)
})

test('no more runs of a Dag run at once than max_active_runs, and all of them run', async () => {
  for (const runId of ['a', 'b', 'c', 'd']) await fixture.trigger('solo', runId)
  for (const runId of ['a', 'b', 'c', 'd']) expect(await fixture.ended('solo', runId)).toBe('success')
  const { rows } = await fixture.db.query<{ n: number }>(
    `select count(*)::int n from dag_run a join dag_run b
       on a.dag_id = b.dag_id and a.dag_run_id < b.dag_run_id and b.start_date < a.end_date
     where a.dag_id = 'solo'`,
  )
  expect(rows[0]!.n).toBe(0)
})

test('a result that is too long or no JSON fails its attempt and says what to do', async () => {
  expect(await fixture.run('bad')).toBe('failed')
  const attempts = await fixture.attempts('bad', 'run')
  const message = (taskId: string) => attempts.find((attempt) => attempt.task_id === taskId)!.error!.message
  expect(message('too_big')).toContain('xcom_max_bytes')
  expect(message('cyclic')).toContain('JSON')
})

test('ready tasks start by priority_weight', async () => {
  expect(await fixture.run('priorities')).toBe('success')
  const attempts = await fixture.attempts('priorities', 'run')
  const byStart = attempts.sort((a, b) => a.start_date!.getTime() - b.start_date!.getTime())
  expect(byStart.map((attempt) => attempt.task_id)).toEqual(['w5', 'w3', 'w1'])
})

async function ask(dagRunId: number, command: 'cancel' | 'clear', taskIds: string[] = []): Promise<void> {
  await fixture.db.query(
    'insert into run_command (dag_run_id, command, arguments, actor) values ($1, $2, $3, $4)',
    [dagRunId, command, JSON.stringify({ task_ids: taskIds }), 'test'],
  )
  await fixture.db.query(`select pg_notify('branchline', 'commands')`)
}

test('a run past its dagrunTimeout fails and says so, and one that is cleared has all of its time again', async () => {
  const dagRunId = await fixture.trigger('hasty', 'run', { isSlow: true })
  expect(await fixture.ended('hasty', 'run')).toBe('failed')
  const [attempt] = await fixture.attempts('hasty', 'run')
  expect(attempt!.error!.message).toContain('dagrunTimeout')
  // Its parameters are changed behind the scheduler's back, so that the second attempt does not wait.
  await fixture.db.query(`update dag_run set params = '{}' where dag_run_id = $1`, [dagRunId])
  await ask(dagRunId, 'clear', ['waits'])
  await eventually('the second attempt', async () => (await fixture.attempts('hasty', 'run')).length === 2)
  expect(await fixture.ended('hasty', 'run')).toBe('success')
})

test('a clear that comes as the run ends is fulfilled, with its retries', async () => {
  const dagRunId = await fixture.trigger('late', 'run')
  await eventually('the last attempt runs', async () => {
    const attempts = await fixture.attempts('late', 'run')
    return attempts.some(
      ({ task_id, try_number, state }) => task_id === 'fails' && try_number === 2 && state === 'running',
    )
  })
  await ask(dagRunId, 'clear', ['fails'])
  await eventually('the attempts of both rounds', async () => {
    const attempts = await fixture.attempts('late', 'run')
    return attempts.filter(({ task_id, state }) => task_id === 'fails' && state === 'failed').length >= 4
  })
  expect(await fixture.ended('late', 'run')).toBe('failed')
  const { rows } = await fixture.db.query('select 1 from run_command')
  expect(rows).toEqual([])
})

test('isolation fresh gives each attempt a process of its own', async () => {
  expect(await fixture.run('fresh')).toBe('success')
  const pids = Object.values(await xcom('fresh', 'run'))
  expect(new Set(pids).size).toBe(2)
})

test('a cleared task and what is below it run again, with further tries', async () => {
  const dagRunId = await fixture.trigger('flow', 'again')
  await fixture.ended('flow', 'again')
  await fixture.db.query(
    `insert into run_command (dag_run_id, command, arguments, actor) values ($1, 'clear', $2, 'test')`,
    [dagRunId, JSON.stringify({ task_ids: ['sum', 'say'] })],
  )
  await fixture.db.query(`select pg_notify('branchline', 'commands')`)
  await eventually('the second attempt', async () => {
    const attempts = await fixture.attempts('flow', 'again')
    return attempts.filter(({ task_id, state }) => task_id === 'say' && state === 'success').length === 2
  })
  expect(await fixture.ended('flow', 'again')).toBe('success')
  const attempts = await fixture.attempts('flow', 'again')
  expect(attempts.map(({ task_id, try_number }) => `${task_id} ${try_number}`).sort()).toEqual([
    'doubled 1',
    'numbers 1',
    'say 1',
    'say 2',
    'sum 1',
    'sum 2',
  ])
})
