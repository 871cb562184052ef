// From where a setting comes: defaults, then the file, then the environment, then flags; the later one wins and
// each value remembers which it was. Whatever is misspelt or not understood stops the start, with the nearest
// name, since a setting that is silently ignored is found only when it was needed. Reads nothing by itself but
// the file: environment and flags are handed in by the program.
import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { type Config, type ConfigKey, configKeys, configTable, variableOf } from './config-table.ts'
import { ConfigError } from './errors.ts'
import { workerVariables } from './execution-api.ts'
import { didYouMean } from './nearest.ts'
import type { Setting } from './setting.ts'
import { taskVariables } from './task-variables.ts'

export type { Config, ConfigKey } from './config-table.ts'

/** What `executors` may name. */
const executorNames = ['local', 'kubernetes']

/** Read from the working directory where no other file is named. */
const configFileName = 'branchline.config.json'

/** Names the file; no setting itself. */
const configFileVariable = 'BRANCHLINE_CONFIG'

/** Where a value came from: 'default', 'file <path>', 'environment <VARIABLE>' or 'flag --<name>'. */
type ConfigSource = string

export interface LoadedConfig {
  readonly values: Config
  readonly sources: Readonly<Record<ConfigKey, ConfigSource>>
}

export interface ConfigInputs {
  env: Readonly<Record<string, string | undefined>>
  /** Default: the process' working directory. */
  cwd?: string
  /** Settings given as flags, by key; undefined is 'not given'. `config` names the file. */
  flags?: Readonly<Partial<Record<ConfigKey | 'config', unknown>>>
  /** The file's text; undefined where there is none. Default: reads the disk. */
  readFile?: (path: string) => string | undefined
}

/**
 * The frozen configuration of this process.
 * @throws ConfigError for an unknown key or BRANCHLINE_ variable, a value that is not understood, values that
 *   contradict each other, or a file that is named but absent or not JSON
 */
export function loadConfig(inputs: ConfigInputs): LoadedConfig {
  const cwd = inputs.cwd ?? process.cwd()
  const values: Record<string, unknown> = {}
  const sources: Record<string, ConfigSource> = {}
  for (const layer of [fileLayer(inputs, cwd), environmentLayer(inputs, cwd), flagLayer(inputs, cwd)]) {
    for (const { key, raw, source } of layer.entries) {
      values[key] = parse(key, raw, layer.directory, source)
      sources[key] = source
    }
  }
  applyDefaults(values, sources, cwd)
  const config = values as unknown as Config
  checkTogether(config)
  return Object.freeze({
    values: Object.freeze(config),
    sources: Object.freeze(sources as Record<ConfigKey, ConfigSource>),
  })
}

/** What one origin says, already checked for unknown names. */
interface Layer {
  /** Base of relative paths. */
  directory: string
  entries: { key: ConfigKey; raw: unknown; source: ConfigSource }[]
}

function fileLayer({ env, flags, readFile = readFromDisk }: ConfigInputs, cwd: string): Layer {
  const named = flags?.config ?? (env[configFileVariable] || undefined)
  const path = resolve(cwd, named === undefined ? configFileName : String(named))
  const content = readFile(path)
  if (content === undefined) {
    if (named === undefined) return { directory: cwd, entries: [] }
    throw new ConfigError(`the configuration file ${path} does not exist`, { details: { path } })
  }
  const entries = Object.entries(parseFile(path, content))
    // null in the file is the default, said aloud.
    .filter(([, raw]) => raw !== null)
    .map(([key, raw]) => {
      if (isKey(key)) return { key, raw, source: `file ${path}` }
      throw new ConfigError(`unknown key '${key}' in ${path}.${didYouMean(key, configKeys)}`, {
        details: { path, key },
      })
    })
  return { directory: dirname(path), entries }
}

function parseFile(path: string, content: string): Record<string, unknown> {
  let json: unknown
  try {
    json = JSON.parse(content)
  } catch (cause) {
    // Without the parser's words: they quote the file, which may hold a password.
    throw new ConfigError(`the configuration file ${path} is not JSON`, { details: { path }, cause })
  }
  if (typeof json === 'object' && json !== null && !Array.isArray(json))
    return json as Record<string, unknown>
  throw new ConfigError(`the configuration file ${path} must hold one JSON object: {"web_port": 8080}`, {
    details: { path },
  })
}

