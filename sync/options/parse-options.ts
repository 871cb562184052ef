// Arguments and environment → options, in the syntax that git-sync's users write (GNU long flags, Go's values).
// A variable is the default of its flag, so a flag always wins; a variable that is set but empty counts as set.
// A flag that cannot be read is the caller's mistake (InvalidInputError, exit code 2); everything else that
// keeps sync from starting is configuration (ConfigError, exit code 1).
import { constants } from 'node:os'
import { ConfigError, InvalidInputError } from '../../runtime/errors.ts'
import { didYouMean } from '../../runtime/nearest.ts'
import { parseGoBool, parseGoDuration, parseGoInt } from './go-values.ts'
import { type OptionName, type OptionRow, optionRows, optionTable, type SyncOptions } from './options.ts'

/** What the command line asks for. */
export type Request = { type: 'run'; options: SyncOptions } | { type: 'help' } | { type: 'version' }

const flags = new Map(optionRows.flatMap(([name, row]) => (row.flag ? [[row.flag, name] as const] : [])))
const shorts = new Map(optionRows.flatMap(([name, row]) => (row.short ? [[row.short, name] as const] : [])))
const flagNames = [...flags.keys(), 'help', 'version'].map((flag) => `--${flag}`)

/**
 * Reads options; does not judge them (see checkOptions).
 * @throws ConfigError where a variable cannot be read
 * @throws InvalidInputError where a flag is unknown, lacks its value or has one that cannot be read
 */
export function parseOptions(argv: readonly string[], env: NodeJS.ProcessEnv): Request {
  const values: Record<string, unknown> = {}
  for (const [name, row] of optionRows) {
    const text = env[row.env]
    const value = text === undefined ? row.default : readValue(row, text)
    if (value === undefined)
      throw new ConfigError(`invalid ${row.type} env ${row.env}=${JSON.stringify(text)}`)
    values[name] = value
  }

  const repeated = new Set<OptionName>()
  const take = (name: OptionName, written: string, text: string): void => {
    const row: OptionRow = optionTable[name]
    if (row.type === 'strings') {
      values[name] = repeated.has(name) ? [...(values[name] as string[]), text] : [text]
      repeated.add(name)
      return
    }
    const value = readValue(row, text)
    if (value === undefined) {
      throw new InvalidInputError(
        `invalid argument ${JSON.stringify(text)} for "${written}" flag: ${allowedValues[row.type]}`,
      )
    }
    values[name] = value
  }

  const rest = [...argv]
  for (let argument = rest.shift(); argument !== undefined && argument !== '--'; argument = rest.shift()) {
    if (argument === '-h' || argument === '-?' || argument === '--help') return { type: 'help' }
    if (argument === '--version') return { type: 'version' }
    const { name, written, text } = splitFlag(argument)
    if (name === undefined) continue
    if (text !== undefined) take(name, written, text)
    else if (optionTable[name].type === 'bool') take(name, written, 'true')
    else {
      const next = rest.shift()
      if (next === undefined) throw new InvalidInputError(`flag needs an argument: ${written}`)
      take(name, written, next)
    }
  }
  return { type: 'run', options: values as SyncOptions }
}

/** Positional arguments have no name here and are passed over, as git-sync does. */
function splitFlag(argument: string): { name?: OptionName; written: string; text?: string } {
  if (argument.startsWith('--')) {
    const equals = argument.indexOf('=')
    const written = equals < 0 ? argument : argument.slice(0, equals)
    const name = flags.get(written.slice(2))
    if (name === undefined) {
      throw new InvalidInputError(`unknown flag: ${written}.${didYouMean(written, flagNames)}`)
    }
    return equals < 0 ? { name, written } : { name, written, text: argument.slice(equals + 1) }
  }
  if (argument.startsWith('-') && argument.length > 1) {
    const written = argument.slice(0, 2)
    const name = shorts.get(argument[1]!)
    if (name === undefined) {
      throw new InvalidInputError(
        `unknown shorthand flag: '${argument[1]}' in ${argument}.${didYouMean(`-${argument}`, flagNames)}`,
      )
    }
    const text = argument.slice(2).replace(/^=/, '')
    return argument.length === 2 ? { name, written } : { name, written, text }
  }
  return { written: argument }
}

