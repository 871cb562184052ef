// `branchline task` as a process, against `branchline web` as a process and a real Postgres: what becomes of attempts
// that end by themselves, are ended, or lose what they stand on.
import { existsSync, mkdirSync, mkdtempSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { isRunning } from '../../../runtime/process-start.ts'
import { eventually } from '../../support/eventually.ts'
import {
  commitSha,
  createExecution,
  type Execution,
  type TestAttempt,
  type TestWeb,
} from '../../support/execution.ts'
import { createMemoryGroup } from '../../support/memory-group.ts'

let execution: Execution
let web: TestWeb

const bundle = `
import { spawn } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
const { bash, dag, task, TaskSkipError } = globalThis[Symbol.for('branchline.authoring')]
export default dag('d', { params: { region: 'eu' } }, () => {
  const ok = task('ok', async ({ log, params, runId, sourcePath }) => {
    log.info('hello', { n: 1 })
    console.log('from the console')
    return { params, runId, sourcePath, cwd: process.cwd(), variables: Object.keys(process.env) }
  })
  task('input', { rows: ok }, ({ rows }) => rows.length)
  task('fails', () => { throw new Error('no luck') })
  task('skips', () => { throw new TaskSkipError('not today') })
  bash('bash', 'echo out; echo err >&2; exit 3')
  task('exits', ({ log }) => { log.info('before'); process.exit(7) })
  task('large', () => 'x'.repeat(5_000))
  task('heeds', async ({ log, signal }) => {
    log.info('waiting')
    await delay(60_000, undefined, { signal }).catch(() => log.info('told: ' + signal.reason.message))
    log.info('tidied up')
  })
  task('deaf', async ({ log }) => {
    const child = spawn('sleep', ['1000'])
    log.info('waiting', { child: child.pid })
    while (true) await delay(50).catch(() => {})
  })
  task('eats', ({ log }) => {
    log.info('hungry')
    for (const eaten = []; ; ) eaten.push(Buffer.alloc(8 * 1024 * 1024, 1))
  })
  task('fills', ({ log }) => { for (let n = 0; n < 200_000; n += 1) log.info('x'.repeat(200), { n }) })
})`

beforeAll(async () => {
  execution = await createExecution(bundle)
  web = await execution.startWeb()
})
afterAll(() => execution[Symbol.asyncDispose]())

const startWorker = (attempt: TestAttempt, options = {}) =>
  execution.startWorker(attempt, { url: web.url, ...options })

const messages = (attempt: TestAttempt) => execution.log(attempt).map(({ msg }) => msg)

const says = (attempt: TestAttempt, text: string) =>
  eventually(`'${text}' in the log`, () => execution.logText(attempt).includes(text))

test('an attempt runs, its log and its result reach the server, and the program ends with 0', async () => {
  const attempt = await execution.insertAttempt('ok')
  const worker = startWorker(attempt)
  expect(await worker.exited).toEqual({ code: 0, signal: null })
  expect(worker.stderr()).toBe('')
  const row = await execution.ledger(attempt)
  expect(row).toMatchObject({
    uid: attempt.podUid,
    pid: worker.pid,
    finish: { state: 'success', error: null },
  })
  const dags = join(execution.directory, 'dags')
  const result = JSON.parse(row.result!)
  expect(result).toMatchObject({
    params: { region: 'eu', given: 1 },
    runId: attempt.runId,
    sourcePath: dags,
    cwd: dags,
  })
  // What only the program itself is told is not the task's.
  expect(result.variables.filter((name: string) => name.startsWith('BRANCHLINE'))).toEqual([])
  expect(messages(attempt)).toEqual(['hello', 'from the console'])
  expect(worker.stdout().toString()).toBe(execution.logText(attempt))
})

test('the result of another task is an input', async () => {
  const attempt = await execution.insertAttempt('input', { inputs: { rows: 'ok' } })
  await execution.insertResult(attempt, 'ok', [1, 2, 3])
  expect(await startWorker(attempt).exited).toEqual({ code: 0, signal: null })
  expect((await execution.ledger(attempt)).result).toBe('3')
})

test.for([
  ['fails', 'failed', 1],
  ['skips', 'skipped', 0],
  ['bash', 'failed', 1],
] as const)('an attempt of %s ends as %s, and the program with %i', async ([taskId, state, code]) => {
  const attempt = await execution.insertAttempt(taskId)
  const worker = startWorker(attempt)
  expect(await worker.exited).toEqual({ code, signal: null })
  expect((await execution.ledger(attempt)).finish).toMatchObject({ state })
  expect(worker.stdout().toString()).toBe(execution.logText(attempt))
})

test('a task that ends its process is told with its exit code, and what it said last is there', async () => {
  const attempt = await execution.insertAttempt('exits')
  expect(await startWorker(attempt).exited).toEqual({ code: 1, signal: null })
  const { finish } = await execution.ledger(attempt)
  expect(finish).toMatchObject({
    state: 'failed',
    retryable: true,
    exit_code: 7,
    error: { name: 'TaskRunnerEnded' },
  })
  expect((finish!.error as Error).message).toContain('exit code 7')
  expect(messages(attempt)[0]).toBe('before')
})

test('a result that is longer than the server keeps fails its task with the usual words', async () => {
  const small = await execution.startWeb({ env: { BRANCHLINE_XCOM_MAX_BYTES: '1KiB' } })
  const attempt = await execution.insertAttempt('large')
  expect(await startWorker(attempt, { url: small.url }).exited).toEqual({ code: 1, signal: null })
  small.child.kill('SIGKILL')
  const { finish } = await execution.ledger(attempt)
  expect((finish!.error as Error).message).toContain('xcom_max_bytes')
})

test('SIGTERM reaches the task, which tidies up, and the attempt failed', async () => {
  const attempt = await execution.insertAttempt('heeds')
  const worker = startWorker(attempt)
  await says(attempt, 'waiting')
  process.kill(worker.pid, 'SIGTERM')
  expect(await worker.exited).toEqual({ code: 1, signal: null })
  expect(messages(attempt)).toContain('told: the attempt was ended: its pod was told to end')
  expect(messages(attempt)).toContain('tidied up')
  expect((await execution.ledger(attempt)).finish).toMatchObject({
    state: 'failed',
    error: { name: 'TaskAbortedError' },
  })
})

async function cancel(attempt: TestAttempt, reason: string): Promise<void> {
  await execution.db.query('update pod set cancel_reason = $2 where dag_run_id = $1', [
    attempt.key.dag_run_id,
    reason,
  ])
}

test('an attempt that is cancelled hears it by a heartbeat, and with SIGTERM why', async () => {
  const [heard, told] = [await execution.insertAttempt('heeds'), await execution.insertAttempt('heeds')]
  const slow = await execution.startWeb({ env: { BRANCHLINE_WORKER_HEARTBEAT_INTERVAL: '1h' } })
  const workers = [startWorker(heard), startWorker(told, { url: slow.url })]
  await Promise.all([says(heard, 'waiting'), says(told, 'waiting')])
  await Promise.all([cancel(heard, 'cancelled'), cancel(told, 'run_timeout')])
  process.kill(workers[1]!.pid, 'SIGTERM')
  await Promise.all(workers.map(({ exited }) => exited))
  slow.child.kill('SIGKILL')
  expect(messages(heard)).toContain('told: the attempt was cancelled')
  expect(messages(told)).toContain("told: the run took longer than its Dag's dagrunTimeout")
})

test('a task that heeds nothing is killed with its children after the grace, and reported', async () => {
  const attempt = await execution.insertAttempt('deaf', { execution_timeout_ms: 200 })
  expect(await startWorker(attempt).exited).toEqual({ code: 1, signal: null })
  const child = execution.log(attempt)[0]!.child as number
  await eventually('the end of its child', () => !isRunning(child))
  const { finish } = await execution.ledger(attempt)
  expect(finish!.error).toMatchObject({
    name: 'AttemptKilled',
    message: 'the attempt was killed after its grace period: it took longer than its execution timeout',
  })
})

test('a task that takes too long hears it first', async () => {
  const attempt = await execution.insertAttempt('heeds', { execution_timeout_ms: 200 })
  expect(await startWorker(attempt).exited).toEqual({ code: 1, signal: null })
  expect(messages(attempt)).toContain('told: the attempt took longer than its execution timeout')
})

test('an attempt that is not the current one any more is ended at once, and reports nothing', async () => {
  const attempt = await execution.insertAttempt('deaf')
  const worker = startWorker(attempt)
  await says(attempt, 'waiting')
  const child = execution.log(attempt)[0]!.child as number
  await execution.db.query(`update task_instance set try_number = 2 where dag_run_id = $1`, [
    attempt.key.dag_run_id,
  ])
  expect(await worker.exited).toEqual({ code: 3, signal: null })
  await eventually('the end of its child', () => !isRunning(child))
  expect((await execution.ledger(attempt)).finish).toBeNull()
  const late = startWorker(attempt)
  expect(await late.exited).toEqual({ code: 3, signal: null })
  expect(late.stdout().toString()).toBe('')
})

test('SIGTERM before anything began ends the program without an attempt', async () => {
  const attempt = await execution.insertAttempt('ok')
  const worker = startWorker(attempt, { url: 'http://127.0.0.1:9' })
  await eventually('a word on the server that is away', () => worker.stdout().includes('does not answer'))
  process.kill(worker.pid, 'SIGTERM')
  expect(await worker.exited).toEqual({ code: 143, signal: null })
  expect((await execution.ledger(attempt)).started_at).toBeNull()
})

test('a source with another commit is refused with both, and the right one is used wherever it is', async () => {
  const root = mkdtempSync(join(execution.directory, 'root-'))
  const other = 'b'.repeat(40)
  const worktree = (sha: string) => join(root, '.worktrees', sha)
  mkdirSync(worktree(other), { recursive: true })
  symlinkSync(join('.worktrees', other), join(root, 'current'))
  for (const dagsPath of [root, join(root, 'current')]) {
    const attempt = await execution.insertAttempt('ok')
    expect(await startWorker(attempt, { dagsPath }).exited).toEqual({ code: 1, signal: null })
    const { message } = (await execution.ledger(attempt)).finish!.error as Error
    expect(message).toContain(commitSha)
    expect(message).toContain(other)
    expect(messages(attempt)[0]).toContain(message)
  }
  mkdirSync(worktree(commitSha))
  for (const dagsPath of [root, join(root, 'current')]) {
    const attempt = await execution.insertAttempt('ok')
    await startWorker(attempt, { dagsPath }).exited
    expect(JSON.parse((await execution.ledger(attempt)).result!).sourcePath).toBe(worktree(commitSha))
  }
})

test('a directory of Dags that is not there fails the attempt with its name', async () => {
  const attempt = await execution.insertAttempt('ok')
  expect(await startWorker(attempt, { dagsPath: '/nowhere' }).exited).toEqual({ code: 1, signal: null })
  expect(((await execution.ledger(attempt)).finish!.error as Error).message).toContain('/nowhere')
})

test.runIf(process.getuid!() === 0)('a disk that is full fails the attempt with that word', async () => {
  const attempt = await execution.insertAttempt('fills')
  const spoolPath = mkdtempSync(join(execution.directory, 'small-'))
  const mount = `mount -t tmpfs -o size=3m tmpfs ${spoolPath} && exec "$@"`
  const worker = startWorker(attempt, { spoolPath, prefix: ['unshare', '--mount', 'sh', '-c', mount, 'sh'] })
  expect(await worker.exited).toEqual({ code: 1, signal: null })
  const { finish } = await execution.ledger(attempt)
  expect((finish!.error as Error).message).toContain('no space is left on the disk')
  expect(worker.stdout().toString()).toBe(execution.logText(attempt))
  expect(execution.logText(attempt).length).toBeGreaterThan(2_000_000)
})

test('a task that the kernel kills for its memory is told so, with how much there was', async ({ skip }) => {
  const limitBytes = 300 * 1024 * 1024
  using group = createMemoryGroup(limitBytes)
  if (group === undefined) return skip('no control groups can be made here')
  const attempt = await execution.insertAttempt('eats')
  expect(await startWorker(attempt, { prefix: group.prefix }).exited).toEqual({ code: 1, signal: null })
  const { finish, memory_peak_bytes: peak } = await execution.ledger(attempt)
  expect(finish!.error).toMatchObject({
    name: 'TaskRunnerEnded',
    message: expect.stringContaining('OOMKilled'),
  })
  expect(peak).toBeGreaterThan(limitBytes * 0.9)
  expect(messages(attempt)[0]).toBe('hungry')
})

test('a bundle that is not what was announced is not run', async () => {
  const attempt = await execution.insertAttempt('ok')
  await execution.db.query(`update bundle set code = code || ' '`)
  const worker = startWorker(attempt)
  expect(await worker.exited).toEqual({ code: 1, signal: null })
  await execution.db.query('update bundle set code = $1', [bundle])
  expect((await execution.ledger(attempt)).finish!.error).toMatchObject({ name: 'BundleError' })
})

test('a container that was started again goes on behind what the server has', async () => {
  const attempt = await execution.insertAttempt('heeds')
  const first = startWorker(attempt)
  await says(attempt, 'waiting')
  process.kill(first.pid, 'SIGKILL')
  await first.exited
  const kept = execution.logText(attempt)
  const second = startWorker(attempt)
  await eventually('its first line', () => execution.logText(attempt).length > kept.length)
  process.kill(second.pid, 'SIGTERM')
  await second.exited
  expect(execution.logText(attempt)).toBe(kept + second.stdout().toString())
})

test('the kernel kills what the task started when the program is killed', async () => {
  const attempt = await execution.insertAttempt('deaf')
  const worker = startWorker(attempt)
  await says(attempt, 'waiting')
  const child = execution.log(attempt)[0]!.child as number
  process.kill(worker.pid, 'SIGKILL')
  await eventually('the end of its child', () => !isRunning(child))
})

test.for([
  ['no variable', { BRANCHLINE_EXECUTION_API_URL: '' }, 'BRANCHLINE_EXECUTION_API_URL is not set'],
  ['no URL', { BRANCHLINE_EXECUTION_API_URL: 'web:8080' }, "'web:8080'"],
  ['a spool that is not there', { BRANCHLINE_SPOOL_PATH: '/nowhere' }, 'nothing can be written in /nowhere'],
] as const)('%s: the program says so and ends with 2', async ([, env, words]) => {
  const worker = startWorker(await execution.insertAttempt('ok'), { env })
  expect(await worker.exited).toEqual({ code: 2, signal: null })
  expect(worker.stderr()).toContain(words)
})

test('a pod that the ledger does not have is refused, after a while, with the reason', async () => {
  const attempt = await execution.insertAttempt('ok')
  const podToken = await execution.tokens.sign({ ...attempt, podName: 'stranger' })
  const worker = startWorker({ ...attempt, podToken })
  expect(await worker.exited).toEqual({ code: 4, signal: null })
  expect(worker.stderr()).toContain("no pod 'stranger'")
}, 60_000)

test('a token that the kubelet replaces is read anew', async () => {
  const attempt = await execution.insertAttempt('heeds')
  const worker = startWorker(attempt)
  await says(attempt, 'waiting')
  const tokenFile = join(execution.directory, `${attempt.podName}.token`)
  expect(existsSync(tokenFile)).toBe(true)
  writeFileSync(tokenFile, 'expired')
  process.kill(worker.pid, 'SIGTERM')
  await eventually('its end', () => worker.stdout().includes('tidied up'))
  writeFileSync(tokenFile, attempt.podToken)
  expect(await worker.exited).toEqual({ code: 1, signal: null })
  expect((await execution.ledger(attempt)).finish).toMatchObject({ state: 'failed' })
})
