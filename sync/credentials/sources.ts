// The places where a user and a password come from, each behind one small interface: where it is good for, and
// what it is now. Whatever is secret in one is made known to the redactor before it is used.
import type { Clock } from '../../runtime/clock.ts'
import { ConfigError } from '../../runtime/errors.ts'
import type { Logger } from '../../runtime/log.ts'
import type { CallStatus } from '../http/sync-metrics.ts'
import type { CredentialEntry } from '../options/credential-text.ts'
import type { OutgoingEnvironment } from '../outgoing/proxy.ts'
import { askUrl } from './askpass-url.ts'
import { createGithubApp, type GithubAppOptions } from './github-app.ts'
import type { HelperSource } from './helper-config.ts'
import { passwordIn, readPasswordFile } from './password-file.ts'
import { minTokenLength, type Redactor } from './redact.ts'
import { type CredentialScope, isHttpUrl, misreadPassword, scopeOf, splitUserInfo } from './split-url.ts'

/** One place where a user and a password come from. */
export interface Source extends HelperSource {
  /** @throws CredentialsError, ConfigError */
  read(signal: AbortSignal): Promise<{ username: string; password: string }>
}

interface SourceDeps {
  clock: Clock
  log: Logger
  redactor: Redactor
  environment: OutgoingEnvironment
}

/** An entry, of `--credential` or as if, with the options that it comes from, for messages. */
export type PasswordRow = CredentialEntry & { flag: string; fileFlag: string }

/** From options or a file, which is read anew each time. @throws ConfigError for what git cannot be told */
export function passwordSource(row: PasswordRow, redactor: Redactor): Source {
  const { username, flag, fileFlag, password = '', passwordFile = '' } = row
  const { url, username: urlUser = '', password: urlPassword = '', rawPassword = '' } = splitUserInfo(row.url)
  const source = `${flag} ${username}@${url}`
  redactor.remember(`the URL of ${source}`, {
    // A token may be given as a user without a password.
    values: [urlPassword, rawPassword, urlPassword === '' && urlUser.length >= minTokenLength ? urlUser : ''],
  })
  const remember = (text: string): void => redactor.remember(source, { username, values: [text] })
  remember(password)
  if (/[\0\r\n]/.test(username) || password.includes('\0')) {
    throw new ConfigError(
      `invalid flag: ${flag} has a line break or a NUL in its user name or password, which git has no way to take`,
    )
  }
  return {
    scope: scopeFor(url, flag),
    username,
    read: async () => {
      const text = passwordFile === '' ? password : await readPasswordFile(passwordFile, fileFlag)
      remember(text)
      return { username, password: passwordIn(text) }
    },
  }
}

/** From a URL that is asked each time. @throws ConfigError where it is none */
export function askpassSource(
  askpassUrl: string,
  repo: string,
  deps: SourceDeps & { onAskpass: (status: CallStatus) => void },
): Source {
  const { redactor, environment } = deps
  const { username = '', password = '', rawPassword = '' } = splitUserInfo(askpassUrl)
  redactor.remember('the URL of --askpass-url', { username, values: [password, rawPassword] })
  const url = httpUrl(askpassUrl, '--askpass-url')
  redactor.remember('the query of --askpass-url', {
    values: [...url.searchParams.values()].filter((value) => value.length >= minTokenLength),
  })
  const onSecrets = (answer: { username: string; password: string }): void =>
    redactor.remember('--askpass-url', { username: answer.username, values: [answer.password] })
  return {
    scope: scopeFor(repo, '--askpass-url'),
    read: async (signal) => {
      deps.log.debug({ url: url.origin + url.pathname }, 'asking for credentials')
      try {
        const answer = await askUrl({ url, signal, environment, redact: redactor.redact, onSecrets })
        deps.onAskpass('success')
        return answer
      } catch (error) {
        deps.onAskpass('error')
        throw error
      }
    },
  }
}

/** git refuses an empty user; GitHub does not look at it. */
const githubUsername = '-'

/** From a GitHub App, whose key is read once to see that it is one. @throws ConfigError where it is not */
export async function githubSource(
  options: GithubAppOptions,
  repo: string,
  deps: SourceDeps & { onGithubToken: (status: CallStatus) => void },
): Promise<Source> {
  const { clock, redactor, environment } = deps
  const { username = '', password = '', rawPassword = '' } = splitUserInfo(options.baseUrl)
  redactor.remember('the URL of --github-base-url', { username, values: [password, rawPassword] })
  httpUrl(options.baseUrl, '--github-base-url')
  const app = createGithubApp(options, {
    clock,
    environment,
    onSecret: (kind, secret) => {
      const user = kind === 'token' ? { username: githubUsername } : {}
      redactor.remember(`GitHub ${kind}`, { ...user, values: [secret] })
    },
    onRenewal: (status) => {
      if (status === 'success') deps.log.debug('renewed the token of the GitHub app')
      deps.onGithubToken(status)
    },
  })
  await app.check()
  return {
    scope: scopeFor(repo, '--github-app-installation-id'),
    username: githubUsername,
    read: async (signal) => ({ username: githubUsername, password: await app.token(signal) }),
  }
}

/** @throws ConfigError for what git's credential protocol cannot speak of */
function scopeFor(url: string, flag: string): CredentialScope {
  const scope = scopeOf(url)
  if (scope !== undefined) return scope
  throw new ConfigError(
    `invalid flag: ${flag} gives a password for ${JSON.stringify(url.slice(url.lastIndexOf('@') + 1))}, which must be a URL like https://host/path: others have no passwords (SSH has keys, see --ssh-key-file)`,
  )
}

/** The text is not quoted: what cannot be parsed cannot be freed of its secrets. */
function httpUrl(text: string, flag: string): URL {
  if (isHttpUrl(text) && URL.canParse(text) && misreadPassword(text) === undefined) return new URL(text)
  throw new ConfigError(
    `invalid flag: ${flag} must be a URL that begins with http:// or https://, such as http://localhost:8080/path; in its user and password, what is reserved must be percent-encoded (/ as %2F)`,
  )
}
