// The local executor by itself, where a race must be arranged that whole schedulers meet only by chance.
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createLogger } from '../../../runtime/log.ts'
import { isRunning } from '../../../runtime/process-start.ts'
import type { AttemptOrder } from '../../../runtime/task-runner/protocol.ts'
import type {
  DispatchOrder,
  Executor,
  ExecutorReport,
  Orphan,
} from '../../../scheduler/executors/executor.ts'
import {
  createLocalExecutor,
  type LocalExecutorSettings,
} from '../../../scheduler/executors/local/local-executor.ts'
import { forgetRunners } from '../../../scheduler/executors/local/runner-directory.ts'
import { eventually } from '../../support/eventually.ts'
import { graphOf, taskManifest } from '../decide/graphs.ts'

let directory: string
let runnersDir: string
let logged: Record<string, unknown>[]
let reports: ExecutorReport[]
/** Up to when what was reported is committed: directories of runners that ended before are removed. */
let committedUntil: () => number
const executors: Executor[] = []

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'branchline-executor-'))
  runnersDir = join(directory, 'runners')
  logged = []
  committedUntil = () => Date.now()
  reports = []
  writeFileSync(
    join(directory, 'bundle.mjs'),
    `import { existsSync } from 'node:fs'
     const { bash, dag, task } = globalThis[Symbol.for('branchline.authoring')]
     export default dag('d', {}, () => {
       task('t', () => 1)
       task('throws', () => { throw new Error('no') })
       task('waits', async () => { while (!existsSync('go')) await new Promise((done) => setTimeout(done, 5)) })
       task('large', () => 'x'.repeat(1_500_000))
       bash('daemon', 'sleep 1000 & echo $! > daemon')
       bash('quiet', 'true')
     })`,
  )
})
afterEach(async () => {
  for (const executor of executors.splice(0)) await executor.stop(0)
  rmSync(directory, { recursive: true, force: true })
})

const log = createLogger('test', { destination: { write: (line) => logged.push(JSON.parse(line)) } })

async function startExecutor(
  schedulerId: number,
  more: Partial<LocalExecutorSettings> = {},
): Promise<Executor> {
  const executor = createLocalExecutor({
    schedulerId,
    settings: {
      slots: 1,
      runnersDir,
      killGraceMs: 100,
      heartbeatTimeoutMs: 30_000,
      runner: {
        heartbeat_interval_ms: 1_000,
        max_attempts: 1_000,
        max_rss_mb: 512,
        xcom_max_bytes: 1_000,
      },
      env: process.env,
      ...more,
    },
    onReport: (report) => reports.push(report),
    committedUntil: () => committedUntil(),
    log,
  })
  await executor.start()
  executors.push(executor)
  return executor
}

/** Processes of the runners below a scheduler's directory, whether it is closed or not. */
function runnerPids(): number[] {
  return readdirSync(runnersDir).flatMap((scheduler) =>
    readdirSync(join(runnersDir, scheduler)).map(
      (name) => JSON.parse(readFileSync(join(runnersDir, scheduler, name, 'process'), 'utf8')).pid as number,
    ),
  )
}

const graph = graphOf([taskManifest('t')])

function order(name: string, more: Partial<AttemptOrder> = {}): DispatchOrder {
  return {
    order: {
      attempt_id: name,
      token: 'token',
      dag_id: 'd',
      run_id: 'r',
      task_id: 't',
      map_index: -1,
      try_number: 1,
      max_tries: 1,
      run_type: 'manual',
      logical_date: null,
      data_interval_start: null,
      data_interval_end: null,
      params: '{}',
      inputs: {},
      bundle_hash: 'hash',
      bundle_path: join(directory, 'bundle.mjs'),
      source_path: directory,
      commit_sha: null,
      log_path: join(directory, 'log'),
      execution_timeout_ms: null,
      ...more,
    },
    dagRunId: 1,
    dag: graph.manifest,
    task: graph.tasks[0]!,
  }
}

/** Attempts of a scheduler that is gone, as the next one asks for them. */
const lookAt = (...names: string[]): Orphan[] =>
  names.map((name) => ({
    attempt_id: name,
    token: 'token',
    dag_run_id: 1,
    place: { dag_id: 'd', run_id: 'r', task_id: 't', map_index: -1, try_number: 1 },
    task: graph.tasks[0]!,
    log_path: join(directory, 'log'),
    order: () => order(name).order,
  }))

const finishOf = (name: string) =>
  reports.find((report) => report.type === 'finish' && report.attempt_id === name) as
    | Extract<ExecutorReport, { type: 'finish' }>
    | undefined
const finished = (name: string) => finishOf(name) !== undefined

