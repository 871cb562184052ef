// `branchline dev`, from its start to its end: lock the data directory, start the parts in order, say what there is,
// tell what changes, and stop everything in reverse. Whatever is killed at whatever moment, the next start goes on from
// what Postgres and the data directory say.
import { join } from 'node:path'
import type { LoadedConfig } from '../../runtime/config.ts'
import { createApi } from '../api/client.ts'
import type { Terminal } from '../terminal.ts'
import { commandPrefix } from './command-prefix.ts'
import { type DevState, readDevState, writeDevState } from './data-directory.ts'
import { type DemoRepository, demoBranch, ensureDemoRepository } from './demo-repository.ts'
import { createDevOutput, type DevOutput } from './dev-output.ts'
import { postgresDirectory, postgresPart, schedulerPart, webPart } from './dev-parts.ts'
import type { DevSource } from './dev-source.ts'
import { createLiveNews, type LiveNews } from './live-news.ts'
import { lockDevDirectory } from './lock.ts'
import { migrateDatabase, migrateWhenThere } from './migrate-database.ts'
import { chooseWebPort, localUrl, preferredPort } from './ports.ts'
import { stopAloud } from './stop-aloud.ts'
import { createSupervisor, type Part } from './supervisor.ts'
import { linkName } from './sync-arguments.ts'
import { syncPartFor } from './sync-start.ts'
import { welcomeLines } from './welcome.ts'

export interface DevOptions {
  config: LoadedConfig
  /** undefined: the demonstration. */
  source: DevSource | undefined
  /** Overrides how often sync looks. */
  period: string | undefined
  /** Show every line of every program. */
  verbose: boolean
  terminal: Terminal
  env: Readonly<Record<string, string | undefined>>
  cwd: string
  /** process.argv[1] */
  script: string
  /** Ends it. */
  signal: AbortSignal
}

/** How long the first load is waited for before the welcome. Longer: an empty repository looks like a hang. */
const firstLoadMs = 8_000

/** Programs of a `dev` that was killed in this directory need a moment to let go of their ports. */
const portPatienceMs = 2_000

/** What `dev` works with, settled before anything starts. */
interface Plan {
  source: DevSource
  demo: DemoRepository | undefined
  state: DevState | undefined
  dataDir: string
  webPort: number
  webUrl: string
  syncPort: number
  /** undefined: there is no sync. */
  linkPath: string | undefined
}

/**
 * Runs until the signal fires, and everything is stopped again.
 * @throws ConflictError, ConfigError, EmbeddedPostgresError, ProgramError, GitError where it cannot start
 */
export async function runDev(options: DevOptions): Promise<void> {
  const { config, terminal, signal } = options
  const { style } = terminal
  await using _lock = await lockDevDirectory(config.values.data_dir)
  const plan = await makePlan(options)
  const { dataDir, source, webUrl, linkPath } = plan
  const output = createDevOutput({ path: join(dataDir, 'dev.log'), verbose: options.verbose, terminal })
  const news = createLiveNews({ api: createApi({ url: webUrl }), linkPath, style, print: output.say })
  const parts = partsOf(options, plan, output, news)
  const supervisor = createSupervisor({ parts, log: output.log })
  const onAbort = () => {
    void supervisor.stop()
    // The first load is not waited for any longer either: nothing is there that could tell of it.
    void news.stop()
  }
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    terminal.note(style('dim', `Branchline is starting: ${parts.map(({ name }) => name).join(', ')} …`))
    const databaseUrl = config.values.database_url
    if (databaseUrl !== null) await migrateWhenThere(databaseUrl, output.say, signal)
    await supervisor.start()
    output.started()
    await writeDevState(dataDir, {
      repo: source.type === 'repository' ? source.repo : null,
      ref: source.type === 'repository' ? source.ref : null,
      sync_port: plan.syncPort,
    })
    const snapshot = await news.firstLoad(firstLoadMs)
    if (!signal.aborted) terminal.print(...welcomeLines({ ...welcomeFacts(options, plan), snapshot }, style))
    await untilAborted(signal)
  } catch (error) {
    // A start that was interrupted ends as it was asked to.
    if (!signal.aborted) throw error
  } finally {
    output.stopping()
    await news.stop()
    await stopAloud(supervisor, (text) => terminal.note(style('dim', text)))
    output.close()
    if (signal.aborted) terminal.note(style('dim', 'stopped'))
  }
}

