// The program `branchline web`: configuration in, signals and exit codes out; the server is web-server.ts.
import { setTimeout as sleep } from 'node:timers/promises'
import { type Config, loadConfig } from '../../runtime/config.ts'
import { ConfigError, DatabaseUnavailableError, messageOf } from '../../runtime/errors.ts'
import { createLogger } from '../../runtime/log.ts'
import { onParentGone, reportReady } from '../../runtime/parent-watch.ts'
import { version } from '../../runtime/version.ts'
import { type Database, openDatabase } from '../../scheduler/database/connection.ts'
import { migrate } from '../../scheduler/database/migrate.ts'
import { createWebServer } from './web-server.ts'

const ExitCode = { done: 0, failed: 1 } as const

/** Requests that wait for Postgres at once; more wait their turn. */
const databaseConnections = 8
/** Between two tries while Postgres is away. */
const migrateRetryMs = 500
/** The server itself stops sooner; this is for a Postgres that does not answer. */
const stopGraceMs = 900

const log = createLogger('web')
const stopping = new AbortController()

process.exit(await main())

async function main(): Promise<number> {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => stopping.abort())
  onParentGone(() => stopping.abort())
  try {
    await serve()
    return ExitCode.done
  } catch (error) {
    if (error instanceof ConfigError) log.fatal(error.message)
    else log.fatal({ err: error }, 'cannot go on')
    return ExitCode.failed
  }
}

/** Until it is told to stop. */
async function serve(): Promise<void> {
  const { values } = loadConfig({ env: process.env })
  log.level = values.log_level
  if (values.database_url === null) {
    throw new ConfigError(
      'database_url is not set: name the Postgres to work with, or use `branchline dev`, which has its own',
    )
  }
  const db = openDatabase(values.database_url, {
    max: databaseConnections,
    applicationName: 'branchline web',
  })
  const execution = await executionDeps(values)
  let isMigrated = false
  const server = createWebServer({
    db,
    logsDir: values.logs_dir,
    log,
    version,
    isReady: () => isMigrated,
    execution,
  })
  const { url } = await server.start({ host: values.web_host, port: values.web_port })
  log.info({ url }, 'listening')
  const stopped = new Promise<void>((resolve) => {
    if (stopping.signal.aborted) resolve()
    stopping.signal.addEventListener('abort', () => resolve(), { once: true })
  })
  await migrateWhenThere(db)
  isMigrated = !stopping.signal.aborted
  if (isMigrated) reportReady()
  await stopped
  await Promise.race([server.stop().then(() => db.close()), sleep(stopGraceMs)])
  log.info('stopped')
}

/** For attempts in pods; the API server is asked for its keys when the first of them speaks. */
async function executionDeps(values: Config) {
  if (!values.executors.includes('kubernetes')) return undefined
  const { configuredCluster, connectKubernetes } = await import('../../k8s/connect.ts')
  const { createPodIdentification } = await import('../../k8s/pod-identity.ts')
  const client = await connectKubernetes({ ...configuredCluster(values), environment: process.env })
  return {
    identification: createPodIdentification({
      keySet: () => client.keySet(),
      issuer: () => client.issuer(),
    }),
    settings: {
      heartbeatIntervalMs: values.worker_heartbeat_interval,
      killGraceMs: values.task_kill_grace,
      xcomMaxBytes: values.xcom_max_bytes,
    },
  }
}

/** The first program that finds Postgres brings it to this release's schema; until then requests get 503. */
async function migrateWhenThere(db: Database): Promise<void> {
  let isWaiting = false
  while (!stopping.signal.aborted) {
    try {
      const { applied } = await migrate(db)
      if (applied.length > 0) log.info({ applied }, 'database migrated')
      return
    } catch (error) {
      if (!(error instanceof DatabaseUnavailableError)) throw error
      if (!isWaiting) log.warn({ reason: messageOf(error) }, 'waiting for postgres')
      isWaiting = true
      await sleep(migrateRetryMs, undefined, { signal: stopping.signal }).catch(() => {})
    }
  }
}
