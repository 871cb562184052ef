// A whole deployment as its users have it: a Postgres of its own that may be killed, and our programs as processes
// of their own, told apart by their environment. What a test needs to break it from outside, and the questions
// that it asks of the world afterwards. Nothing in it knows the inside of a program.
import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../cli/dev/embedded-postgres.ts'
import { DatabaseUnavailableError } from '../../runtime/errors.ts'
import { createLogger } from '../../runtime/log.ts'
import { attemptLogPath, type LogLine } from '../../runtime/log-line.ts'
import { isRunning } from '../../runtime/process-start.ts'
import { type Program, programPath } from '../../runtime/programs.ts'
import { type Database, openDatabase } from '../../scheduler/database/connection.ts'
import { triggerRun } from '../../scheduler/database/trigger-run.ts'
import { eventually } from './eventually.ts'

/** One of our programs, running. */
export interface ProgramProcess {
  child: ChildProcess
  pid: number
  /** Its log so far, line by line. */
  lines(): Record<string, unknown>[]
  exited: Promise<number | null>
  kill(signal: NodeJS.Signals): void
}

export interface AttemptRow {
  task_id: string
  try_number: number
  state: string
  pid: number | null
  scheduler_id: number
  error: { name: string; message: string } | null
}

export interface Deployment extends AsyncDisposable {
  directory: string
  ledger: string
  logsDir: string
  db: Database
  /** For programs; every process below them has it too, and is found by it. */
  env: Record<string, string>
  postgres(): EmbeddedPostgres
  /** kill -9 of the server; its own processes follow. */
  killPostgres(): Promise<void>
  startPostgres(): Promise<EmbeddedPostgres>
  startProgram(program: Program, args?: readonly string[], env?: Record<string, string>): ProgramProcess
  /** Triggers a run, also while Postgres comes and goes. */
  trigger(dagId: string, runId: string, params?: Record<string, unknown>): Promise<void>
  /** State of a run that has ended; waits for that. */
  ended(dagId: string, runId: string, timeoutMs?: number): Promise<string>
  /** Process that leases the run now. */
  ownerOf(dagId: string, runId: string): Promise<number | undefined>
  attempts(dagId: string, runId: string): Promise<AttemptRow[]>
  log(dagId: string, runId: string, taskId: string, tryNumber?: number): LogLine[]
  /** Every process of the deployment but Postgres' own, by its environment. */
  processes(): DeployedProcess[]
  keepFiles(): void
}

export interface DeployedProcess {
  pid: number
  parentPid: number
  command: string
}

/**
 * @param options.files of the source directory, where the deployment has a plain one
 * @param options.env further variables; a function of the directory where they name places in it
 */