async function run(executor: Executor, name: string, more: Partial<AttemptOrder> = {}) {
  executor.dispatch([order(name, more)])
  return await eventually(`the end of ${name}`, () => finishOf(name))
}

test('one whose attempts were adopted begins nothing any more', async () => {
  const paused = await startExecutor(1)
  paused.dispatch([order('before')])
  await eventually('an attempt', () => finished('before'))
  const adopter = await startExecutor(2)
  expect(await adopter.adopt(1, lookAt('waiting'))).toEqual([{ attempt_id: 'waiting', fate: 'not_begun' }])
  const [own] = runnerPids().filter(isRunning)
  // It has not heard yet.
  paused.dispatch([order('waiting')])
  await eventually('its refusal', () => logged.some(({ msg }) => msg === 'task runner could not be started'))
  adopter.dispatch([order('waiting')])
  await eventually('the attempt of the other', () => finished('waiting'))
  expect(reports.filter((report) => report.attempt_id === 'waiting' && report.type === 'start')).toHaveLength(
    1,
  )
  expect(runnerPids().filter(isRunning)).toEqual([own])
})

test('adopting again gives the same answer', async () => {
  const gone = await startExecutor(1)
  gone.dispatch([order('done')])
  await eventually('an attempt', () => finished('done'))
  const adopter = await startExecutor(2)
  const orphans = lookAt('done', 'waiting')
  const first = await adopter.adopt(1, orphans)
  expect(first.map(({ fate }) => fate)).toEqual(['finished', 'not_begun'])
  expect(await adopter.adopt(1, orphans)).toEqual(first)
})

test('what a scheduler left is kept while it is in use, and of one that registers meanwhile', async () => {
  for (const name of ['1', '2', '3.closed', '4.closed'])
    mkdirSync(join(runnersDir, name), { recursive: true })
  await forgetRunners(runnersDir, async () => {
    mkdirSync(join(runnersDir, '5'))
    return new Set([2, 4])
  })
  expect(readdirSync(runnersDir).sort()).toEqual(['2', '4.closed', '5'])
})

test('an attempt whose log cannot be written fails, and the next one has a runner that works', async () => {
  const executor = await startExecutor(1)
  // Every write to it fails as on a full disk.
  executor.dispatch([order('full', { task_id: 'throws', log_path: '/dev/full' }), order('next')])
  await eventually('both ends', () => finished('full') && finished('next'))
  const states = reports.flatMap((report) =>
    report.type === 'finish' ? [`${report.attempt_id} ${report.state}`] : [],
  )
  expect(states).toEqual(['full failed', 'next success'])
})

test('a runner that cannot be named on disk is given up, and the scheduler lives', async () => {
  // So long that the runner's `output` has room below it and the longer name of its `process` has none.
  const longest = 4_095 - '/1/1/output'.length
  while (runnersDir.length < longest) {
    const room = longest - runnersDir.length - 1
    runnersDir = join(runnersDir, 'd'.repeat(room > 250 ? 200 : room))
  }
  const executor = await startExecutor(1)
  executor.dispatch([order('waits')])
  const isTold = ({ msg }: Record<string, unknown>) => msg === 'task runner could not be started'
  await eventually('two tries', () => logged.filter(isTold).length > 1)
  expect(reports).toEqual([])
})

test('what began is known from the journal alone, also past a line that was cut', async () => {
  // Its runner's directory stays.
  committedUntil = () => 0
  const gone = await startExecutor(1)
  gone.dispatch([order('done')])
  await eventually('an attempt', () => finished('done'))
  await gone.stop(0)
  const [runner] = readdirSync(join(runnersDir, '1'))
  const path = (name: string) => join(runnersDir, '1', runner!, name)
  writeFileSync(path('process'), '')
  const [start] = readFileSync(path('journal'), 'utf8').split('\n')
  writeFileSync(path('journal'), `{"type":"fin\n${start}\n`)
  const adopter = await startExecutor(2)
  const [adoption] = await adopter.adopt(1, lookAt('done'))
  expect(adoption!.fate).toBe('lost')
})

test('a journal that cannot be read proves of no attempt that it never began', async () => {
  const gone = await startExecutor(1)
  await run(gone, 'done')
  const adopter = await startExecutor(2)
  mkdirSync(join(runnersDir, '1', 'other', 'journal'), { recursive: true })
  const [done, waiting] = await adopter.adopt(1, lookAt('done', 'waiting'))
  expect(done!.fate).toBe('finished')
  expect(waiting).toMatchObject({ fate: 'lost', error: { message: expect.stringContaining('EISDIR') } })
})

