// `bash()`: a command becomes a task. It has no result: its output goes to the attempt's log as it comes, and
// holding it back for its last line would cost every command a detour through this process.
import { DagDefinitionError } from '../errors.ts'
import { currentDag } from './dag-builder.ts'
import type { Task, TaskInputs } from './handles.ts'
import { checkOptionNames, type OptionPlace, readText, refuse, shown } from './option-values.ts'
import { type TaskOptions, taskOptionNames } from './task-options.ts'

/** Options of `bash()` beside those of every task. */
export interface BashOptions extends TaskOptions {
  /** Environment variables of the command, over those of the process and of Branchline. */
  env?: Readonly<Record<string, string>>
  /** Working directory, relative to the repository's directory. Default: that directory. */
  cwd?: string
  /** Exit code, or codes, that mean 'skipped' instead of 'failed'. Default 99; [] for none. */
  skipExitCode?: number | readonly number[]
  /**
   * Results of other tasks, as environment variables of these names that hold JSON text; a task without a
   * result sets none. The system limits one variable to 128 KiB.
   */
  inputs?: TaskInputs
}

/** Airflow's. */
const defaultSkipExitCode = 99
const variablePattern = /^[A-Za-z_][A-Za-z0-9_]*$/
const bashOptionNames = [
  ...taskOptionNames,
  'env',
  'cwd',
  'skipExitCode',
  'inputs',
] as const satisfies readonly (keyof BashOptions)[]

/**
 * A task that runs a command with `bash -c`. Exit code 0 is success, `skipExitCode` skips, any other fails. The
 * command sees BRANCHLINE_DAG_ID, _RUN_ID, _TASK_ID, _TRY_NUMBER, _PARAMS (JSON), and where the run has them
 * BRANCHLINE_LOGICAL_DATE, _DATA_INTERVAL_START and _DATA_INTERVAL_END (ISO 8601, UTC).
 *
 * ```ts
 * bash('archive', 'tar -czf "$TARGET" data/', { env: { TARGET: '/srv/data.tgz' }, after: [loaded] })
 * ```
 * @throws DagDefinitionError outside of a Dag, and where an id, input or option cannot be
 */
export function bash(id: string, command: string, options: BashOptions = {}): Task<undefined> {
  const dag = currentDag(`bash(${shown(id)})`)
  const taskId = dag.fullId('task_id', id)
  const place = dag.placeOf(taskId)
  if (typeof command !== 'string' || command.trim() === '') {
    throw new DagDefinitionError(
      `${place}: the command is ${shown(command)}, but must be text that is not blank`,
    )
  }
  checkOptionNames(place, options, bashOptionNames)
  const { env, cwd, skipExitCode, inputs = {}, ...taskOptions } = options
  checkVariables({ place, option: 'inputs' }, inputs)
  const definition = {
    kind: 'bash',
    taskId,
    command,
    env: readEnv({ place, option: 'env' }, env),
    cwd: readText({ place, option: 'cwd' }, cwd),
    skipExitCodes: readExitCodes({ place, option: 'skipExitCode' }, skipExitCode),
  } as const
  return dag.addTask({ taskId, kind: 'bash', inputs, options: taskOptions, definition })
}

function checkVariables(at: OptionPlace, variables: unknown): void {
  if (typeof variables !== 'object' || variables === null || Array.isArray(variables)) {
    refuse(at, variables, 'an object')
  }
  for (const name of Object.keys(variables)) {
    if (!variablePattern.test(name)) {
      refuse(at, name, "named with letters, digits and '_', as environment variables are")
    }
  }
}

function readEnv(at: OptionPlace, env: unknown): Record<string, string> {
  if (env === undefined) return {}
  checkVariables(at, env)
  for (const [name, value] of Object.entries(env as object)) {
    if (typeof value !== 'string' || value.includes('\0')) {
      refuse({ ...at, option: `${at.option}.${name}` }, value, 'text')
    }
  }
  return { ...(env as Record<string, string>) }
}

function readExitCodes(at: OptionPlace, value: unknown): number[] {
  const codes = value === undefined ? [defaultSkipExitCode] : Array.isArray(value) ? value : [value]
  const isExitCode = (code: unknown) =>
    Number.isInteger(code) && (code as number) >= 1 && (code as number) <= 255
  if (!codes.every(isExitCode)) refuse(at, value, 'an exit code from 1 to 255, or a list of them')
  return [...codes]
}
