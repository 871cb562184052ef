// The log of an attempt in a pod is its stream, byte for byte, whoever writes and whoever is killed.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { attemptLogPath } from '../../../runtime/log-line.ts'
import { appendAttemptLog } from '../../../scheduler/database/append-attempt-log.ts'
import { type Database, openDatabase } from '../../../scheduler/database/connection.ts'
import { eventually } from '../../support/eventually.ts'
import { createExecution, type Execution, type TestAttempt } from '../../support/execution.ts'

let execution: Execution
let observer: Database
const children: ChildProcess[] = []

beforeAll(async () => {
  execution = await createExecution('')
  observer = openDatabase(execution.databaseUrl, { applicationName: 'observer' })
})
afterAll(async () => {
  for (const child of children) child.kill('SIGKILL')
  await observer.close()
  await execution[Symbol.asyncDispose]()
})

const append = ({ key }: TestAttempt, offset: number, text: string) =>
  appendAttemptLog(execution.db, { key, logsDir: execution.logsDir, bytes: Buffer.from(text), offset })

const say = ({ key }: TestAttempt, msg: string) => {
  const line = { ts: new Date().toISOString(), level: 'info', stream: 'branchline', msg }
  const bytes = Buffer.from(`${JSON.stringify(line)}\n`)
  return appendAttemptLog(execution.db, { key, logsDir: execution.logsDir, bytes, offset: null })
}

const pathOf = ({ key, dagId, runId }: TestAttempt) =>
  attemptLogPath(execution.logsDir, { ...key, dag_id: dagId, run_id: runId })

/** What the log has beside lines of our own. */
function streamOf(attempt: TestAttempt): string {
  return readFileSync(pathOf(attempt), 'utf8').replaceAll(
    /^\{"ts":[^\n]*"stream":"branchline","msg":"own[^\n]*\n/gm,
    '',
  )
}

function startWriter({ key }: TestAttempt, file: string): ChildProcess {
  const program = join(import.meta.dirname, '../../support/log-writer-main.ts')
  const { databaseUrl, logsDir } = execution
  const child = spawn(process.execPath, [program, databaseUrl, logsDir, JSON.stringify(key), file], {
    stdio: 'inherit',
  })
  children.push(child)
  return child
}

test('lines of our own stand between those of the stream, and count as none of it', async () => {
  const attempt = await execution.insertAttempt('ok')
  expect(await say(attempt, 'own: scheduled')).toBeDefined()
  expect(await append(attempt, 0, 'one\n')).toBe(4)
  await say(attempt, 'own: a second')
  expect(await append(attempt, 4, 'without an end')).toBe(18)
  await say(attempt, 'own: the last')
  const { log_bytes, log_file_bytes } = await execution.ledger(attempt)
  expect(log_bytes).toBe(18)
  expect(log_file_bytes).toBe(readFileSync(pathOf(attempt)).length)
  const messages = execution
    .logText(attempt)
    .split('\n')
    .map((line) => /"msg":"([^"]+)/.exec(line)?.[1] ?? line)
  expect(messages).toEqual(['own: scheduled', 'one', 'own: a second', 'without an end', 'own: the last', ''])
})

test('an attempt that the ledger does not have has no log', async () => {
  const attempt = await execution.insertAttempt('ok')
  const stranger = { ...attempt, key: { ...attempt.key, try_number: 2 } }
  expect(await append(stranger, 0, 'x\n')).toBeUndefined()
  expect(await say(stranger, 'own')).toBeUndefined()
  expect(existsSync(pathOf(stranger))).toBe(false)
})

test('what a disk lost is not made up by zeros', async () => {
  const attempt = await execution.insertAttempt('ok')
  await append(attempt, 0, 'one\ntwo\n')
  truncateSync(pathOf(attempt), 4)
  expect(await append(attempt, 8, 'three\n')).toBe(14)
  expect(execution.logText(attempt)).toBe('one\nthree\n')
})

/** Updates of the ledger wait for it: what is written into the file then is not committed. */
async function holdCommits(): Promise<() => Promise<void>> {
  const { db } = execution
  await db.query(`create or replace function wait_for_test() returns trigger language plpgsql as
    $$ begin perform pg_advisory_xact_lock_shared(4711); return new; end $$`)
  await db.query(`create or replace trigger wait_for_test before update of log_bytes on pod
    for each row execute function wait_for_test()`)
  const holder = await db.connect(() => {})
  await holder.query('select pg_advisory_lock(4711)')
  return () => holder.close()
}