/** @throws ConfigError for a data directory of another release or a port in use; GitError */
async function makePlan({ config, source: named }: DevOptions): Promise<Plan> {
  const { data_dir: dataDir, web_host: host, web_port: port } = config.values
  const state = await readDevState(dataDir)
  const webPort = await chooseWebPort({ host, port, patienceMs: state === undefined ? 0 : portPatienceMs })
  const syncPort = await preferredPort(state?.sync_port ?? 0)
  const demo =
    named === undefined
      ? await ensureDemoRepository({ dataDir, syncUrl: syncUrl(syncPort), node: process.execPath })
      : undefined
  const source: DevSource = named ?? { type: 'repository', repo: demo!.path, ref: demoBranch, isLocal: true }
  const linkPath = source.type === 'repository' ? join(dataDir, 'sync', linkName) : undefined
  return { source, demo, state, dataDir, webPort, webUrl: localUrl(host, webPort), syncPort, linkPath }
}

function syncUrl(port: number): string {
  return `http://127.0.0.1:${port}/sync`
}

/** How often the demonstration repository is looked at beside its hook. */
const demoPeriod = '10s'

/** In the order in which they start. */
function partsOf(options: DevOptions, plan: Plan, output: DevOutput, news: LiveNews): Part[] {
  const { config, env } = options
  const { source, demo, state, dataDir, syncPort: port } = plan
  const { log, onLine } = output
  let databaseUrl = config.values.database_url
  const parts: Part[] = []
  if (source.type === 'repository') {
    // First, since it needs nothing, and a wrong URL is the likeliest mistake. The demonstration looks at its own history.
    const depth = demo === undefined ? 1 : 0
    // Its own hook tells of each push: looking is only the net, and costs a git process each time.
    const period = options.period ?? (demo === undefined ? undefined : demoPeriod)
    parts.push(syncPartFor({ source, state, root: join(dataDir, 'sync'), port, period, depth, env, onLine }))
  }
  if (databaseUrl === null) {
    const onUrl = async (url: string) => {
      databaseUrl = url
      await migrateDatabase(url)
    }
    parts.push(postgresPart({ directory: postgresDirectory(dataDir), log, onUrl }))
  }
  const settings = () => ({
    ...(databaseUrl !== null && { database_url: databaseUrl }),
    data_dir: dataDir,
    source_path: source.type === 'directory' ? source.path : plan.linkPath!,
    web_port: String(plan.webPort),
    api_url: plan.webUrl,
  })
  const dev = { env, config, settings, onLine }
  // Only who listens before it hears of the first load.
  parts.push(
    webPart(dev),
    startedAfter(() => news.start(), schedulerPart(dev)),
  )
  return parts
}

/** A part whose first start waits for something else. */
function startedAfter(before: () => Promise<void>, part: Part): Part {
  let isDone = false
  return {
    name: part.name,
    async start(signal) {
      if (!isDone) await before()
      isDone = true
      return await part.start(signal)
    },
  }
}

/** Where commands look for the API unless they are told. */
const usualApiUrl = 'http://127.0.0.1:8080'

function welcomeFacts({ cwd, env, script }: DevOptions, plan: Plan) {
  const { webUrl, linkPath } = plan
  return {
    ...plan,
    cwd,
    syncUrl: linkPath === undefined ? undefined : syncUrl(plan.syncPort),
    prefix: commandPrefix({ script, searchPath: env.PATH ?? '' }),
    apiArguments: webUrl === usualApiUrl ? '' : ` --api-url ${webUrl}`,
  }
}

async function untilAborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return
  await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
}
