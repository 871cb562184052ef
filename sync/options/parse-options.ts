// Arguments and environment → options. A variable is the default of its flag, so a flag always wins; deprecated
// flags win over what took their place. A flag that cannot be read is the caller's mistake (InvalidInputError, exit
// code 2); everything else that keeps sync from starting is configuration (ConfigError, exit code 1).
import { InvalidInputError } from '../../runtime/errors.ts'
import type { CredentialEntry } from './credential-text.ts'
import { type GitConfigEntry, parseGitConfigText } from './git-config-text.ts'
import type { OptionType } from './option-row.ts'
import {
  type DeprecatedOptions,
  deprecatedRows,
  hiddenFlagPrefix,
  type OptionName,
  optionRows,
  requestRows,
  type SyncOptions,
} from './options.ts'
import { readEnvironment } from './read-environment.ts'
import { type FlagSyntax, readFlags } from './read-flags.ts'
import { readValue } from './read-value.ts'
import { describeUnknown, unknownVariablesIn } from './unknown-variables.ts'

/** What the command line asks for. `notes` are lines for stderr, in their order: what is deprecated or odd. */
export type Request =
  | { type: 'run'; options: SyncOptions; notes: string[] }
  | { type: 'help' | 'man' | 'version'; notes: string[] }

/** What a flag is to the parser. */
type Flag = FlagSyntax & {
  type: OptionType
  secret?: true
  /** As messages name it. */
  title: string
  target:
    | { of: 'options'; name: OptionName; repeats: boolean; isHidden: boolean }
    | { of: 'deprecated'; name: keyof DeprecatedOptions; note: string }
    | { of: 'request'; name: 'help' | 'man' | 'version' }
}

const flags: readonly Flag[] = [
  ...optionRows.flatMap(([name, row]): Flag[] => {
    const isHidden = row.flag === undefined
    const flag = row.flag ?? `${hiddenFlagPrefix}${row.env}`
    return [
      {
        flag,
        shorts: row.short === undefined ? [] : [row.short],
        isBool: row.type === 'bool',
        isHidden,
        type: row.type,
        ...(row.secret && { secret: row.secret }),
        title: row.short === undefined ? `--${flag}` : `-${row.short}, --${flag}`,
        target: { of: 'options', name, repeats: row.repeats ?? false, isHidden },
      },
    ]
  }),
  ...deprecatedRows.map(
    ([name, row]): Flag => ({
      flag: row.flag,
      shorts: [],
      isBool: row.type === 'bool',
      isHidden: true,
      type: row.type,
      title: `--${row.flag}`,
      target: { of: 'deprecated', name, note: `Flag --${row.flag} has been deprecated, ${row.advice}` },
    }),
  ),
  ...requestRows.map(
    ({ request, flag, shorts }): Flag => ({
      flag,
      shorts,
      isBool: true,
      isHidden: false,
      type: 'bool',
      title: `--${flag}`,
      target: { of: 'request', name: request },
    }),
  ),
]

const defaults: Readonly<Record<string, unknown>> = Object.fromEntries(
  optionRows.map(([name, row]) => [name, row.default]),
)
const deprecatedDefaults: Readonly<Record<string, unknown>> = Object.fromEntries(
  deprecatedRows.map(([name, row]) => [name, row.default]),
)

/**
 * Reads options; does not judge them (see checkOptions).
 * @throws ConfigError where a variable cannot be read, whatever the arguments ask for
 * @throws InvalidInputError where a flag is unknown, lacks its value or has one that cannot be read
 */
export function parseOptions(argv: readonly string[], env: NodeJS.ProcessEnv): Request {
  const fromEnvironment = readEnvironment(env)
  const { notes } = fromEnvironment
  const values = { ...defaults, ...fromEnvironment.options }
  const deprecated = { ...deprecatedDefaults, ...fromEnvironment.deprecated }
  const requests: Record<string, boolean> = {}
  const repeated = new Set<string>()

  for (const { known, text } of readFlags(argv, flags)) {
    const { target } = known
    const value = readText(known, text)
    if (target.of === 'request') requests[target.name] = value as boolean
    else if (target.of === 'deprecated') {
      deprecated[target.name] = value
      notes.push(target.note)
    } else if (target.repeats) {
      const isFirst = !repeated.has(target.name)
      values[target.name] = repeat(known.type, values[target.name], { text, value }, isFirst)
      repeated.add(target.name)
    } else if (!target.isHidden || value !== '') values[target.name] = value
  }

  const asked = requestRows.find(({ request }) => requests[request])
  if (asked !== undefined) return { type: asked.request, notes }
  const unknownVariables = unknownVariablesIn(env)
  const options = applyDeprecated(
    readParts(values as Texts, unknownVariables),
    deprecated as DeprecatedOptions,
    notes,
  )
  if (options.unknownEnv === 'warn') notes.push(...unknownVariables.map(describeUnknown))
  return { type: 'run', options, notes }
}

