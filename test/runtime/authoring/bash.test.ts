import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type BashOptions, bash, dag, type TaskContext } from 'branchline'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { type ExecuteOptions, executeTask } from '../../../runtime/authoring/execute.ts'
import { outcomeOf } from '../../../runtime/authoring/outcome.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'branchline-bash-'))
})
afterEach(() => {
  rmSync(folder, { recursive: true, force: true })
})

const silent = { debug() {}, info() {}, warn() {}, error() {} }
function contextOf(over: Partial<TaskContext> = {}): TaskContext {
  return {
    dagId: 'sales',
    runId: 'manual__1',
    taskId: 'command',
    mapIndex: -1,
    tryNumber: 2,
    maxTries: 3,
    runType: 'manual',
    logicalDate: null,
    interval: null,
    params: {},
    log: silent,
    signal: new AbortController().signal,
    sourcePath: folder,
    ...over,
  }
}

/** Runs a command as a task and gives its lines, `stream: text`, and what it threw. */
async function run(
  command: string,
  {
    options = {},
    inputs = {},
    context = {},
    execute = {},
  }: {
    options?: BashOptions
    inputs?: Record<string, unknown>
    context?: Partial<TaskContext>
    execute?: ExecuteOptions
  } = {},
) {
  const lines: string[] = []
  const { tasks } = dag('sales', {}, () => {
    bash('command', command, options)
  })
  const onLine = (line: string, stream: string) => lines.push(`${stream}: ${line}`)
  const running = executeTask(tasks.get('command')!, inputs, contextOf(context), onLine, execute)
  const thrown = await running.then(
    (result) => {
      expect(result).toBeUndefined()
      return null
    },
    (error: unknown) => error,
  )
  return { lines, thrown, outcome: thrown === null ? null : outcomeOf(thrown) }
}

test('both streams of a command come line by line, also a last line without an end', async () => {
  const { lines, thrown } = await run('echo out; echo err >&2; printf "größe\\nlast"')
  expect(thrown).toBeNull()
  expect(lines.filter((line) => line.startsWith('stdout'))).toEqual([
    'stdout: out',
    'stdout: größe',
    'stdout: last',
  ])
  expect(lines).toContain('stderr: err')
})

test('exit codes mean success, skip or failure', async () => {
  expect((await run('exit 0')).thrown).toBeNull()
  expect((await run('exit 99')).outcome).toMatchObject({ state: 'skipped', retryable: false, exitCode: 99 })
  expect((await run('exit 3')).outcome).toMatchObject({
    state: 'failed',
    retryable: true,
    exitCode: 3,
    error: { name: 'CommandError', message: 'the command ended with exit code 3' },
  })
  expect((await run('kill -KILL $$')).outcome).toMatchObject({
    exitCode: null,
    error: { message: 'the command was ended by SIGKILL' },
  })
})

test('other exit codes may mean skip, or none', async () => {
  const skipped = { state: 'skipped' }
  expect((await run('exit 4', { options: { skipExitCode: [3, 4] } })).outcome).toMatchObject(skipped)
  expect((await run('exit 7', { options: { skipExitCode: 7 } })).outcome).toMatchObject(skipped)
  expect((await run('exit 99', { options: { skipExitCode: [] } })).outcome).toMatchObject({ state: 'failed' })
})

test('the environment is that of the process, then ours, then inputs, then the options', async () => {
  const { lines } = await run('env', {
    options: { env: { OWN: 'own', BRANCHLINE_RUN_ID: 'mine' } },
    inputs: { orders: [{ id: 1 }], region: 'north', nothing: undefined },
    context: {
      logicalDate: new Date('2026-01-01T00:00:00Z'),
      interval: { start: new Date('2026-01-01T00:00:00Z'), end: new Date('2026-01-02T00:00:00Z') },
      params: { limit: 3 },
    },
    execute: {
      environment: { PATH: process.env.PATH, FROM_PROCESS: 'kept', OWN: 'hidden', nothing: 'stale' },
    },
  })
  expect(lines.map((line) => line.replace('stdout: ', ''))).toEqual(
    expect.arrayContaining([
      'FROM_PROCESS=kept',
      'OWN=own',
      'BRANCHLINE_DAG_ID=sales',
      'BRANCHLINE_RUN_ID=mine',
      'BRANCHLINE_TASK_ID=command',
      'BRANCHLINE_TRY_NUMBER=2',
      'BRANCHLINE_LOGICAL_DATE=2026-01-01T00:00:00.000Z',
      'BRANCHLINE_DATA_INTERVAL_START=2026-01-01T00:00:00.000Z',
      'BRANCHLINE_DATA_INTERVAL_END=2026-01-02T00:00:00.000Z',
      'BRANCHLINE_PARAMS={"limit":3}',
      'orders=[{"id":1}]',
      'region="north"',
    ]),
  )
  expect(lines.join()).not.toMatch(/nothing=/)
})

