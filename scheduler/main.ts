// The program `branchline scheduler`: reads the configuration, wires database, loader and scheduler, and makes a new
// scheduler whenever one has lost its lease. SIGTERM and SIGINT end it: running attempts are told, get their grace,
// and are retried elsewhere; what is queued waits for the next scheduler.
import { mkdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { loadConfig } from '../runtime/config.ts'
import { ConfigError, DatabaseUnavailableError, messageOf } from '../runtime/errors.ts'
import { createLoader } from '../runtime/loader/loader.ts'
import { createLogger, type Logger } from '../runtime/log.ts'
import { onParentGone, reportReady } from '../runtime/parent-watch.ts'
import { openDatabase } from './database/connection.ts'
import { migrate } from './database/migrate.ts'
import { openKubernetes } from './executors/kubernetes/connect.ts'
import { countPodCalls } from './health/count-pod-calls.ts'
import { createHealthServer } from './health/health-server.ts'
import { createSchedulerMetrics } from './health/metrics.ts'
import { createSchedulerHealth } from './health/scheduler-health.ts'
import { createScheduler, type Scheduler } from './scheduler.ts'

/** Between two tries while Postgres is away. */
const databaseRetryMs = 200

/** Connections of the pool, beside those of the lease and of commits: what is frequent has one of its own. */
const localConnections = 4
/** Lines of the logs of many pods are kept at once, each in a transaction. */
const kubernetesConnections = 12

/** What task runners do not inherit: they hold no credentials of ours. */
const withheld = ['BRANCHLINE_DATABASE_URL']

async function main(): Promise<void> {
  const { values: config } = loadConfig({ env: process.env })
  const log = createLogger('scheduler', { level: config.log_level })
  if (config.database_url === null) {
    throw new ConfigError(
      'the scheduler needs database_url: set BRANCHLINE_DATABASE_URL, or use `branchline dev`',
    )
  }
  if (config.source_path === null) {
    throw new ConfigError(
      'the scheduler needs source_path: set BRANCHLINE_SOURCE_PATH to the link that sync publishes, or to a directory',
    )
  }
  const opened = config.executors.includes('kubernetes')
    ? await openKubernetes(config, process.env, log)
    : undefined
  const counted = opened && countPodCalls(opened.client)
  const kubernetes = opened && { ...opened, client: counted!.client }
  const stopping = new AbortController()
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => stopping.abort())
  onParentGone(() => process.exit(1))

  const sourcePath = resolve(config.source_path)
  mkdirSync(config.data_dir, { recursive: true })
  const db = openDatabase(config.database_url, {
    applicationName: 'branchline scheduler',
    max: kubernetes === undefined ? localConnections : kubernetesConnections,
  })
  const health = createSchedulerHealth({
    hangTimeoutMs: config.scheduler_hang_timeout,
    stopGraceMs: config.task_kill_grace,
  })
  const metrics = createSchedulerMetrics({ health, db, podCalls: counted?.counts })
  const healthServer =
    config.scheduler_health_bind === null
      ? undefined
      : createHealthServer({ bind: config.scheduler_health_bind, health, metrics, log })
  await healthServer?.start()
  const { applied } = (await whenUp(() => migrate(db), stopping.signal, log)) ?? { applied: [] }
  if (applied.length > 0) log.info({ applied }, 'database migrated')
  let scheduler: Scheduler | undefined
  const loader = createLoader({
    sourcePath,
    dagsFolder: config.dags_folder,
    ignoreFile: config.dags_ignore_file,
    bundlesDir: join(config.data_dir, 'bundles'),
    packagesDir: join(config.data_dir, 'packages'),
    importTimeoutMs: config.loader_import_timeout,
    memoryMb: config.loader_memory_mb,
    allowInstallScripts: config.allow_install_scripts,
    wake: () => scheduler?.reload(),
    log,
  })
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !withheld.includes(name)))
  const stopped = new Promise<'stopped'>((done) =>
    stopping.signal.addEventListener('abort', () => done('stopped'), { once: true }),
  )
  while (!stopping.signal.aborted) {
    const load = () => loader.load(stopping.signal)
    const make = () => createScheduler({ db, config, sourcePath, load, env, kubernetes, log })
    scheduler = await whenUp(make, stopping.signal, log)
    if (!scheduler) break
    health.enter('starting', scheduler)
    await scheduler.start()
    health.enter('running', scheduler)
    reportReady()
    const end = await Promise.race([stopped, scheduler.lost])
    if (end !== 'stopped') log.warn({ reason: end }, 'beginning anew')
    health.enter('stopping', scheduler)
    await scheduler.stop(end === 'stopped' ? config.task_kill_grace : 0)
    health.enter('waiting for postgres')
  }
  await healthServer?.stop()
  kubernetes?.client.close()
  await loader.stop()
  await db.close()
}

/**
 * A database that is away is waited for, at the start as at any other time.
 * @returns nothing where the signal came first
 */
async function whenUp<T>(work: () => Promise<T>, signal: AbortSignal, log: Logger): Promise<T | undefined> {
  for (let isTold = false; !signal.aborted; isTold = true) {
    try {
      return await work()
    } catch (error) {
      if (!(error instanceof DatabaseUnavailableError)) throw error
      if (!isTold) log.warn({ error: messageOf(error) }, 'postgres is away, waiting for it')
      await delay(databaseRetryMs)
    }
  }
}

main().then(
  () => process.exit(0),
  (error: unknown) => {
    process.stderr.write(`branchline scheduler: ${messageOf(error)}\n`)
    process.exit(error instanceof ConfigError ? 2 : 1)
  },
)
