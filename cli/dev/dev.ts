// `branchline dev`, from its start to its end: lock the data directory, start the parts in order, say what there is,
// tell what changes, and stop everything in reverse. Whatever is killed at whatever moment, the next start goes on from
// what Postgres and the data directory say.
import { homedir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { LoadedConfig } from '../../runtime/config.ts'
import { ConfigError, DatabaseUnavailableError } from '../../runtime/errors.ts'
import { createLogger } from '../../runtime/log.ts'
import { openDatabase } from '../../scheduler/database/connection.ts'
import { migrate } from '../../scheduler/database/migrate.ts'
import { createApi } from '../api/client.ts'
import type { Terminal } from '../terminal.ts'
import { commandPrefix } from './command-prefix.ts'
import { readDevState, writeDevState } from './data-directory.ts'
import { type DemoRepository, demoBranch, ensureDemoRepository } from './demo-repository.ts'
import { openDevLog } from './dev-log.ts'
import {
  type DevProgram,
  postgresDirectory,
  postgresPart,
  schedulerPart,
  syncPart,
  webPart,
} from './dev-parts.ts'
import type { DevSource } from './dev-source.ts'
import { createLineForwarder } from './line-forwarder.ts'
import { createLiveNews } from './live-news.ts'
import { lockDevDirectory } from './lock.ts'
import { freePort } from './ports.ts'
import { stopAloud } from './stop-aloud.ts'
import type { ProgramLine } from './supervised-program.ts'
import { createSupervisor, type Part } from './supervisor.ts'
import { linkName, syncArguments } from './sync-arguments.ts'
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

/** Programs of a `dev` that was killed need a moment to let go of their ports. */
const portPatienceMs = 2_000

/**
 * Runs until the signal fires, and everything is stopped again.
 * @throws ConflictError, ConfigError, EmbeddedPostgresError, ProgramError, GitError where it cannot start
 */
export async function runDev(options: DevOptions): Promise<void> {
  const { config, terminal, env, cwd, signal } = options
  const { values } = config
  const { style } = terminal
  const dataDir = values.data_dir
  await using _lock = await lockDevDirectory(dataDir)
  const state = await readDevState(dataDir)
  const webPort = await choosePort(values.web_host, values.web_port, signal)
  const webUrl = `http://${reachableHost(values.web_host)}:${webPort}`
  const syncPort = await keptPort(state?.sync_port ?? 0)
  const syncUrl = `http://127.0.0.1:${syncPort}/sync`
  const { source, demo } = await openSource(options.source, { dataDir, syncUrl })

  const devLog = openDevLog(join(dataDir, 'dev.log'))
  const say = (line: string) => terminal.print(`${style('dim', clockText())}  ${line}`)
  const forward = createLineForwarder({ verbose: options.verbose, style, print: say })
  let isStopping = false
  const onLine = (line: ProgramLine): void => {
    devLog.write(line)
    // What programs complain of while all of them end is no news.
    if (!isStopping) forward(line)
  }
  const log = createLogger('dev', {
    destination: { write: (text) => onLine({ program: 'dev', stream: 'stderr', text: text.trimEnd() }) },
  })

  const syncRoot = join(dataDir, 'sync')
  const linkPath = source.type === 'repository' ? join(syncRoot, linkName) : undefined
  let databaseUrl = values.database_url
  const dev: DevProgram = {
    env,
    config,
    settings: () => ({
      ...(databaseUrl !== null && { database_url: databaseUrl }),
      data_dir: dataDir,
      source_path: linkPath ?? (source as { path: string }).path,
      web_port: String(webPort),
      api_url: webUrl,
    }),
    onLine,
  }
  const news = createLiveNews({ api: createApi({ url: webUrl }), linkPath, style, print: say })
  const parts: Part[] = [
    ...(databaseUrl === null
      ? [
          postgresPart({
            directory: postgresDirectory(dataDir),
            log,
            onUrl: async (url) => {
              databaseUrl = url
              await migrateDatabase(url)
            },
          }),
        ]
      : []),
    ...(source.type === 'repository'
      ? [
          syncPart({
            env,
            onLine,
            ...syncStart({ options, source, state, syncRoot, syncPort, isDemo: demo !== undefined }),
          }),
        ]
      : []),
    webPart(dev),
    // The first load is heard of only by who listens before it.
    startedAfter(() => news.start(), schedulerPart(dev)),
  ]

  await using supervisor = createSupervisor({ parts, log })
  signal.addEventListener('abort', () => void supervisor.stop().catch(() => {}), { once: true })
  try {
    terminal.note(style('dim', `Branchline is starting: ${parts.map(({ name }) => name).join(', ')} …`))
    if (databaseUrl !== null) await migrateWhenThere(databaseUrl, say, signal)
    await supervisor.start()
    await writeDevState(dataDir, {
      repo: source.type === 'repository' ? source.repo : null,
      ref: source.type === 'repository' ? source.ref : null,
      sync_port: syncPort,
    })
    const snapshot = await news.firstLoad(firstLoadMs)
    if (signal.aborted) return
    const prefix = commandPrefix({ script: options.script, searchPath: env.PATH ?? '' })
    const apiArguments = webUrl === usualApiUrl ? '' : ` --api-url ${webUrl}`
    const facts = { source, demo, snapshot, webUrl, dataDir, cwd, prefix, apiArguments }
    terminal.print(
      ...welcomeLines({ ...facts, syncUrl: linkPath === undefined ? undefined : syncUrl }, style),
    )
    await untilAborted(signal)
  } catch (error) {
    // A start that was interrupted ends as it was asked to.
    if (!signal.aborted) throw error
  } finally {
    isStopping = true
    await news.stop()
    await stopAloud(supervisor, (text) => terminal.note(style('dim', text)))
    devLog.close()
  }
}

const usualApiUrl = 'http://127.0.0.1:8080'

/** The source, with the demonstration made where that is followed. */
async function openSource(
  source: DevSource | undefined,
  place: { dataDir: string; syncUrl: string },
): Promise<{ source: DevSource; demo: DemoRepository | undefined }> {
  if (source !== undefined) return { source, demo: undefined }
  const demo = await ensureDemoRepository({ ...place, node: process.execPath })
  return { source: { type: 'repository', repo: demo.path, ref: demoBranch, isLocal: true }, demo }
}

/**
 * A repository that was published before is followed from what is there, with or without its server; of one that is
 * new here the first sync must succeed, so that a wrong URL is an error and not an empty list of Dags.
 */
function syncStart(start: {
  options: DevOptions
  source: Extract<DevSource, { type: 'repository' }>
  state: { repo: string | null; ref: string | null } | undefined
  syncRoot: string
  syncPort: number
  isDemo: boolean
}) {
  const { options, source, state, syncRoot: root, syncPort: port, isDemo } = start
  const isKnown = state?.repo === source.repo && state.ref === source.ref
  let mustSucceed = !isKnown
  const args = () => {
    const made = syncArguments({
      ...{ source, root, port, mustSucceed, period: options.period },
      // The demonstration looks at its own history.
      depth: isDemo ? 0 : 1,
      env: options.env,
      home: homedir(),
    })
    mustSucceed = false
    return made
  }
  return { args, readiness: isKnown ? ('spawned' as const) : ('reported' as const) }
}

/** Something that has to be done before the part starts for the first time. */
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

/** @throws ConfigError where another program has the port */
async function choosePort(host: string, port: number, signal: AbortSignal): Promise<number> {
  const deadline = performance.now() + portPatienceMs
  for (;;) {
    const free = await freePort(host, port)
    if (free !== undefined) return free
    if (performance.now() > deadline || signal.aborted) {
      throw new ConfigError(
        `port ${port} on ${host} is in use by another program: end that, or choose another with --web-port (0 takes any free one)`,
        { details: { host, port } },
      )
    }
    await sleep(100)
  }
}

/** The port of the last time, where it is free. */
async function keptPort(port: number): Promise<number> {
  return (await freePort('127.0.0.1', port)) ?? (await freePort('127.0.0.1', 0))!
}

/** An address to connect to, of one to listen on. */
function reachableHost(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1'
  if (host === '::') return '[::1]'
  return host.includes(':') ? `[${host}]` : host
}

/** @throws ConfigError where the database is of a newer release */
async function migrateDatabase(url: string): Promise<void> {
  const db = openDatabase(url, { max: 1, applicationName: 'branchline dev' })
  try {
    await migrate(db)
  } finally {
    await db.close()
  }
}

/** A database that is not ours may be away for a while. */
async function migrateWhenThere(
  url: string,
  say: (line: string) => void,
  signal: AbortSignal,
): Promise<void> {
  for (let isTold = false; !signal.aborted; isTold = true) {
    try {
      return await migrateDatabase(url)
    } catch (error) {
      if (!(error instanceof DatabaseUnavailableError)) throw error
      if (!isTold) say(`waiting: ${error.message}`)
      await sleep(500, undefined, { signal }).catch(() => {})
    }
  }
}

function clockText(): string {
  return new Date().toTimeString().slice(0, 8)
}

async function untilAborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return
  await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
}
