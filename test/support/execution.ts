// Attempts in pods without a cluster: a database with a run whose task instance has a row in the launch ledger, the
// program `branchline web` that answers its pod, and `branchline task` as the container `base` has it. What a test
// breaks from outside, and what it asks of the world afterwards.
import { type ChildProcess, spawn } from 'node:child_process'
import { createHash, randomUUID } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { workerVariables } from '../../runtime/execution-api.ts'
import { attemptLogPath, type LogLine } from '../../runtime/log-line.ts'
import type { TaskManifest } from '../../runtime/manifest.ts'
import { isRunning } from '../../runtime/process-start.ts'
import { programPath } from '../../runtime/programs.ts'
import { type Database, openDatabase } from '../../scheduler/database/connection.ts'
import type { PodKey } from '../../scheduler/database/pod-rows.ts'
import { manifestOf } from '../web/rows.ts'
import { eventually } from './eventually.ts'
import { createPodTokens, type KeyServer, type PodTokens, serveKeys } from './pod-tokens.ts'
import { createMigratedDatabase } from './postgres.ts'

export interface TestAttempt {
  key: PodKey
  dagId: string
  runId: string
  namespace: string
  podName: string
  podUid: string
  /** For the header `authorization`. */
  podToken: string
  /** Of the attempt, as the ledger has it. */
  token: string
}

export interface LedgerRow {
  state: string
  uid: string | null
  started_at: Date | null
  hostname: string | null
  pid: number | null
  finish: Record<string, unknown> | null
  result: string | null
  memory_peak_bytes: number | null
  log_bytes: number
  log_file_bytes: number
  revision: number
}

/** One that is running, or was: everything that it said, and how it ended. */
export interface TestProcess {
  child: ChildProcess
  pid: number
  stdout(): Buffer
  stderr(): string
  exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>
}

export interface Execution extends AsyncDisposable {
  directory: string
  logsDir: string
  db: Database
  databaseUrl: string
  tokens: PodTokens
  /** @param manifest of the one task `task_id`, over usual values */
  insertAttempt(taskId: string, manifest?: Partial<TaskManifest>): Promise<TestAttempt>
  /** Results of a task that another one takes. */
  insertResult(attempt: TestAttempt, taskId: string, value: unknown): Promise<void>
  ledger(attempt: TestAttempt): Promise<LedgerRow>
  /** The log file, as it is now. */
  logText(attempt: TestAttempt): string
  log(attempt: TestAttempt): LogLine[]
  /** A server as a program; answers when it listens. */
  startWeb(options?: { port?: number; env?: Record<string, string> }): Promise<TestWeb>
  /** `branchline task` for this attempt. */
  startWorker(attempt: TestAttempt, options: WorkerOptions): TestProcess
}

export interface TestWeb extends TestProcess {
  url: string
  port: number
}

export interface WorkerOptions {
  url: string
  env?: Record<string, string>
  dagsPath?: string
  spoolPath?: string
  /** Runs the program through it: `prlimit`, `unshare`. */
  prefix?: readonly string[]
}

export const commitSha = 'a'.repeat(40)

