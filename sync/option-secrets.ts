// What of the options, the command line and the environment is secret, made known to the redactor before anything can be logged.
// What users and passwords are for repositories and where they are asked for, createCredentials makes known, and what
// is found as sync goes on (files, answers, tokens) whoever reads it.
import { InvalidInputError } from '../runtime/errors.ts'
import { createRedactor, minTokenLength, type Redactor } from './credentials/redact.ts'
import { misreadPassword, splitUserInfo } from './credentials/split-url.ts'
import { type GitConfigEntry, parseGitConfigText } from './options/git-config-text.ts'
import type { OptionRow } from './options/option-row.ts'
import { deprecatedRows, hiddenFlagPrefix, optionRows, type SyncOptions } from './options/options.ts'

/** Keys of git's configuration whose value is a secret whatever it looks like; others only where it is long. */
const secretKey = /extraheader|pass|token|secret|cookie|proxy/i

/** Variables that may hold the URL of a proxy with a password. */
const proxyVariable = /^(?:https?|all)_proxy$/i

/** Rows whose values are text, and as a whole a secret. */
const secretNames = optionRows.filter(([, row]) => row.secret && row.type === 'string').map(([name]) => name)

/** Flags that take a secret, with their dashes. */
const secretFlags: readonly string[] = [
  ...optionRows.flatMap(([, { secret, flag, env }]) => (secret ? [flag ?? `${hiddenFlagPrefix}${env}`] : [])),
  ...deprecatedRows.flatMap(([, { secret, flag }]) => (secret ? [flag] : [])),
].map((flag) => `--${flag}`)

/**
 * A redactor that knows every value of an option that is secret, and what of the webhook's URL lets whoever has it
 * call the webhook.
 * @param argv the command line of this process, which has values as they were written
 * @param env its environment, which hooks inherit and may print: also variables that others won over
 */
export function createOptionRedactor(
  options: SyncOptions,
  argv: readonly string[],
  env: NodeJS.ProcessEnv,
): Redactor {
  const redactor = createRedactor()
  for (const name of secretNames) redactor.remember(name, { values: [String(options[name])] })
  redactor.remember('git-config', {
    values: [...options.gitConfig, ...options.gitConfigAdd].flatMap(secretsInEntry),
  })
  redactor.remember('webhook-url', { values: secretsInWebhook(options.webhookUrl) })
  redactor.remember('arguments', { values: [...secretArguments(argv), ...argv.flatMap(passwordsIn)] })
  redactor.remember('environment', { values: secretVariables(env) })
  return redactor
}

/** The value, each long word of it (`Bearer <token>`), the password of Basic authorization, and those in URLs. */
function secretsInEntry({ key, value }: GitConfigEntry): string[] {
  const words = value.split(/\s+/).filter((word) => word.length >= minTokenLength)
  const [, basic = ''] = /\bbasic\s+(\S+)/i.exec(value) ?? []
  const [, password = ''] = /^[^:]*:(.*)$/s.exec(Buffer.from(basic, 'base64').toString()) ?? []
  // A key may have a URL too: url.<base>.insteadOf.
  const inUrls = [...passwordsIn(key), ...passwordsIn(value)]
  // A short word, hidden wherever it stands, would spoil every log line.
  const isSecret = secretKey.test(key) || value.length >= minTokenLength
  return [...(isSecret ? [value] : []), ...words, password, ...inUrls]
}

/** Of chat services the path is the secret. */
function secretsInWebhook(text: string): string[] {
  const url = URL.parse(text)
  if (url === null) return []
  const parts = [...url.pathname.split('/'), ...url.searchParams.values(), `${url.pathname}${url.search}`]
  return [...passwordsIn(text), ...parts.filter((part) => part.length >= minTokenLength)]
}

function passwordsIn(text: string): string[] {
  return [...text.matchAll(/[a-z][a-z0-9+.-]*:\/\/\S+/gi)].flatMap(([found]) => {
    const { username = '', password = '', rawPassword = '' } = splitUserInfo(found)
    // A token may be given as a user without a password.
    const token = password === '' && username.length >= minTokenLength ? username : ''
    return [password, rawPassword, token, misreadPassword(found) ?? '']
  })
}

function secretVariables(env: NodeJS.ProcessEnv): string[] {
  const ofOptions = optionRows.flatMap(([option, row]) =>
    [row.env, ...(row.oldEnv ?? [])].flatMap((name) => {
      const text = name === undefined ? undefined : env[name]
      if (text === undefined) return []
      const inText = row.secret ? secretsInText(row, text) : passwordsIn(text)
      return option === 'webhookUrl' ? [...inText, ...secretsInWebhook(text)] : inText
    }),
  )
  const ofProxies = Object.entries(env).flatMap(([name, text = '']) =>
    proxyVariable.test(name) ? passwordsIn(text.includes('://') ? text : `http://${text}`) : [],
  )
  return [...ofOptions, ...ofProxies]
}

/** Of JSON or pairs over several lines, short lines (braces) are no secrets and stand in every other text too. */
function secretsInText({ type }: OptionRow, text: string): string[] {
  if (type === 'string') return [text]
  const lines = text.split(/\r?\n/)
  const written = lines.length === 1 ? lines : lines.filter((line) => line.trim().length >= minTokenLength)
  return type === 'git-config' ? [...written, ...entriesOf(text).flatMap(secretsInEntry)] : written
}

/** None where the text is wrong: whether that matters is checkOptions' to say. */
function entriesOf(text: string): GitConfigEntry[] {
  try {
    return parseGitConfigText(text)
  } catch (error) {
    if (error instanceof InvalidInputError) return []
    throw error
  }
}

function secretArguments(argv: readonly string[]): string[] {
  return argv.flatMap((argument, index) => {
    for (const flag of secretFlags) {
      if (argument.startsWith(`${flag}=`)) return [argument.slice(flag.length + 1)]
      if (argument === flag) return argv.slice(index + 1, index + 2)
    }
    return []
  })
}