function environmentLayer({ env }: ConfigInputs, cwd: string): Layer {
  // A command of a Dag that calls us has these, and a worker pod those; they are no settings.
  const keyOf = new Map(configKeys.map((key) => [variableOf(key), key]))
  const others = new Set<string>(
    [configFileVariable, ...taskVariables, ...Object.values(workerVariables)].filter(
      (name) => !keyOf.has(name),
    ),
  )
  const entries = Object.entries(env)
    // An empty variable counts as absent, as `docker -e NAME=` and compose files produce it.
    .filter(([name, raw]) => name.startsWith('BRANCHLINE_') && !others.has(name) && raw)
    .map(([name, raw]) => {
      const key = keyOf.get(name)
      if (key !== undefined) return { key, raw, source: `environment ${name}` }
      throw new ConfigError(
        `unknown environment variable ${name}.${didYouMean(name, [...keyOf.keys(), configFileVariable])}`,
        { details: { variable: name } },
      )
    })
  return { directory: cwd, entries }
}

function flagLayer({ flags = {} }: ConfigInputs, cwd: string): Layer {
  const entries = Object.entries(flags)
    .filter(([key, raw]) => key !== 'config' && raw !== undefined)
    .map(([key, raw]) => {
      const flag = `--${key.replaceAll('_', '-')}`
      if (isKey(key)) return { key, raw, source: `flag ${flag}` }
      throw new ConfigError(`unknown flag ${flag}.${didYouMean(key, configKeys)}`, { details: { flag } })
    })
  return { directory: cwd, entries }
}

function parse(key: ConfigKey, raw: unknown, directory: string, source: ConfigSource): unknown {
  const setting: Setting<unknown> = configTable[key]
  const value = setting.parse(raw, directory)
  if (value !== undefined) return value
  const shown = setting.secret ? 'its value' : JSON.stringify(raw)
  throw new ConfigError(`${key} (${source}): ${shown} is not understood: write ${setting.type}`, {
    details: { key, source },
  })
}

function applyDefaults(
  values: Record<string, unknown>,
  sources: Record<string, ConfigSource>,
  cwd: string,
): void {
  // data_dir stands before what is derived from it.
  for (const key of configKeys) {
    if (sources[key] !== undefined) continue
    const setting = configTable[key]
    const value =
      typeof setting.default === 'function'
        ? setting.default({ data_dir: values.data_dir as string })
        : setting.default
    // A default goes through the same parser, so that a relative path becomes absolute in one place.
    values[key] = value === null ? null : setting.parse(value, cwd)
    sources[key] = 'default'
  }
}

function checkTogether(config: Config): void {
  const { executors, default_executor: named } = config
  const unknown = executors.find((name) => !executorNames.includes(name))
  if (unknown !== undefined || executors.length === 0) {
    throw new ConfigError(
      unknown === undefined
        ? `executors is empty: name at least one of ${executorNames.join(', ')}`
        : `executors: there is no executor '${unknown}'.${didYouMean(unknown, executorNames)} There is: ${executorNames.join(', ')}.`,
    )
  }
  if (named !== null && !executors.includes(named)) {
    throw new ConfigError(
      `default_executor is '${named}', which is not among executors (${executors.join(', ')}): name it there too`,
    )
  }
  if (config.task_heartbeat_timeout >= 2 * config.task_heartbeat_interval) return
  throw new ConfigError(
    `task_heartbeat_timeout (${config.task_heartbeat_timeout} ms) must be at least twice task_heartbeat_interval ` +
      `(${config.task_heartbeat_interval} ms): otherwise one late heartbeat ends a healthy attempt`,
  )
}

function isKey(key: string): key is ConfigKey {
  return Object.hasOwn(configTable, key)
}

function readFromDisk(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw new ConfigError(`the configuration file ${path} cannot be read: ${(cause as Error).message}`, {
      details: { path },
      cause,
    })
  }
}
