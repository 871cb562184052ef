// User name and password for an http(s) repository: taken out of the URL before anything else sees it, and given
// to git by a credential helper that reads its own environment. So no secret is ever in an argument, a URL, a
// configuration file or, by `redact`, in a log. git asks the helper for this repository's own server only.
import { readFile } from 'node:fs/promises'
import { ConfigError, messageOf } from '../../runtime/errors.ts'

/** The variables that the helper reads; set for git processes alone. */
const usernameVariable = 'BRANCHLINE_SYNC_USERNAME'
const passwordVariable = 'BRANCHLINE_SYNC_PASSWORD'

export interface Credentials {
  /** The repository without user info. */
  repo: string
  /** Configuration that makes git ask the helper; empty without credentials. */
  gitConfig: string
  /** Variables for git; reads the password file anew. @throws ConfigError where that cannot be read */
  environment(): Promise<Record<string, string>>
  /** The text with every known form of the password replaced by REDACTED. */
  redact(text: string): string
}

/** @throws ConfigError where both the URL and the options name a user */
export function createCredentials(options: {
  repo: string
  username: string
  password: string
  passwordFile: string
}): Credentials {
  const url = splitUserInfo(options.repo)
  if (url.username !== undefined && options.username !== '') {
    throw new ConfigError('invalid flag: --username may not be specified when --repo has user info')
  }
  const username = url.username ?? options.username
  const secrets = new Set<string>()
  const remember = (password: string): string => {
    for (const form of [password, encodeURIComponent(password)]) if (form !== '') secrets.add(form)
    return password
  }
  remember(url.password ?? '')
  remember(options.password)
  if (url.rawPassword) secrets.add(url.rawPassword)

  const password = async (): Promise<string> => {
    if (url.username !== undefined) return url.password ?? ''
    if (options.passwordFile === '') return options.password
    return remember(await readPassword(options.passwordFile))
  }
  return {
    repo: url.repo,
    gitConfig: username === '' ? '' : helperConfig(url.repo),
    environment: async () =>
      username === '' ? {} : { [usernameVariable]: username, [passwordVariable]: await password() },
    redact: (text) => {
      // The longest first: one form may be a part of another.
      const forms = [...secrets].sort((a, b) => b.length - a.length)
      return forms.reduce((redacted, form) => redacted.replaceAll(form, 'REDACTED'), text)
    },
  }
}

/** Parts of a URL with its user info taken out; other URLs and paths come back as they are. */
function splitUserInfo(repo: string): {
  repo: string
  username?: string
  password?: string
  rawPassword?: string
} {
  const match = /^(https?:\/\/)([^/?#]*)@([^@/?#]*)(.*)$/is.exec(repo)
  if (match === null) return { repo }
  const [, scheme, userInfo, host, rest] = match as unknown as [string, string, string, string, string]
  const colon = userInfo.indexOf(':')
  const username = decode(colon < 0 ? userInfo : userInfo.slice(0, colon))
  const bare = `${scheme}${host}${rest}`
  if (colon < 0) return { repo: bare, username }
  const rawPassword = userInfo.slice(colon + 1)
  return { repo: bare, username, password: decode(rawPassword), rawPassword }
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** git's protocol with its helpers has no way to say a line break, so the first ends the password, as in git-sync. */
async function readPassword(path: string): Promise<string> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    throw new ConfigError(
      `--password-file ${path} cannot be read: ${messageOf(error)}. Make the file, or give sync the right to read it`,
      { cause: error },
    )
  }
  return text.split('\n', 1)[0]!
}

/** A helper for this server alone, in the shell that git brings with it; its answer to anything but `get` is nothing. */
function helperConfig(repo: string): string {
  const server = /^https?:\/\/[^/?#]*/i.exec(repo)?.[0]
  if (server === undefined) return ''
  const helper =
    `!f() { test "$1" = get && ` +
    `printf 'username=%s\\npassword=%s\\n' "$${usernameVariable}" "$${passwordVariable}"; }; f`
  return `[credential ${quote(server)}]\n\thelper = ${quote(helper)}\n`
}

/** A quoted value of git's configuration format. */
function quote(text: string): string {
  return `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`
}