/** @param code of a bundle whose default export is Dag `d` */
export async function createExecution(code: string): Promise<Execution> {
  await using cleanup = new AsyncDisposableStack()
  const directory = mkdtempSync(join(tmpdir(), 'branchline-execution-'))
  cleanup.defer(() => rmSync(directory, { recursive: true, force: true }))
  const logsDir = join(directory, 'logs')
  mkdirSync(join(directory, 'dags'))
  mkdirSync(join(directory, 'spool'))
  const database = cleanup.use(await createMigratedDatabase())
  const db = openDatabase(database.url)
  cleanup.defer(() => db.close())
  const tokens = await createPodTokens()
  const keys: KeyServer = cleanup.use(await serveKeys(tokens))
  writeFileSync(join(directory, 'kubeconfig'), keys.kubeconfig)
  const hash = createHash('sha256').update(code).digest('hex')
  await db.query('insert into bundle (bundle_hash, code) values ($1, $2)', [hash, code])
  const processes: TestProcess[] = []
  let attempts = 0

  const start = (command: string, args: readonly string[], env: Record<string, string>): TestProcess => {
    const child = spawn(command, args, {
      cwd: directory,
      env: { PATH: process.env.PATH ?? '', HOME: directory, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const said: { stdout: Buffer[]; stderr: Buffer[] } = { stdout: [], stderr: [] }
    child.stdout!.on('data', (chunk: Buffer) => said.stdout.push(chunk))
    child.stderr!.on('data', (chunk: Buffer) => said.stderr.push(chunk))
    const started: TestProcess = {
      child,
      pid: child.pid!,
      stdout: () => Buffer.concat(said.stdout),
      stderr: () => Buffer.concat(said.stderr).toString(),
      exited: new Promise((done) =>
        child.once('close', (exitCode, signal) => done({ code: exitCode, signal })),
      ),
    }
    processes.push(started)
    return started
  }
  cleanup.defer(async () => {
    for (const { child } of processes) child.kill('SIGKILL')
    await Promise.all(processes.map(({ exited }) => exited))
  })

  const execution: Omit<Execution, typeof Symbol.asyncDispose> = {
    directory,
    logsDir,
    db,
    databaseUrl: database.url,
    tokens,
    async insertAttempt(taskId, manifest = {}) {
      attempts += 1
      const dagId = `d`
      const runId = `run-${attempts}`
      const whole = manifestOf(dagId, { [taskId]: [] })
      whole.tasks = whole.tasks.map((task) => ({ ...task, ...manifest }))
      const podName = `d-${taskId}-${attempts}`
      const [podUid, token] = [randomUUID(), randomUUID()]
      const { rows } = await db.query<{ dag_run_id: number }>(
        `with version as (
           insert into dag_version (dag_id, version_number, version_hash, bundle_hash, manifest, file, commit_sha)
           values ($1, $2, $3, $4, $5, 'dags/d.ts', $6) returning dag_version_id
         ), dag as (
           insert into dag (dag_id, dag_version_id, commit_sha, is_paused, max_active_runs)
           select $1, dag_version_id, $6, false, 16 from version
           on conflict (dag_id) do update set dag_version_id = excluded.dag_version_id
         )
         insert into dag_run (dag_id, run_id, dag_version_id, commit_sha, run_type, state, triggered_by, start_date, params)
         select $1, $7, dag_version_id, $6, 'manual', 'running', 'test', now(), '{"given": 1}' from version
         returning dag_run_id`,
        [dagId, attempts, `v${attempts}`, hash, JSON.stringify(whole), commitSha, runId],
      )
      const key: PodKey = { dag_run_id: rows[0]!.dag_run_id, task_id: taskId, map_index: -1, try_number: 1 }
      await db.query(
        `insert into task_instance (dag_run_id, task_id, state, try_number, max_tries, attempt_state, token, executor,
           scheduler_id, queued_at) values ($1, $2, 'queued', 1, 2, 'queued', $3, 'kubernetes', 1, now())`,
        [key.dag_run_id, taskId, token],
      )
      await db.query(
        `insert into pod (dag_run_id, task_id, map_index, try_number, token, kind, namespace, pod_name, manifest)
         values ($1, $2, -1, 1, $3, 'task', 'tasks', $4, '{}')`,
        [key.dag_run_id, taskId, token, podName],
      )
      const podToken = await tokens.sign({ namespace: 'tasks', podName, podUid })
      return { key, dagId, runId, namespace: 'tasks', podName, podUid, podToken, token }
    },
    async insertResult({ key }, taskId, value) {
      await db.query('insert into xcom (dag_run_id, task_id, map_index, value) values ($1, $2, -1, $3)', [
        key.dag_run_id,
        taskId,
        JSON.stringify(value),
      ])
    },
    async ledger({ key }) {
      const { rows } = await db.query<Omit<LedgerRow, 'finish'> & { finish: string | null }>(
        'select * from pod where dag_run_id = $1 and task_id = $2',
        [key.dag_run_id, key.task_id],
      )
      const row = rows[0]!
      return { ...row, finish: row.finish === null ? null : JSON.parse(row.finish) }
    },
    logText({ key, dagId, runId }) {
      const path = attemptLogPath(logsDir, { ...key, dag_id: dagId, run_id: runId })
      return existsSync(path) ? readFileSync(path, 'utf8') : ''
    },
    log: (attempt) =>
      execution
        .logText(attempt)
        .split('\n')
        .slice(0, -1)
        .map((line) => JSON.parse(line) as LogLine),
    async startWeb({ port = 0, env = {} } = {}) {
      const web = start(process.execPath, [programPath('web')], {
        BRANCHLINE_DATABASE_URL: database.url,
        BRANCHLINE_LOGS_DIR: logsDir,
        BRANCHLINE_WEB_PORT: String(port),
        BRANCHLINE_EXECUTORS: 'kubernetes',
        BRANCHLINE_EXECUTION_API_URL: 'http://127.0.0.1',
        BRANCHLINE_KUBERNETES_CONFIG_FILE: join(directory, 'kubeconfig'),
        BRANCHLINE_WORKER_HEARTBEAT_INTERVAL: '200ms',
        BRANCHLINE_TASK_KILL_GRACE: '1s',
        ...env,
      })
      const url = await eventually('the server listens', () => {
        if (!isRunning(web.pid)) throw new Error(`the server ended: ${web.stderr()}`)
        return /"url":"(http:[^"]+)"/.exec(web.stderr())?.[1]
      })
      return { ...web, url, port: Number(new URL(url).port) }
    },
    startWorker(attempt, { url, env = {}, dagsPath, spoolPath, prefix = [] }) {
      const tokenFile = join(directory, `${attempt.podName}.token`)
      writeFileSync(tokenFile, attempt.podToken)
      const [command, ...args] = [...prefix, process.execPath, programPath('worker')]
      return start(command!, args, {
        [workerVariables.executionApiUrl]: url,
        [workerVariables.tokenFile]: tokenFile,
        [workerVariables.dagsPath]: dagsPath ?? join(directory, 'dags'),
        [workerVariables.spoolPath]: spoolPath ?? join(directory, 'spool'),
        ...env,
      })
    },
  }
  const owned = cleanup.move()
  return { ...execution, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}
