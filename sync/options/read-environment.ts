// Environment → the values that options have before any flag. A variable that is set but empty counts as set. Older
// names win over the newer, and among them the last one, however odd: manifests that have both mean the older.
import { ConfigError } from '../../runtime/errors.ts'
import type { OptionType } from './option-row.ts'
import { deprecatedRows, optionRows } from './options.ts'
import { readValue, typeNames } from './read-value.ts'

export interface EnvironmentValues {
  /** Values by option; absent where no variable of it is set. */
  options: Record<string, unknown>
  deprecated: Record<string, unknown>
  /** What is to be told of old names, in the order of the table. */
  notes: string[]
}

/** @throws ConfigError for a variable that cannot be read: `invalid int env GITSYNC_DEPTH="deep": ...` */
export function readEnvironment(env: NodeJS.ProcessEnv): EnvironmentValues {
  const read: EnvironmentValues = { options: {}, deprecated: {}, notes: [] }
  for (const [name, row] of optionRows) {
    if (row.env === undefined) continue
    const variable = winningVariable(env, row.env, row.oldEnv ?? [], read.notes)
    if (variable !== undefined) read.options[name] = readVariable(env, variable, row)
  }
  for (const [name, row] of deprecatedRows) {
    if (row.env === undefined || env[row.env] === undefined) continue
    read.deprecated[name] = readVariable(env, row.env, row)
  }
  return read
}

function winningVariable(
  env: NodeJS.ProcessEnv,
  name: string,
  oldNames: readonly string[],
  notes: string[],
): string | undefined {
  const oldSet = oldNames.filter((oldName) => env[oldName] !== undefined)
  const set = env[name] === undefined ? oldSet : [name, ...oldSet]
  notes.push(...oldSet.map((oldName) => `env $${oldName} has been deprecated, use $${name} instead`))
  const winner = set.at(-1)
  if (set.length > 1) notes.push(`env $${name} was overridden by $${winner}`)
  return winner
}

function readVariable(
  env: NodeJS.ProcessEnv,
  variable: string,
  row: { type: OptionType; secret?: true },
): unknown {
  const text = env[variable]!
  const reading = readValue(row.type, text)
  if ('value' in reading) return reading.value
  const shown = row.secret ? '' : `=${JSON.stringify(text)}`
  throw new ConfigError(`invalid ${typeNames[row.type]} env ${variable}${shown}: ${reading.problem}`)
}
