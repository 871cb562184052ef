// The commands against a real deployment: what they print, what they change, how they end.
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { type Deployment, startDeployment } from './deployment.ts'

const modules = {
  'dags/flow.ts': `
    import { dag, group, task } from 'branchline'
    import { existsSync } from 'node:fs'
    export const flow = dag('flow', { description: 'numbers', params: { factor: 2 }, tags: ['math'], schedule: null }, () => {
      const numbers = task('numbers', ({ log, params }) => {
        log.info('counting', { factor: params.factor })
        return [1, 2, 3]
      })
      group('sums', () => {
        task('all', { numbers }, ({ numbers }) => numbers.length)
      })
    })
    export const failing = dag('failing', { defaults: { retryDelay: '20ms' } }, () => {
      const flaky = task('flaky', { retries: 1 }, ({ tryNumber, log }) => {
        log.info('try ' + tryNumber)
        if (tryNumber < 2) throw new Error('not yet')
      })
      const broken = task('broken', { after: [flaky] }, () => { throw new Error('no such region') })
      task('report', { after: [broken] }, () => 1)
    })
    export const gated = dag('gated', {}, () => {
      const waits = task('waits', async ({ log, params, signal }) => {
        log.info('waiting')
        while (!existsSync(String(params.gate))) {
          signal.throwIfAborted()
          await new Promise((resolve) => setTimeout(resolve, 20))
        }
      })
      task('last', { after: [waits] }, () => 1)
    })
  `,
  'dags/broken.ts': `import { dag, tsk } from 'branchline'\nexport default dag('x', {}, () => { tsk() })\n`,
}

let deployment: Deployment

beforeAll(async () => {
  deployment = await startDeployment(modules)
})
afterAll(async () => {
  await deployment?.[Symbol.asyncDispose]()
})

/** Lines with neither times nor durations, which differ from run to run. */
function timeless(text: string): string {
  return text
    .replaceAll(/\d\d:\d\d:\d\d\.\d{3}/g, 'hh:mm:ss')
    .replaceAll(/\d+\.\d+s/g, '0.00s')
    .replaceAll(/ +$/gm, '')
}

test('dags list shows the Dags, filters by a part of their ids, and gives the JSON of the API', async () => {
  const all = await deployment.cli('dags', 'list')
  expect(all).toMatchObject({ code: 0, stderr: '' })
  expect(all.stdout.split('\n').map((line) => line.split(/ {2,}/)[0])).toEqual([
    'dag_id',
    'failing',
    'flow',
    'gated',
    '',
  ])
  const json = await deployment.cli('dags', 'list', 'low', '--json')
  expect(JSON.parse(json.stdout)).toMatchObject({
    total_entries: 1,
    dags: [{ dag_id: 'flow', tags: ['math'] }],
  })
  expect(await deployment.cli('dags', 'list', 'nothing')).toMatchObject({
    code: 0,
    stdout: '',
    stderr: expect.stringContaining("none has 'nothing' in its id"),
  })
})

test('dags show tells a Dag and its tasks; an unknown one is not found, with the nearest named', async () => {
  const shown = await deployment.cli('dags', 'show', 'flow')
  expect(shown.code).toBe(0)
  expect(shown.stdout).toMatch(/^description +numbers$/m)
  expect(shown.stdout).toMatch(/^params +{"factor":2}$/m)
  expect(shown.stdout).toMatch(/^sums.all +task +- +numbers$/m)
  const missing = await deployment.cli('dags', 'show', 'floww')
  expect(missing).toMatchObject({ code: 3, stdout: '' })
  expect(missing.stderr).toMatch(/^branchline: .*'floww'.*Did you mean 'flow'\?/)
})

test('a paused Dag is listed as such until it is unpaused', async () => {
  expect(await deployment.cli('dags', 'pause', 'flow')).toMatchObject({ code: 0 })
  expect((await deployment.cli('dags', 'list', 'flow')).stdout).toMatch(/^flow +paused/m)
  const unpaused = await deployment.cli('dags', 'unpause', 'flow', '--json')
  expect(JSON.parse(unpaused.stdout)).toMatchObject({ dag_id: 'flow', is_paused: false })
})

test('dags trigger --wait shows each change and ends with the result of the run', async () => {
  const { code, stdout, stderr } = await deployment.cli(
    ...[
      'dags',
      'trigger',
      'flow',
      '--run-id',
      'waited',
      '--param',
      'factor=5',
      '--param',
      'name=north',
      '--wait',
    ],
  )
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  const lines = timeless(stdout).trimEnd().split('\n')
  expect(lines).toContain('hh:mm:ss  numbers  ✓ success  0.00s')
  expect(lines.at(-1)).toBe('hh:mm:ss  flow waited  ✓ success  0.00s')
  const run = JSON.parse((await deployment.cli('runs', 'show', 'flow', 'waited', '--json')).stdout)
  expect(run.params).toEqual({ factor: 5, name: 'north' })
})

