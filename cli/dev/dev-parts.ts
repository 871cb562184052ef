// The parts of `dev`, each a process of its own, and what each is told: in its environment, which is the person's own
// with our settings over it.
import { join } from 'node:path'
import type { LoadedConfig } from '../../runtime/config.ts'
import { type ConfigKey, configKeys, configTable, variableOf } from '../../runtime/config-table.ts'
import type { Logger } from '../../runtime/log.ts'
import { type Program, programPath } from '../../runtime/programs.ts'
import type { Setting } from '../../runtime/setting.ts'
import { startEmbeddedPostgres } from './embedded-postgres.ts'
import { guardPostgres } from './postgres-guard.ts'
import { type ProgramLine, programPart } from './supervised-program.ts'
import type { Part } from './supervisor.ts'

/** Beyond task_kill_grace, for the scheduler's last commits; then it is killed, and the next one takes over. */
const schedulerStopMs = 1_000
/** sync and web end within a second by themselves. */
const stopMs = 1_500

/**
 * Postgres from the binaries that npm brought. Started again it keeps its port, which the other programs were told.
 * @param postgres.onUrl told at every start, before the part counts as started
 */
export function postgresPart(postgres: {
  directory: string
  log: Logger
  onUrl: (url: string) => Promise<void>
}): Part {
  let port: number | undefined
  return {
    name: 'postgres',
    async start(signal) {
      const { directory, log } = postgres
      const server = await startEmbeddedPostgres({ directory, log, signal, ...(port && { port }) })
      port = Number(new URL(server.url).port)
      guardPostgres(server.pid, server.exited)
      try {
        await postgres.onUrl(server.url)
        return server
      } catch (error) {
        await server.stop()
        throw error
      }
    },
  }
}

/** What a program's part needs to know of `dev`. */
export interface DevProgram {
  /** Of the person. */
  env: Readonly<Record<string, string | undefined>>
  config: LoadedConfig
  /** Settings that `dev` decides. */
  settings: () => Partial<Record<ConfigKey, string>>
  onLine: (line: ProgramLine) => void
}

/** Loads, decides and runs. */
export function schedulerPart(dev: DevProgram): Part {
  const stopGraceMs = dev.config.values.task_kill_grace + schedulerStopMs
  return part('scheduler', { stopGraceMs, onLine: dev.onLine, env: () => environment(dev) })
}

/** The API. */
export function webPart(dev: DevProgram): Part {
  return part('web', { stopGraceMs: stopMs, onLine: dev.onLine, env: () => environment(dev) })
}

/**
 * @param args asked at every start
 * @param readiness `spawned`: what an earlier start published is there already
 */
export function syncPart(dev: {
  env: DevProgram['env']
  args: () => readonly string[]
  readiness: 'spawned' | 'reported'
  onLine: DevProgram['onLine']
}): Part {
  const { args, readiness, onLine } = dev
  // No database for what talks to the network.
  const env = () => ({ ...dev.env, [variableOf('database_url')]: undefined })
  return part('sync', { stopGraceMs: stopMs, onLine, env, args, readiness })
}

/** Arguments and environment are made at each start: what they say may only be known by then. */
function part(
  program: Program,
  options: {
    stopGraceMs: number
    onLine: (line: ProgramLine) => void
    env: () => Record<string, string | undefined>
    args?: () => readonly string[]
    readiness?: 'spawned' | 'reported'
  },
): Part {
  const { args = () => [], env, readiness = 'reported', ...rest } = options
  return {
    name: program,
    start: (signal) =>
      programPart({
        name: program,
        args: [programPath(program), ...args()],
        env: env(),
        readiness,
        ...rest,
      }).start(signal),
  }
}

/** Flags reach the programs as variables; the file and other variables they read themselves. */
function environment({ env, config, settings }: DevProgram): Record<string, string | undefined> {
  const flagged = configKeys.filter((key) => config.sources[key].startsWith('flag '))
  const ours: Partial<Record<ConfigKey, string>> = {
    ...Object.fromEntries(flagged.map((key) => [key, formatted(config, key)])),
    ...settings(),
  }
  const variables = Object.entries(ours).map(([key, value]) => [variableOf(key), value])
  return { ...env, ...Object.fromEntries(variables) }
}

function formatted({ values }: LoadedConfig, key: ConfigKey): string {
  const setting: Setting<unknown> = configTable[key]
  return setting.format(values[key])
}

/** Where the embedded Postgres keeps everything. */
export function postgresDirectory(dataDir: string): string {
  return join(dataDir, 'postgres')
}