test('a runner whose journal has become large is replaced', async () => {
  const runner = {
    heartbeat_interval_ms: 1_000,
    max_attempts: 1_000,
    max_rss_mb: 4_096,
    xcom_max_bytes: 2_000_000,
  }
  const executor = await startExecutor(1, { runner })
  const pids = new Set<number | null>()
  for (let number = 0; number < 50; number += 1) {
    pids.add((await run(executor, `large-${number}`, { task_id: 'large' })).pid)
    reports = []
  }
  expect(pids.size).toBe(2)
})

test('a module whose import failed is imported again by the retry', async () => {
  writeFileSync(
    join(directory, 'reads.mjs'),
    `import { readFileSync } from 'node:fs'
     const text = readFileSync('later.txt', 'utf8')
     const { dag, task } = globalThis[Symbol.for('branchline.authoring')]
     export default dag('d', {}, () => { task('t', () => text) })`,
  )
  const executor = await startExecutor(1)
  const bundle = { bundle_hash: 'reads', bundle_path: join(directory, 'reads.mjs') }
  expect((await run(executor, 'first', bundle)).error!.message).toContain('later.txt')
  writeFileSync(join(directory, 'later.txt'), 'there')
  expect((await run(executor, 'retry', bundle)).result).toBe('"there"')
})

test('what a command left running ends with its runner, before the next attempt', async () => {
  const executor = await startExecutor(1)
  const quiet = await run(executor, 'quiet', { task_id: 'quiet' })
  const left = await run(executor, 'left', { task_id: 'daemon' })
  expect(left.pid).toBe(quiet.pid)
  const daemon = Number(readFileSync(join(directory, 'daemon'), 'utf8'))
  const next = await run(executor, 'next')
  expect(next.pid).not.toBe(left.pid)
  await eventually('its end', () => !isRunning(daemon))
})

test('a directory that is gone is named with its commit and what to do', async () => {
  const executor = await startExecutor(1)
  const gone = join(directory, 'gone')
  const { error } = await run(executor, 'a', { source_path: gone, commit_sha: 'abc123' })
  expect(error!.message).toContain(`the directory ${gone} of commit abc123 is gone on this machine`)
  expect(error!.message).toContain('trigger a new run')
})

test('a runner that ends before it is ready is told with its last words, and not replaced at once', async () => {
  const executor = await startExecutor(1, { env: { ...process.env, NODE_OPTIONS: '--require=/nowhere.cjs' } })
  executor.dispatch([order('waits')])
  const told = () => logged.filter(({ msg }) => msg === 'task runner ended before it was ready')
  await eventually('two ends', () => told().length > 1)
  expect(told()[0]).toMatchObject({ exit_code: 1, output: expect.stringContaining('/nowhere.cjs') })
  const [first, second] = told().map(({ time }) => new Date(time as string).getTime())
  expect(second! - first!).toBeGreaterThanOrEqual(1_000)
})

test('a system that starts no process is told, and attempts wait until it does', async () => {
  const { execPath } = process
  process.execPath = join(directory, 'no-node')
  try {
    const executor = await startExecutor(1)
    executor.dispatch([order('waits')])
    await eventually('the error', () => logged.some(({ error }) => `${error}`.includes('started no process')))
  } finally {
    process.execPath = execPath
  }
  await eventually('the attempt', () => finished('waits'))
})

test('a cancelled attempt of the other isolation costs the next one no warm runner', async () => {
  const executor = await startExecutor(1)
  executor.dispatch([order('first', { task_id: 'waits' })])
  await eventually('its start', () => reports.length > 0)
  executor.dispatch([
    { ...order('fresh'), task: taskManifest('t', { isolation: 'fresh', priority_weight: 10 }) },
    order('second'),
  ])
  executor.cancel('fresh', 'cancelled')
  writeFileSync(join(directory, 'go'), '')
  await eventually('both ends', () => finished('first') && finished('second'))
  expect(finishOf('second')!.pid).toBe(finishOf('first')!.pid)
  expect(finishOf('fresh')!.error!.name).toBe('AttemptCancelled')
})

test('how long a runner was idle does not count as silence', async () => {
  const executor = await startExecutor(1, { heartbeatTimeoutMs: 1_500 })
  const { pid } = await run(executor, 'first')
  const heardAt = Date.now()
  await eventually('an idle time', () => Date.now() - heardAt > 2_000)
  process.kill(pid!, 'SIGSTOP')
  executor.dispatch([order('second')])
  const givenAt = Date.now()
  await eventually('some looks at it', () => Date.now() - givenAt > 200)
  process.kill(pid!, 'SIGCONT')
  await eventually('its end', () => finished('second'))
  expect(finishOf('second')!.pid).toBe(pid)
})