test('a failed run ends --wait with 1, its error and where to read more; its tree and logs are shown after', async () => {
  const triggered = await deployment.cli('dags', 'trigger', 'failing', '--run-id', 'bad', '--wait')
  expect(triggered.code).toBe(1)
  expect(triggered.stdout).toContain(
    '✗ broken  Error: no such region\n  npm run -s branchline -- tasks logs failing bad broken\n',
  )
  const shown = await deployment.cli('runs', 'show', 'failing')
  expect(shown.code).toBe(0)
  expect(timeless(shown.stdout)).toMatchInlineSnapshot(`
    "failing  bad  ✗ failed  0.00s
    version 1 · manual · by api
    ✓ flaky   success          0.00s  try 2 of 2
    ✗ broken  failed           0.00s
    ✗ report  upstream_failed
    1 success · 1 failed · 1 upstream_failed

    ✗ broken  Error: no such region
      npm run -s branchline -- tasks logs failing bad broken
    "
  `)
  const attempt = (...more: string[]) =>
    deployment.cli('tasks', 'logs', 'failing', 'latest', 'flaky', ...more)
  expect(timeless((await attempt('--try', '1')).stdout)).toMatch(/^hh:mm:ss INFO {2}try 1$/m)
  const newest = await attempt('--json')
  expect(newest.stderr).toBe('')
  expect(
    newest.stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line).msg),
  ).toContain('try 2')
  expect(await attempt('--try', '7')).toMatchObject({
    code: 3,
    stderr: expect.stringContaining('no attempt 7'),
  })
  expect(await deployment.cli('tasks', 'logs', 'failing', 'bad', 'report')).toMatchObject({
    code: 3,
    stderr: expect.stringContaining('it is upstream_failed, so there was none'),
  })
})

test('tasks clear says what it would do, does nothing unasked, and does it with --yes', async () => {
  const run = ['failing', 'cleared']
  await deployment.cli('dags', 'trigger', 'failing', '--run-id', 'cleared', '--wait')
  const unasked = await deployment.cli('tasks', 'clear', ...run)
  expect(unasked).toMatchObject({ code: 2, stderr: expect.stringContaining('(broken, report)') })
  expect((await deployment.scheduler.states('failing', 'cleared')).broken).toBe('failed')
  const done = await deployment.cli('tasks', 'clear', ...run, 'broken', '--no-downstream', '--yes', '--json')
  expect(JSON.parse(done.stdout)).toMatchObject({ dry_run: false, task_instances: [{ task_id: 'broken' }] })
  await eventually('a second attempt', async () => {
    const attempts = await deployment.scheduler.attempts('failing', 'cleared')
    return attempts.filter((one) => one.task_id === 'broken').length === 2
  })
  expect(await deployment.cli('tasks', 'clear', ...run, 'brokn', '--yes')).toMatchObject({
    code: 3,
    stderr: expect.stringContaining("Did you mean 'broken'?"),
  })
  expect(await deployment.cli('tasks', 'clear', ...run, 'broken', '--all')).toMatchObject({ code: 2 })
})

test('logs are followed while they come, and from attempt to attempt, to the end of the task', async () => {
  const gate = join(deployment.scheduler.directory, 'gate-follow')
  const params = JSON.stringify({ gate })
  await deployment.cli('dags', 'trigger', 'gated', '--run-id', 'followed', '--params', params)
  await using following = deployment.start('tasks', 'logs', 'gated', 'latest', 'waits', '--follow')
  await eventually('the first line', () => following.stdout().includes('INFO  waiting'))
  expect(following.child.exitCode).toBeNull()
  writeFileSync(gate, '')
  expect(await following.result).toMatchObject({ code: 0 })

  await deployment.cli('dags', 'trigger', 'failing', '--run-id', 'followed')
  const retried = await deployment.cli('tasks', 'logs', 'failing', 'followed', 'flaky', '--follow')
  expect(retried.code).toBe(0)
  expect(retried.stdout).toMatch(/try 2/)
})

