// The local executor by itself, where a race must be arranged that whole schedulers meet only by chance.
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createLogger } from '../../../runtime/log.ts'
import { isRunning } from '../../../runtime/process-start.ts'
import type { AttemptOrder } from '../../../runtime/task-runner/protocol.ts'
import type { DispatchOrder, Executor, ExecutorReport } from '../../../scheduler/executors/executor.ts'
import { createLocalExecutor } from '../../../scheduler/executors/local/local-executor.ts'
import { forgetRunners } from '../../../scheduler/executors/local/runner-directory.ts'
import { eventually } from '../../support/eventually.ts'

let directory: string
let runnersDir: string
let logged: Record<string, unknown>[]
let reports: ExecutorReport[]
const executors: Executor[] = []

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'branchline-executor-'))
  runnersDir = join(directory, 'runners')
  logged = []
  reports = []
  writeFileSync(
    join(directory, 'bundle.mjs'),
    `const { dag, task } = globalThis[Symbol.for('branchline.authoring')]
     export default dag('d', {}, () => {
       task('t', () => 1)
       task('throws', () => { throw new Error('no') })
     })`,
  )
})
afterEach(async () => {
  for (const executor of executors.splice(0)) await executor.stop(0)
  rmSync(directory, { recursive: true, force: true })
})

const log = createLogger('test', { destination: { write: (line) => logged.push(JSON.parse(line)) } })

async function startExecutor(schedulerId: number): Promise<Executor> {
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
    },
    onReport: (report) => reports.push(report),
    committedUntil: () => Date.now(),
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
    priorityWeight: 1,
    isolation: 'warm',
  }
}

const finished = (name: string) =>
  reports.some((report) => report.type === 'finish' && report.attempt_id === name)

test('one whose attempts were adopted begins nothing any more', async () => {
  const paused = await startExecutor(1)
  paused.dispatch([order('before')])
  await eventually('an attempt', () => finished('before'))
  const adopter = await startExecutor(2)
  const orphan = { attempt_id: 'waiting', token: 'token', log_path: join(directory, 'log') }
  expect(await adopter.adopt(1, [orphan])).toEqual([{ attempt_id: 'waiting', fate: 'not_begun' }])
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
  const orphans = ['done', 'waiting'].map((name) => ({
    attempt_id: name,
    token: 'token',
    log_path: join(directory, 'log'),
  }))
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
  const [adoption] = await adopter.adopt(1, [
    { attempt_id: 'done', token: 'token', log_path: join(directory, 'log') },
  ])
  expect(adoption!.fate).toBe('lost')
})