const allowedValues: Record<OptionRow['type'], string> = {
  string: 'write any text',
  strings: 'write any text',
  int: 'write a whole number, for instance 3',
  bool: 'write true or false, after an equals sign',
  duration: 'write a number with a unit, for instance 100ms, 30s or 1h30m',
}

function readValue(row: OptionRow, text: string): OptionRow['default'] | undefined {
  switch (row.type) {
    case 'string':
      return text
    case 'strings':
      return text.split(':')
    case 'int':
      return parseGoInt(text)
    case 'bool':
      return parseGoBool(text)
    case 'duration':
      return parseGoDuration(text)
  }
}

/** What no ref is named, and what git would take for an option or a refspec (`branch:other`, `+branch`). */
// biome-ignore lint/suspicious/noControlCharactersInRegex: git allows none in a name
const noRefName = /^[-+/]|[\x00-\x20\x7f~^:?*[\\]|\.\.|@\{/

/** Shorter: the loop does nothing but start git. */
const minimumDurationMs = 10

/**
 * Refuses options that cannot work, alone or together.
 * @throws ConfigError that names the option, the value and what is allowed
 */
export function checkOptions(options: SyncOptions): void {
  const invalid = (flag: string, problem: string): never => {
    throw new ConfigError(`invalid flag: --${flag} ${problem}`)
  }
  for (const name of ['root', 'repo'] as const) {
    if (options[name] === '') throw new ConfigError(`required flag: --${name} must be specified`)
  }
  if (options.ref === '' || noRefName.test(options.ref)) {
    invalid('ref', `must be a branch, a tag or a full commit hash, not ${JSON.stringify(options.ref)}`)
  }
  if (options.repo.startsWith('-'))
    invalid('repo', `must be a URL or a path, not ${JSON.stringify(options.repo)}`)
  if (options.depth < 0) invalid('depth', `must be 0 or more, not ${options.depth}`)
  if (options.period < minimumDurationMs) invalid('period', 'must be at least 10ms')
  if (options.syncTimeout < minimumDurationMs) invalid('sync-timeout', 'must be at least 10ms')
  if (options.staleWorktreeTimeout < 0) invalid('stale-worktree-timeout', 'must be 0 or more')
  if (options.verbose < 0) invalid('verbose', 'must be 0 or more')
  if (options.git === '') invalid('git', 'must be a path or a name')
  if (options.syncOnSignal !== '') signalNamed(options.syncOnSignal)
  checkCredentials(options, invalid)
}

function checkCredentials(options: SyncOptions, invalid: (flag: string, problem: string) => never): void {
  const { username, password, passwordFile } = options
  if (username === '') {
    const alone = password !== '' ? 'GITSYNC_PASSWORD' : passwordFile !== '' ? '--password-file' : undefined
    if (alone !== undefined)
      throw new ConfigError(`required flag: --username must be specified when ${alone} is`)
    return
  }
  if (password === '' && passwordFile === '') {
    throw new ConfigError(
      'required flag: GITSYNC_PASSWORD or --password-file must be specified when --username is',
    )
  }
  if (password !== '' && passwordFile !== '') {
    invalid('password-file', 'may not be specified together with GITSYNC_PASSWORD')
  }
}

/**
 * The signal of `SIGHUP`, `HUP` or a number in Go's syntax.
 * @throws ConfigError for any other text, and for signals that no process can catch
 */
export function signalNamed(text: string): NodeJS.Signals {
  const number = parseGoInt(text)
  const names = Object.keys(constants.signals) as NodeJS.Signals[]
  const upper = text.toUpperCase()
  const name =
    number === undefined
      ? names.find((signal) => signal === upper || signal === `SIG${upper}`)
      : names.find((signal) => constants.signals[signal] === number)
  if (name === undefined || name === 'SIGKILL' || name === 'SIGSTOP') {
    const suggestion = name === undefined ? didYouMean(upper, names) : ' No process can catch that signal.'
    throw new ConfigError(
      `invalid flag: --sync-on-signal must be the name or number of a signal, not ${JSON.stringify(text)}.${suggestion}`,
    )
  }
  return name
}