test('ctrl-C ends watching with 130 and leaves the run alone; cancel ends the run', async () => {
  const gate = join(deployment.scheduler.directory, 'never')
  await deployment.cli('dags', 'trigger', 'gated', '--run-id', 'left', '--params', JSON.stringify({ gate }))
  await using watching = deployment.start('runs', 'watch', 'gated')
  await eventually('the task runs', () => watching.stdout().includes('waits  ● running'))
  watching.child.kill('SIGINT')
  expect(await watching.result).toMatchObject({
    code: 130,
    stderr: 'the run goes on: npm run -s branchline -- runs watch gated left\n',
  })
  expect(existsSync(gate)).toBe(false)
  expect((await deployment.scheduler.states('gated', 'left')).waits).toBe('running')

  await using json = deployment.start('runs', 'watch', 'gated', 'left', '--json')
  await eventually('the present state', () => json.stdout().includes('task_instances'))
  expect(await deployment.cli('runs', 'cancel', 'gated', 'left')).toMatchObject({ code: 0 })
  const watched = await json.result
  expect(watched.code).toBe(1)
  const events = watched.stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
  expect(events.at(-1)).toMatchObject({ event: 'dag_run', data: { run_id: 'left', state: 'failed' } })
  expect(await deployment.cli('runs', 'cancel', 'gated', 'left')).toMatchObject({ code: 5 })
})

test('watching survives a server that goes away and comes back', async () => {
  const gate = join(deployment.scheduler.directory, 'gate-restart')
  await deployment.cli(
    'dags',
    'trigger',
    'gated',
    '--run-id',
    'through',
    '--params',
    JSON.stringify({ gate }),
  )
  await using watching = deployment.start('runs', 'watch', 'gated', 'through')
  await eventually('the task runs', () => watching.stdout().includes('waits  ● running'))
  const port = Number(new URL(deployment.url).port)
  await deployment.web.stop()
  await eventually('it says so', () => watching.stderr().includes('does not answer, trying again'))
  await deployment.web.start({ host: '127.0.0.1', port })
  writeFileSync(gate, '')
  const { code, stdout } = await watching.result
  expect(code).toBe(0)
  expect(stdout).toContain('gated through  ✓ success')
})

test('runs list shows runs newest first, by state and by number', async () => {
  await deployment.cli('dags', 'trigger', 'flow', '--run-id', 'older', '--wait')
  await deployment.cli('dags', 'trigger', 'flow', '--run-id', 'newer', '--wait')
  const list = await deployment.cli('runs', 'list', 'flow', '--limit', '2')
  expect(
    list.stdout
      .split('\n')
      .slice(1, 3)
      .map((line) => line.split(/ {2,}/)[1]),
  ).toEqual(['newer', 'older'])
  const failed = await deployment.cli('runs', 'list', '--state', 'failed', '--json')
  const states = JSON.parse(failed.stdout).dag_runs.map((run: { state: string }) => run.state)
  expect(new Set(states)).toEqual(new Set(['failed']))
  expect(await deployment.cli('runs', 'list', 'flow', '--limit', '0')).toMatchObject({ code: 2 })
})

test('import-errors shows file, line and hint, and ends with 1', async () => {
  const found = await deployment.cli('import-errors')
  expect(found.code).toBe(1)
  expect(found.stdout).toMatch(/^✗ dags\/broken\.ts:1:\d+ /)
  expect(found.stdout).toMatch(/hint: .*'task'/)
  expect(JSON.parse((await deployment.cli('import-errors', '--json')).stdout)).toMatchObject({
    total_entries: 1,
  })
})

test('a run_id that exists is refused with 5', async () => {
  await deployment.cli('dags', 'trigger', 'flow', '--run-id', 'twice')
  expect(await deployment.cli('dags', 'trigger', 'flow', '--run-id', 'twice')).toMatchObject({ code: 5 })
})

test('completion offers commands, options, and the names that the API knows', async () => {
  await deployment.cli('dags', 'trigger', 'flow', '--run-id', 'complete:me', '--wait')
  const complete = async (line: string) => {
    const { stdout } = await deployment.cli('__complete', line)
    return stdout
      .trimEnd()
      .split('\n')
      .map((candidate) => candidate.split('\t')[0])
  }
  expect(await complete('branchline ru')).toEqual(['runs'])
  expect(await complete('branchline dags ')).toEqual(['list', 'show', 'pause', 'unpause', 'trigger', 'test'])
  expect(await complete('branchline dags trigger --wait --pa')).toEqual(['--params', '--param'])
  expect(await complete('branchline runs list --state f')).toEqual(['failed'])
  expect(await complete('branchline dags show f')).toEqual(['failing', 'flow'])
  expect((await complete('branchline runs watch flow '))[0]).toBe('latest')
  expect(await complete('branchline runs watch flow compl')).toEqual(['complete:me'])
  expect(await complete('branchline tasks logs flow latest ')).toEqual(['numbers', 'sums.all'])
  expect(await complete('branchline tasks clear flow latest numbers s')).toEqual(['sums.all'])
})