test('a manual run without dates has no such variables, whatever stands in the environment', async () => {
  const { lines } = await run('test -v BRANCHLINE_LOGICAL_DATE || echo unset', {
    execute: { environment: { PATH: process.env.PATH, BRANCHLINE_LOGICAL_DATE: 'of a run around this one' } },
  })
  expect(lines).toEqual(['stdout: unset'])
})

test('without a given environment a command has that of the process', async () => {
  vi.stubEnv('BRANCHLINE_TEST_INHERITED', 'yes')
  try {
    expect((await run('echo $BRANCHLINE_TEST_INHERITED')).lines).toEqual(['stdout: yes'])
  } finally {
    vi.unstubAllEnvs()
  }
})

test('a command runs in the source directory or a folder of it', async () => {
  mkdirSync(join(folder, 'sub'))
  writeFileSync(join(folder, 'sub', 'data.txt'), 'data\n')
  expect((await run('cat sub/data.txt')).lines).toEqual(['stdout: data'])
  expect((await run('cat data.txt', { options: { cwd: 'sub' } })).lines).toEqual(['stdout: data'])
})

test('a command that cannot be started says why', async () => {
  expect((await run('true', { options: { cwd: 'absent' } })).outcome?.error.message).toBe(
    `the command could not be started: its working directory ${join(folder, 'absent')} does not exist`,
  )
  expect((await run('true', { execute: { environment: { PATH: folder } } })).outcome?.error.message).toMatch(
    /bash is not in PATH/,
  )
  expect((await run('true', { inputs: { orders: 'x'.repeat(3_000_000) } })).outcome?.error.message).toMatch(
    /too large for environment variables/,
  )
})

/** Whether a process runs; one that has ended and was not yet waited for does not. */
function isRunning(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return !/^[ZX]/.test(stat.slice(stat.lastIndexOf(')') + 2))
  } catch {
    return false
  }
}
const pidsIn = (file: string) => readFileSync(join(folder, file), 'utf8').trim().split('\n').map(Number)

test('an abort ends all processes of a command with SIGTERM and gives its reason', async () => {
  const abort = new AbortController()
  const running = run(
    'sleep 300 & echo $! > pids; (sleep 300; true) & echo $! >> pids; echo ready > ready; wait',
    {
      context: { signal: abort.signal },
    },
  )
  await vi.waitFor(() => expect(readFileSync(join(folder, 'ready'), 'utf8')).toBe('ready\n'), 10_000)
  const reason = new Error('cancelled')
  abort.abort(reason)
  expect((await running).thrown).toBe(reason)
  for (const pid of pidsIn('pids')) await vi.waitFor(() => expect(isRunning(pid)).toBe(false), 10_000)
})

test('a command that ends well after an abort has succeeded', async () => {
  const abort = new AbortController()
  const running = run('trap "echo bye; exit 0" TERM; echo > ready; while :; do sleep 0.05; done', {
    context: { signal: abort.signal },
  })
  await vi.waitFor(() => readFileSync(join(folder, 'ready')), 10_000)
  abort.abort(new Error('cancelled'))
  expect(await running).toMatchObject({ thrown: null, lines: expect.arrayContaining(['stdout: bye']) })
})

test('a command that does not heed SIGTERM is killed after the given time', async () => {
  const abort = new AbortController()
  const running = run('trap "" TERM; echo $$ > pids; echo > ready; while :; do sleep 0.05; done', {
    context: { signal: abort.signal },
    execute: { killAfterMs: 100 },
  })
  await vi.waitFor(() => readFileSync(join(folder, 'ready')), 10_000)
  const reason = new Error('too slow')
  abort.abort(reason)
  expect((await running).thrown).toBe(reason)
  for (const pid of pidsIn('pids')) expect(isRunning(pid)).toBe(false)
})

test('a command is not started after an abort', async () => {
  const reason = new Error('shutdown')
  expect((await run('touch started', { context: { signal: AbortSignal.abort(reason) } })).thrown).toBe(reason)
  expect(() => readFileSync(join(folder, 'started'))).toThrow()
})

test('a background process that keeps the output open does not hold up the task', async () => {
  const { lines, thrown } = await run('sleep 30 & echo $! > pids; echo done')
  expect({ lines, thrown }).toEqual({ lines: ['stdout: done'], thrown: null })
  for (const pid of pidsIn('pids')) process.kill(pid)
})
