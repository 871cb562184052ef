// The system under test as users run it: the real programs, each its own process, on a database of their own. The
// benchmark speaks to it as any client does, over Postgres, and reads what it did from its rows and log files.
import { mkdir, mkdtemp, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { programPart } from '../../cli/dev/supervised-program.ts'
import type { RunningPart } from '../../cli/dev/supervisor.ts'
import { type Database, openDatabase } from '../../scheduler/database/connection.ts'
import { migrate } from '../../scheduler/database/migrate.ts'
import type { BenchContext } from './bench-case.ts'
import type { DagModules } from './dag-modules.ts'
import { waitUntil } from './wait-until.ts'

/** A migrated database and a directory; nothing runs yet. */
export interface Site extends AsyncDisposable {
  db: Database
  directory: string
  dataDir: string
  logsDir: string
}

/** One of our programs, running. */
export interface RunningProgram extends RunningPart {
  /** kill -9, which is no fault; resolves when it has ended. */
  kill(): Promise<void>
}

/** A site with a scheduler that has loaded its Dags. */
export interface System extends Site {
  scheduler: RunningProgram
  sourcePath: string
}

export async function createSite(context: BenchContext): Promise<Site> {
  const directory = await mkdtemp(join(context.directory, 'site-'))
  const dataDir = join(directory, 'data')
  const db = openDatabase(await context.postgres.createDatabase(), { max: 2, applicationName: 'bench' })
  await migrate(db)
  return {
    db,
    directory,
    dataDir,
    logsDir: join(dataDir, 'logs'),
    [Symbol.asyncDispose]: () => db.close(),
  }
}

/** Writes modules into a directory, which is made. */
export async function writeModules(directory: string, modules: DagModules): Promise<void> {
  await mkdir(directory, { recursive: true })
  for (const [name, text] of Object.entries(modules)) await writeFile(join(directory, name), text)
}

/**
 * @param options.slots processes that run tasks; default: the scheduler's own default
 * @param options.env further settings
 * @param options.onText each line of its log, which has warnings and errors
 */
export async function startScheduler(
  context: BenchContext,
  site: Site,
  options: {
    sourcePath: string
    slots?: number
    env?: Record<string, string>
    onText?: (text: string) => void
  },
): Promise<RunningProgram> {
  return await startProgram(context, 'scheduler', {
    args: [...context.schedulerNodeArguments, context.programPath('scheduler')],
    env: {
      BRANCHLINE_DATABASE_URL: site.db.url,
      BRANCHLINE_SOURCE_PATH: options.sourcePath,
      BRANCHLINE_DATA_DIR: site.dataDir,
      BRANCHLINE_LOG_LEVEL: 'warn',
      ...(options.slots !== undefined && { BRANCHLINE_LOCAL_EXECUTOR_SLOTS: String(options.slots) }),
      ...options.env,
    },
    ...(options.onText && { onText: options.onText }),
  })
}

/** Lines that a program said last, for the error when it ends by itself. */
const keptLines = 8

/** Starts one of our programs; its warnings go to the person who watches, and its end is the case's. */
export async function startProgram(
  context: BenchContext,
  name: string,
  program: {
    args: readonly string[]
    env: Record<string, string>
    readiness?: 'reported'
    onText?: (text: string) => void
  },
): Promise<RunningProgram> {
  const lastLines: string[] = []
  const part = programPart({
    name,
    args: program.args,
    env: { PATH: process.env.PATH, HOME: context.directory, ...program.env },
    ...(program.readiness && { readiness: program.readiness }),
    onLine({ stream, text }) {
      program.onText?.(text)
      lastLines.push(text)
      if (lastLines.length > keptLines) lastLines.shift()
      if (stream === 'stderr' && !text.includes('"level":"info"')) context.progress(`${name}: ${text}`)
    },
  })
  const running = await part.start(context.signal)
  let isStopping = false
  void running.exited.then((reason) => {
    if (isStopping) return
    context.giveUp(new Error(`${name} ended by itself: ${reason}\n${lastLines.join('\n')}`))
  })
  return {
    ...running,
    stop() {
      isStopping = true
      return running.stop()
    },
    async kill() {
      isStopping = true
      process.kill(running.pid, 'SIGKILL')
      await running.exited
    },
  }
}

/** A scheduler over `modules`, ready when all their Dags are live. */
export async function startSystem(
  context: BenchContext,
  options: { modules: DagModules; slots?: number; env?: Record<string, string> },
): Promise<System> {
  const site = await createSite(context)
  try {
    const sourcePath = join(site.directory, 'dags')
    await writeModules(sourcePath, options.modules)
    const scheduler = await startScheduler(context, site, { ...options, sourcePath })
    const stop = async () => {
      await scheduler.stop()
      await site[Symbol.asyncDispose]()
    }
    try {
      await dagsAreLive(context, site.db, Object.keys(options.modules).length, 10)
    } catch (error) {
      await scheduler.stop()
      throw error
    }
    return { ...site, scheduler, sourcePath, [Symbol.asyncDispose]: stop }
  } catch (error) {
    await site[Symbol.asyncDispose]()
    throw error
  }
}

/** Waits until so many Dags are live. @throws Error with the import errors where there are some instead */
export async function dagsAreLive(
  context: BenchContext,
  db: Database,
  count: number,
  everyMs: number,
): Promise<void> {
  await waitUntil(`${count} Dags`, { everyMs, signal: context.signal }, async () => {
    const { rows } = await db.query<{ dags: number; errors: string | null }>(
      `select (select count(*) from dag where not is_stale) as dags,
         (select string_agg(file || ': ' || message, e'\\n') from import_error) as errors`,
      [],
      'dags-are-live',
    )
    if (rows[0]!.errors !== null)
      throw new Error(`the Dags of this case cannot be loaded: ${rows[0]!.errors}`)
    return rows[0]!.dags === count || undefined
  })
}