const waitingSessions = async () =>
  (
    await execution.db.query<{ pid: number }>(
      `select pid from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`,
    )
  ).rows.map(({ pid }) => pid)

test.for(['the writer', 'its session'] as const)(
  '%s may die between the file and the commit',
  async (who) => {
    const attempt = await execution.insertAttempt('ok')
    await append(attempt, 0, 'kept\n')
    const text = `kept\n${'a line that is long\n'.repeat(20_000)}`
    const file = join(execution.directory, 'text')
    writeFileSync(file, text)
    const release = await holdCommits()
    const writer = startWriter(attempt, file)
    await eventually(
      'bytes in the file that are not committed',
      async () => (await waitingSessions()).length > 0,
    )
    const size = () => readFileSync(pathOf(attempt)).length
    expect(size()).toBeGreaterThan(5)
    expect((await execution.ledger(attempt)).log_file_bytes).toBe(5)
    if (who === 'the writer') {
      writer.kill('SIGKILL')
      await once(writer, 'exit')
    }
    for (const pid of await waitingSessions())
      await execution.db.query('select pg_terminate_backend($1)', [pid])
    await eventually(
      'its lock is free',
      async () => (await waitingSessions()).length === 0 || who === 'its session',
    )
    await release()
    if (who === 'the writer') {
      // Shorter than what was left there.
      await say(attempt, 'own: the pod is gone')
      expect(streamOf(attempt)).toBe('kept\n')
      startWriter(attempt, file)
    }
    await eventually('all of it', async () => (await execution.ledger(attempt)).log_bytes === text.length)
    expect(streamOf(attempt)).toBe(text)
  },
)

/** More: a longer test, since a writer takes its time to start. */
const breaks = 12

/** Three processes that write the same stream, until all of it is kept; `breakOne` is called while they do. */
async function writeTogether(
  attempt: TestAttempt,
  breakOne: (writer: ChildProcess) => Promise<void>,
): Promise<void> {
  const lines = Array.from({ length: 60_000 }, (_, n) => `line ${n} ${'·'.repeat(n % 37)}\n`).join('')
  const file = join(execution.directory, 'stream')
  writeFileSync(file, lines)
  const size = Buffer.byteLength(lines)
  const writers = new Set<ChildProcess>()
  let broken = 0
  while ((await kept(attempt)) < size) {
    while (writers.size < 3) {
      const writer = startWriter(attempt, file)
      writers.add(writer)
      writer.once('exit', () => writers.delete(writer))
    }
    const before = await kept(attempt)
    await eventually('progress', async () => (await kept(attempt)) > before || before === size)
    const [victim] = writers
    if (victim === undefined || broken === breaks) continue
    await breakOne(victim)
    broken += 1
  }
  for (const writer of writers) writer.kill('SIGKILL')
  expect(broken).toBeGreaterThan(5)
  expect(streamOf(attempt) === lines).toBe(true)
}

/** By a session that nobody ends. */
async function kept({ key }: TestAttempt): Promise<number> {
  const { rows } = await observer.query<{ log_bytes: number }>(
    'select log_bytes from pod where dag_run_id = $1',
    [key.dag_run_id],
  )
  return rows[0]!.log_bytes
}

test('many writers at once, killed at random, make one stream, with our own lines between', async () => {
  const attempt = await execution.insertAttempt('ok')
  const isOver = new AbortController()
  const speaking = (async () => {
    for (let number = 0; !isOver.signal.aborted; number += 1) {
      await say(attempt, `own ${number}`)
      await delay(300)
    }
  })()
  await writeTogether(attempt, async (writer) => {
    writer.kill('SIGKILL')
  })
  isOver.abort()
  await speaking
  const numbers = [...execution.logText(attempt).matchAll(/"msg":"own (\d+)"/g)].map(([, number]) =>
    Number(number),
  )
  expect(numbers).toEqual(numbers.map((_, number) => number))
})

test('many writers at once whose sessions end at random make one stream', async () => {
  const attempt = await execution.insertAttempt('ok')
  await writeTogether(attempt, async () => {
    await observer.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
       where datname = current_database() and application_name = 'branchline' and query like '%pod%'
       order by random() limit 1`,
    )
  })
})
