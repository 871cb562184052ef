// A scheduler in this process on a database and a directory of its own, with the real loader, executor and task
// runners: what a test of the scheduler needs, and the questions that it asks of the world afterwards.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { loadConfig } from '../../runtime/config.ts'
import type { LoadResult } from '../../runtime/loader/load-result.ts'
import { createLoader } from '../../runtime/loader/loader.ts'
import { createLogger } from '../../runtime/log.ts'
import { attemptLogPath, type LogLine } from '../../runtime/log-line.ts'
import { type Database, openDatabase } from '../../scheduler/database/connection.ts'
import { migrate } from '../../scheduler/database/migrate.ts'
import { triggerRun } from '../../scheduler/database/trigger-run.ts'
import { createScheduler, type Scheduler } from '../../scheduler/scheduler.ts'
import { eventually } from './eventually.ts'
import { createTestDatabase } from './postgres.ts'

export interface AttemptRow {
  task_id: string
  try_number: number
  state: string
  pid: number | null
  exit_code: number | null
  error: { name: string; message: string; stack: string | null } | null
  start_date: Date | null
  end_date: Date | null
}

export interface SchedulerFixture extends AsyncDisposable {
  db: Database
  databaseUrl: string
  directory: string
  logsDir: string
  scheduler: Scheduler
  /** Triggers and waits for the end; answers its state. */
  run(dagId: string, runId?: string, params?: Record<string, unknown>): Promise<string>
  trigger(dagId: string, runId: string, params?: Record<string, unknown>): Promise<number>
  ended(dagId: string, runId: string): Promise<string>
  attempts(dagId: string, runId: string): Promise<AttemptRow[]>
  /** task_id → state; a task without a row is absent. */
  states(dagId: string, runId: string): Promise<Record<string, string>>
  /** Lines that are there by now. */
  log(dagId: string, runId: string, taskId: string, tryNumber?: number): LogLine[]
}

/**
 * @param modules file → text of Dag modules
 * @param env further BRANCHLINE_ settings
 */
export async function startScheduler(
  modules: Record<string, string>,
  env: Record<string, string> = {},
  options: {
    /** Makes the source a link `current` to this folder of the modules. */
    publish?: string
    aroundLoad?: (load: () => Promise<LoadResult>) => Promise<LoadResult>
  } = {},
): Promise<SchedulerFixture> {
  const directory = mkdtempSync(join(tmpdir(), 'branchline-scheduler-'))
  const database = await createTestDatabase()
  const db = openDatabase(database.url)
  await migrate(db)
  const modulesFolder = join(directory, 'source')
  for (const [file, text] of Object.entries(modules)) {
    mkdirSync(dirname(join(modulesFolder, file)), { recursive: true })
    writeFileSync(join(modulesFolder, file), text)
  }
  const sourcePath = options.publish === undefined ? modulesFolder : join(modulesFolder, 'current')
  if (options.publish !== undefined) symlinkSync(options.publish, sourcePath)
  const { values: config } = loadConfig({
    env: { BRANCHLINE_DATA_DIR: join(directory, 'data'), BRANCHLINE_LOCAL_EXECUTOR_SLOTS: '2', ...env },
    cwd: directory,
  })
  const log = createLogger('scheduler', { level: 'error' })
  const loader = createLoader({
    sourcePath,
    dagsFolder: config.dags_folder,
    ignoreFile: config.dags_ignore_file,
    bundlesDir: join(config.data_dir, 'bundles'),
    packagesDir: join(config.data_dir, 'packages'),
    importTimeoutMs: config.loader_import_timeout,
    memoryMb: config.loader_memory_mb,
    allowInstallScripts: config.allow_install_scripts,
    log,
  })
  const scheduler = await createScheduler({
    db,
    config,
    sourcePath,
    load: () => (options.aroundLoad ?? ((load) => load()))(() => loader.load()),
    env: process.env,
    log,
  })
  await scheduler.start()
  await eventually('the first load', async () => {
    const { rows } = await db.query('select 1 from dag limit 1')
    return rows.length > 0
  })

  const fixture: SchedulerFixture = {
    db,
    databaseUrl: database.url,
    directory,
    logsDir: config.logs_dir,
    scheduler,
    async run(dagId, runId = 'run', params = {}) {
      await fixture.trigger(dagId, runId, params)
      return fixture.ended(dagId, runId)
    },
    async trigger(dagId, runId, params = {}) {
      const row = await triggerRun(db, { dagId, runId, params, actor: 'test' })
      return row.dag_run_id
    },
    ended: (dagId, runId) =>
      eventually(`the end of ${dagId} ${runId}`, async () => {
        const { rows } = await db.query<{ state: string }>(
          'select state from dag_run where dag_id = $1 and run_id = $2 and end_date is not null',
          [dagId, runId],
        )
        return rows[0]?.state
      }),
    async attempts(dagId, runId) {
      const { rows } = await db.query<Omit<AttemptRow, 'error'> & { error: string | null }>(
        `select a.task_id, a.try_number, a.state, a.pid, a.exit_code, a.error, a.start_date, a.end_date
         from attempt a join dag_run r using (dag_run_id)
         where r.dag_id = $1 and r.run_id = $2 order by a.queued_at, a.task_id, a.try_number`,
        [dagId, runId],
      )
      return rows.map((row) => ({ ...row, error: row.error === null ? null : JSON.parse(row.error) }))
    },
    async states(dagId, runId) {
      const { rows } = await db.query<{ task_id: string; state: string }>(
        `select t.task_id, t.state from task_instance t join dag_run r using (dag_run_id)
         where r.dag_id = $1 and r.run_id = $2`,
        [dagId, runId],
      )
      return Object.fromEntries(rows.map((row) => [row.task_id, row.state]))
    },
    log(dag_id, run_id, task_id, try_number = 1) {
      const path = attemptLogPath(config.logs_dir, { dag_id, run_id, task_id, map_index: -1, try_number })
      const text = existsSync(path) ? readFileSync(path, 'utf8') : ''
      return text
        .split('\n')
        .slice(0, -1)
        .map((line) => JSON.parse(line) as LogLine)
    },
    async [Symbol.asyncDispose]() {
      await scheduler.stop(0)
      await loader.stop()
      await db.close()
      await database[Symbol.asyncDispose]()
      rmSync(directory, { recursive: true, force: true })
    },
  }
  return fixture
}
