// The one table of configuration. Parsing, `branchline config print`, docs/reference/config.md and the types of
// the code all come from it; a key that is not here does not exist. The environment variable of a key is
// BRANCHLINE_ and the key in capitals.
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { logLevels } from './log-levels.ts'
import { boolean, bytes, duration, integer, oneOf, path, type Setting, text } from './setting.ts'

export const configTable = {
  database_url: text<string | null>({
    default: null,
    secret: true,
    description:
      'Postgres to work with: `postgres://user:password@host:port/database`. Without one, `branchline dev` starts its own below `data_dir`; the other programs need it.',
  }),
  data_dir: path<string>({
    default: '.branchline',
    description:
      'Everything that this deployment keeps on disk: the embedded Postgres, bundles, logs. Not to be shared by two machines.',
  }),
  logs_dir: path<string>({
    default: ({ data_dir }) => join(data_dir, 'logs'),
    defaultText: '`logs` in `data_dir`',
    description: "The attempts' log files. Every scheduler and server needs the same directory.",
  }),
  source_path: path<string | null>({
    default: null,
    description:
      'What the loader reads: the link that sync publishes, or a plain directory. `branchline dev` sets it.',
  }),
  dags_folder: text<string>({
    default: '.',
    description: 'Folder within the source in which Dag modules are looked for, with its subfolders.',
  }),
  dags_ignore_file: text<string>({
    default: '.branchlineignore',
    description:
      'Name of the file in `dags_folder` that lists, as .gitignore does, what is no Dag module. It may be absent.',
  }),
  allow_install_scripts: boolean({
    default: false,
    description:
      "Run the install scripts of the packages in a repository's lockfile. They run as this user, at install time: only for repositories whose every package you trust.",
  }),
  loader_import_timeout: duration({
    default: 30_000,
    description:
      'How long one Dag module may take to import. Shorter: slow modules on a busy machine become import errors. Longer: a module that never ends holds its place for as long.',
  }),
  loader_memory_mb: integer({
    default: 512,
    min: 32,
    unit: 'MB',
    description:
      'Heap of the process that imports Dag modules. A module that needs more becomes an import error.',
  }),
  dags_are_paused_at_creation: boolean({
    default: false,
    description: 'Whether a Dag that is new begins paused, where it does not say so itself.',
  }),
  scheduler_lease_ttl: duration({
    default: 1_500,
    min: 200,
    description:
      'How long a scheduler holds its runs without renewing. Shorter: a busy scheduler may lose runs that it still works on. Longer: the runs of one that died wait for as long.',
  }),
  default_executor: text<string>({
    default: 'local',
    description: 'Executor of the tasks that do not name one.',
  }),
  local_executor_slots: integer({
    default: () => availableParallelism(),
    defaultText: 'number of CPUs',
    min: 1,
    max: 1_024,
    description:
      "Attempts that the local executor runs at once, each in a process of its own. More than CPUs pays where tasks wait for others' answers.",
  }),
  task_runner_max_attempts: integer({
    default: 10_000,
    min: 1,
    description:
      'Attempts that a warm process serves before a new one replaces it. Smaller: more process starts (tens of milliseconds each). Larger: what user code leaks grows longer.',
  }),
  task_runner_max_rss_mb: integer({
    default: 512,
    min: 64,
    unit: 'MB',
    description: 'Resident size after an attempt from which a warm process is replaced.',
  }),
  task_kill_grace: duration({
    default: 5_000,
    min: 0,
    description:
      'How long an attempt that is to end (timeout, cancel, shutdown) may clean up before it is killed with its children.',
  }),
  task_heartbeat_interval: duration({
    default: 1_000,
    min: 100,
    description: 'How often a running attempt says that it lives.',
  }),
  task_heartbeat_timeout: duration({
    default: 30_000,
    min: 1_000,
    description:
      'Silence after which a running attempt is a zombie: ended, then failed or retried. Shorter: a task that blocks its event loop, or a busy machine, is taken for dead.',
  }),
  xcom_max_bytes: bytes({
    default: 1024 * 1024,
    description:
      'Largest result of a task, as JSON. Results live in Postgres and are sent to the tasks that need them; larger data belongs in a file or an object store, by reference.',
  }),
  web_host: text<string>({
    default: '127.0.0.1',
    description:
      'Address on which the API listens. The API asks for no password: whoever reaches this address may start and stop Dags.',
  }),
  web_port: integer({
    default: 8080,
    min: 0,
    max: 65_535,
    description: 'Port on which the API listens; 0 takes any free one.',
  }),
  api_url: text<string>({
    default: 'http://127.0.0.1:8080',
    description: 'Where the command line finds the API.',
  }),
  log_level: oneOf(logLevels, {
    default: 'info',
    description: "Least level of the programs' own log lines (not of the tasks').",
  }),
} as const

export type ConfigKey = keyof typeof configTable

/** Every setting's value, by its key. Durations are milliseconds, paths are absolute. */
export type Config = {
  readonly [Key in ConfigKey]: (typeof configTable)[Key] extends Setting<infer Value> ? Value : never
}

export const configKeys = Object.keys(configTable) as ConfigKey[]

/** The environment variable of a key. */
export function variableOf(key: string): string {
  return `BRANCHLINE_${key.toUpperCase()}`
}