function readText({ type, title, secret }: Flag, text: string): unknown {
  const reading = readValue(type, text)
  if ('value' in reading) return reading.value
  const shown = secret ? 'invalid argument' : `invalid argument ${JSON.stringify(text)}`
  throw new InvalidInputError(`${shown} for "${title}" flag: ${reading.problem}`)
}

/** The value after one more flag of the name. Only keys for SSH replace what the variable has. */
function repeat(type: OptionType, before: unknown, more: { text: string; value: unknown }, isFirst: boolean) {
  switch (type) {
    case 'strings':
      return isFirst ? [more.text] : [...(before as string[]), more.text]
    case 'credential':
      return [...(before as CredentialEntry[]), ...(more.value as CredentialEntry[])]
    default:
      return isFirst ? more.text : `${before},${more.text}`
  }
}

/** Options of which those of git's configuration are still text. */
type Texts = Omit<SyncOptions, 'given' | 'gitConfig' | 'gitConfigAdd'> & {
  gitConfig: string
  gitConfigAdd: string
}

/** Reads what is text still, and leaves out what means nothing. */
function readParts(values: Texts, unknownVariables: readonly string[]): SyncOptions {
  const { gitConfig, gitConfigAdd, sshKeyFile } = values
  return {
    ...values,
    // A variable that is set but empty is no key; ssh would take its next argument for one.
    sshKeyFile: sshKeyFile.filter((path) => path !== ''),
    gitConfig: pairsOf(gitConfig),
    gitConfigAdd: pairsOf(gitConfigAdd),
    // git-sync takes both for 'any status will do'.
    webhookSuccessStatus: values.webhookSuccessStatus === -1 ? 0 : values.webhookSuccessStatus,
    given: { branch: '', rev: '', changePermissions: 0, gitConfig, gitConfigAdd, unknownVariables },
  }
}

/** None where the text is wrong, which checkOptions says. */
function pairsOf(text: string): GitConfigEntry[] {
  try {
    return parseGitConfigText(text)
  } catch (error) {
    if (error instanceof InvalidInputError) return []
    throw error
  }
}

/** What deprecated flags and variables say goes before what took their place, and is told. */
function applyDeprecated(options: SyncOptions, old: DeprecatedOptions, notes: string[]): SyncOptions {
  const set = <Name extends OptionName>(
    name: Name,
    value: SyncOptions[Name],
    flag: string,
    by: string,
  ): object => {
    notes.push(`setting ${flag} from deprecated ${by}`)
    return { [name]: value }
  }
  return {
    ...options,
    ...(old.v < 0 ? {} : { verbose: old.v }),
    ...(old.branch !== '' && (old.rev === '' || old.rev === 'HEAD')
      ? set('ref', old.branch, '--ref', '--branch')
      : old.rev !== '' && old.branch === ''
        ? set('ref', old.rev, '--ref', '--rev')
        : {}),
    ...(old.dest !== '' && set('link', old.dest, '--link', '--dest')),
    ...(old.wait !== 0 && set('period', Math.trunc(old.wait * 1_000), '--period', '--wait')),
    ...(old.timeout !== 0 && set('syncTimeout', old.timeout * 1_000, '--sync-timeout', '--timeout')),
    ...(old.maxSyncFailures !== 0 &&
      set('maxFailures', old.maxSyncFailures, '--max-failures', '--max-sync-failures')),
    ...(old.syncHookCommand !== '' &&
      set('exechookCommand', old.syncHookCommand, '--exechook-command', '--sync-hook-command')),
    ...(old.password !== '' && set('password', old.password, '$GITSYNC_PASSWORD', '--password')),
    given: { ...options.given, branch: old.branch, rev: old.rev, changePermissions: old.changePermissions },
  }
}
