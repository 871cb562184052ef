// What of the options and of the command line is secret, made known to the redactor before anything can be logged.
// What users and passwords are for repositories and where they are asked for, createCredentials makes known, and what
// is found as sync goes on (files, answers, tokens) whoever reads it.
import { createRedactor, minTokenLength, type Redactor } from './credentials/redact.ts'
import { splitUserInfo } from './credentials/split-url.ts'
import type { GitConfigEntry } from './options/git-config-text.ts'
import { deprecatedRows, hiddenFlagPrefix, optionRows, type SyncOptions } from './options/options.ts'

/** Keys of git's configuration whose value is a secret whatever it looks like; others only where it is long. */
const secretKey = /extraheader|pass|token|secret|cookie|proxy/i

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
 */
export function createOptionRedactor(options: SyncOptions, argv: readonly string[]): Redactor {
  const redactor = createRedactor()
  for (const name of secretNames) redactor.remember(name, { values: [String(options[name])] })
  redactor.remember('git-config', {
    values: [...options.gitConfig, ...options.gitConfigAdd].flatMap(secretsInEntry),
  })
  redactor.remember('webhook-url', { values: secretsInWebhook(options.webhookUrl) })
  redactor.remember('arguments', { values: secretArguments(argv) })
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
    return [password, rawPassword, password === '' && username.length >= minTokenLength ? username : '']
  })
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
