// The Postgres of `branchline dev` and of the tests: a real server from the binaries that npm brought, whose
// data stays in a directory. It survives its parent's death on purpose (it has its own session, so that Ctrl-C
// in the terminal reaches it last, through stop()); the next start adopts it, if it runs as it would be started
// now, or else stops it first. The directory holds: data/, postgres.log, port.
import { spawn } from 'node:child_process'
import { mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { EmbeddedPostgresError } from '../../runtime/errors.ts'
import type { Logger } from '../../runtime/log.ts'
import { waitUntilGone } from '../../runtime/process-start.ts'
import {
  listenSettings,
  loopbackAddress,
  type PostgresAddress,
  socketAddress,
  urlAuthority,
} from './postgres-address.ts'
import { postgresBinaries } from './postgres-binaries.ts'
import {
  ensureDataDirectory,
  openDataDirectory,
  postgresDatabase,
  postgresProcessOptions,
  postgresRole,
  readPassword,
} from './postgres-data-directory.ts'
import { postgresUser, type UnixUser } from './postgres-user.ts'
import {
  answers,
  commandLine,
  isServerRunning,
  lastCommandLine,
  readPostmasterFile,
  stopPostmaster,
} from './postmaster.ts'

export interface EmbeddedPostgresOptions {
  /** Holds everything of this server; made where it is missing. One server a directory. */
  directory: string
  /** Loopback port, without `socketDirectory`; default: a free one, kept in the directory and chosen anew where it is taken. */
  port?: number
  /** Listen on a Unix socket in this directory instead of a port. At most 90 bytes long. */
  socketDirectory?: string
  /** Server settings (postgresql.conf) beside or instead of the usual ones. */
  settings?: Readonly<Record<string, string | number>>
  log: Logger
  /** Gives up the start. */
  signal?: AbortSignal
}

export interface EmbeddedPostgres {
  /** For node-postgres and libpq, with role, password and database. */
  url: string
  pid: number
  /** Resolves when the server has ended, for whatever reason, with that reason if it is known. */
  exited: Promise<string>
  /** Fast shutdown; waits until the process is gone. May be called twice. */
  stop(): Promise<void>
}

/** For one machine with a few of our processes: little memory, nothing that wakes up without need. */
const usualSettings = {
  // Each connection costs about 2 MB when used; pools of scheduler, server and tests share these.
  max_connections: 50,
  shared_buffers: '64MB',
  // Reads in the backend itself: the default keeps three I/O worker processes.
  io_method: 'sync',
  jit: 'off',
  max_parallel_workers_per_gather: 0,
  // No replicas and no backups from the log, so it need not carry what they need.
  wal_level: 'minimal',
  max_wal_senders: 0,
  max_logical_replication_workers: 0,
  max_wal_size: '512MB',
  random_page_cost: 1.1,
  timezone: 'UTC',
  log_timezone: 'UTC',
  log_min_messages: 'warning',
  log_checkpoints: 'off',
  logging_collector: 'off',
} as const

/** A log larger than this is put aside (one generation) at the next start. */
const maxLogBytes = 10 * 1024 * 1024

/** How long starts are tried again: processes of a killed server need a moment to let go of its memory. */
const startPatienceMs = 2_000
const startRetryMs = 200

/** Between two looks at the server's status file while it starts; a start takes about 30 ms. */
const readyPollMs = 5

/** Between two looks at whether an adopted server still lives: it is not our child, so nothing tells us. */
const adoptedPollMs = 250

/**
 * Starts the server of `directory`, or adopts the one that already runs there. Not to be called twice at once
 * for one directory, from any process: the caller holds a lock.
 * @throws EmbeddedPostgresError with the last lines of the server's log where it does not start
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const { log, signal } = options
  const directory = resolve(options.directory)
  const dataDirectory = join(directory, 'data')
  await mkdir(directory, { recursive: true })
  const user = await postgresUser(dataDirectory)
  const binaries = await postgresBinaries({ user })
  const isDurable = options.settings?.fsync !== 'off'
  if ((await ensureDataDirectory(dataDirectory, binaries, user, isDurable)) === 'made') {
    log.info({ directory: dataDirectory }, 'database directory made')
  }
  const password = await readPassword(dataDirectory)
  const deadline = performance.now() + startPatienceMs

  for (;;) {
    signal?.throwIfAborted()
    const address =
      options.socketDirectory === undefined
        ? await loopbackAddress({ directory, dataDirectory, port: options.port })
        : await socketAddress(resolve(options.socketDirectory), user)
    const args = await serverArguments(options, address, dataDirectory, user)
    const url = `postgres://${postgresRole}:${password}@${urlAuthority(address)}/${postgresDatabase}`

    const adopted = await adopt(dataDirectory, commandLine(binaries.postgres, args), address, log)
    if (adopted !== undefined) return { url, ...adopted }

    const started = await launch(binaries.postgres, args, { directory, dataDirectory, user, signal })
    if ('pid' in started) {
      log.info({ pid: started.pid }, 'postgres started')
      return { url, ...started }
    }
    if (performance.now() > deadline) throw await startError(directory, started.problem)
    await sleep(startRetryMs)
  }
}

interface ServerProcess {
  pid: number
  exited: Promise<string>
  stop(): Promise<void>
}

/** The server that already runs there, if it runs as it would be started now; any other one is stopped. */
async function adopt(
  dataDirectory: string,
  command: string,
  address: PostgresAddress,
  log: Logger,
): Promise<ServerProcess | undefined> {
  const file = await readPostmasterFile(dataDirectory)
  if (file === undefined) return undefined
  const { pid } = file
  if (!(await isServerRunning(file, dataDirectory))) {
    // Left by a crash. Where its id now belongs to another process of ours, Postgres would refuse to start.
    await rm(join(dataDirectory, 'postmaster.pid'), { force: true })
    return undefined
  }
  if (file.isReady && (await lastCommandLine(dataDirectory)) === command && (await answers(address))) {
    log.info({ pid }, 'running postgres adopted')
    const exited = waitUntilGone(pid, Number.POSITIVE_INFINITY, adoptedPollMs).then(() => 'it ended')
    return { pid, exited, stop: () => stopPostmaster(pid) }
  }
  log.warn({ pid }, 'running postgres stopped, since it cannot be adopted')
  await stopPostmaster(pid)
  return undefined
}

/** Starts the server process and waits until it is ready, or has ended. */
async function launch(
  program: string,
  args: readonly string[],
  place: {
    directory: string
    dataDirectory: string
    user: UnixUser | undefined
    signal: AbortSignal | undefined
  },
): Promise<ServerProcess | { problem: string }> {
  await using logFile = await openLog(place.directory)
  await using data = await openDataDirectory(place.dataDirectory, place.user)
  const child = spawn(program, args, {
    ...postgresProcessOptions(place.user),
    detached: true,
    stdio: ['ignore', logFile.fd, logFile.fd, data.fd],
  })
  let problem: string | undefined
  const exited = new Promise<string>((resolveExited) => {
    child.once('error', (error) => resolveExited(error.message))
    child.once('exit', (code, signal) => resolveExited(`it ended with ${signal ?? `exit code ${code}`}`))
  })
  void exited.then((reason) => {
    problem = reason
  })
  // No time limit: after a crash the server first replays its log, which may take long and must not be cut off.
  while (problem === undefined) {
    const file = await readPostmasterFile(place.dataDirectory)
    if (file !== undefined && file.pid === child.pid && file.isReady) {
      return { pid: file.pid, exited, stop: () => stopPostmaster(file.pid) }
    }
    if (place.signal?.aborted && child.pid !== undefined) await stopPostmaster(child.pid)
    place.signal?.throwIfAborted()
    await sleep(readyPollMs)
  }
  return { problem }
}

async function serverArguments(
  options: EmbeddedPostgresOptions,
  address: PostgresAddress,
  dataDirectory: string,
  user: UnixUser | undefined,
): Promise<string[]> {
  await using data = await openDataDirectory(dataDirectory, user)
  const settings = { ...usualSettings, ...listenSettings(address), ...options.settings }
  return ['-D', data.path, ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])]
}

async function openLog(directory: string) {
  const path = join(directory, 'postgres.log')
  const size = (await stat(path).catch(() => undefined))?.size ?? 0
  if (size > maxLogBytes) await rename(path, `${path}.1`)
  return await open(path, 'a', 0o600)
}

async function startError(directory: string, problem: string): Promise<EmbeddedPostgresError> {
  const path = join(directory, 'postgres.log')
  const lines = (await readFile(path, 'utf8').catch(() => '')).trimEnd().split('\n').slice(-8)
  return new EmbeddedPostgresError(
    `the embedded Postgres does not start: ${problem}. The end of ${path}:\n${lines.join('\n')}`,
    { details: { directory } },
  )
}