export async function createDeployment(
  options: {
    files?: Readonly<Record<string, string>>
    env?: Record<string, string> | ((directory: string) => Record<string, string>)
  } = {},
): Promise<Deployment> {
  const directory = await mkdtemp(join(tmpdir(), 'branchline-deployment-'))
  const mark = randomUUID()
  const log = createLogger('postgres', { level: 'error' })
  const startServer = () =>
    startEmbeddedPostgres({ directory: join(directory, 'postgres'), log, settings: { max_connections: 100 } })
  let server = await startServer()
  const db = openDatabase(server.url, { max: 2 })
  const ledger = join(directory, 'ledger')
  const logsDir = join(directory, 'logs')
  for (const [name, text] of Object.entries(options.files ?? {})) writeSource(directory, name, text)
  const env: Record<string, string> = {
    PATH: process.env.PATH ?? '',
    HOME: directory,
    DEPLOYMENT: mark,
    LEDGER: ledger,
    BRANCHLINE_DATABASE_URL: server.url,
    BRANCHLINE_SOURCE_PATH: join(directory, 'source'),
    BRANCHLINE_DATA_DIR: join(directory, 'data'),
    BRANCHLINE_LOGS_DIR: logsDir,
    BRANCHLINE_LOCAL_EXECUTOR_SLOTS: '2',
    ...(typeof options.env === 'function' ? options.env(directory) : options.env),
  }
  const programs: ProgramProcess[] = []
  let isKept = false

  const deployment: Deployment = {
    directory,
    ledger,
    logsDir,
    db,
    env,
    postgres: () => server,
    async killPostgres() {
      const { pid, exited } = server
      process.kill(pid, 'SIGKILL')
      await exited
    },
    async startPostgres() {
      server = await startServer()
      return server
    },
    startProgram(program, args = [], more = {}) {
      const started = startProgram(program, args, { ...env, ...more }, join(directory, `${program}.log`))
      programs.push(started)
      return started
    },
    async trigger(dagId, runId, params = {}) {
      await whileAway(async () => {
        await triggerRun(db, { dagId, runId, params, actor: 'test' }).catch((error: { code?: string }) => {
          // Made by the try before, whose answer was lost.
          if (error.code !== 'CONFLICT') throw error
        })
      })
    },
    ended: (dagId, runId, timeoutMs = 30_000) =>
      eventually(
        `the end of ${dagId} ${runId} in ${directory}`,
        () =>
          whileAway(async () => {
            const { rows } = await db.query<{ state: string }>(
              'select state from dag_run where dag_id = $1 and run_id = $2 and end_date is not null',
              [dagId, runId],
            )
            return rows[0]?.state
          }),
        timeoutMs,
      ),
    async ownerOf(dagId, runId) {
      const { rows } = await db.query<{ pid: number }>(
        `select s.pid from dag_run r join scheduler s using (scheduler_id)
         where r.dag_id = $1 and r.run_id = $2`,
        [dagId, runId],
      )
      return rows[0]?.pid
    },
    async attempts(dagId, runId) {
      const { rows } = await db.query<Omit<AttemptRow, 'error'> & { error: string | null }>(
        `select a.task_id, a.try_number, a.state, a.pid, a.scheduler_id, a.error
         from attempt a join dag_run r using (dag_run_id)
         where r.dag_id = $1 and r.run_id = $2 order by a.task_id, a.try_number`,
        [dagId, runId],
      )
      return rows.map((row) => ({ ...row, error: row.error === null ? null : JSON.parse(row.error) }))
    },
    log(dag_id, run_id, task_id, try_number = 1) {
      const path = attemptLogPath(logsDir, { dag_id, run_id, task_id, map_index: -1, try_number })
      return existsSync(path) ? parseLines(readFileSync(path, 'utf8')) : []
    },
    processes: () => processesWith(`DEPLOYMENT=${mark}`),
    keepFiles: () => {
      isKept = true
    },
    async [Symbol.asyncDispose]() {
      for (const program of programs) program.kill('SIGKILL')
      await Promise.all(programs.map((program) => program.exited))
      // What a program left behind, so that one failed test does not disturb the next.
      for (const { pid } of deployment.processes()) kill(pid, 'SIGKILL')
      await db.close().catch(() => {})
      await server.stop()
      if (!isKept) rmSync(directory, { recursive: true, force: true })
    },
  }
  return deployment
}

/** Waits until the Dags of the deployment are loaded. */
export async function dagsLoaded({ db }: Deployment, count = 1): Promise<void> {
  await eventually(
    `${count} Dags`,
    async () => {
      // Before the first scheduler has migrated there is no table.
      const found = await db.query('select 1 from dag').catch(() => undefined)
      return (found?.rows.length ?? 0) >= count
    },
    60_000,
  )
}

/** Sends a signal; what is gone is no error. */
export function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // It ended meanwhile.
  }
}

/** Makes `work` again until Postgres answers. */
export async function whileAway<T>(work: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await work()
    } catch (error) {
      if (!(error instanceof DatabaseUnavailableError)) throw error
      await delay(50)
    }
  }
}

function writeSource(directory: string, name: string, text: string): void {
  const path = join(directory, 'source', name)
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, text)
}

function startProgram(
  program: Program,
  args: readonly string[],
  env: Record<string, string>,
  logFile: string,
): ProgramProcess {
  const child = spawn(process.execPath, [programPath(program), ...args], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let said = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      said += chunk
      appendFileSync(logFile, chunk)
    })
  }
  return {
    child,
    pid: child.pid!,
    lines: () => parseLines(said),
    exited: new Promise((done) => child.once('exit', (code) => done(code))),
    kill: (signal) => kill(child.pid!, signal),
  }
}

function parseLines<Line>(text: string): Line[] {
  return text
    .split('\n')
    .slice(0, -1)
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Line)
}

function processesWith(variable: string): DeployedProcess[] {
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => pid > 0)
    .flatMap((pid) => {
      try {
        if (!readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').includes(variable)) return []
        if (!isRunning(pid)) return []
        const status = readFileSync(`/proc/${pid}/status`, 'utf8')
        const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim()
        return [{ pid, parentPid: Number(/^PPid:\s*(\d+)/m.exec(status)![1]), command }]
      } catch {
        return [] // it ended meanwhile
      }
    })
}
