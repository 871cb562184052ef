// Users and passwords for git, from every place that may hold them: the repository's URL, options, files that are
// replaced while sync runs, an askpass URL, a GitHub App. They are read anew before every sync and handed to git
// in its environment, where the helpers of helper-config.ts find them. git-sync has a daemon of git's for that
// (credential-cache), which needs a writable home with a short path and may outlive it.
//
// No secret is ever in an argument, a URL, a configuration file or, by `redact`, in a log or an error file.
import { access, constants } from 'node:fs/promises'
import type { Clock } from '../../runtime/clock.ts'
import { ConfigError, messageOf } from '../../runtime/errors.ts'
import type { Logger } from '../../runtime/log.ts'
import { quoteConfigValue } from '../git/git-config-file.ts'
import type { CallStatus } from '../http/sync-metrics.ts'
import type { CredentialEntry } from '../options/credential-text.ts'
import type { OutgoingEnvironment } from '../outgoing/proxy.ts'
import type { GithubAppOptions } from './github-app.ts'
import { helperConfig, helperVariables } from './helper-config.ts'
import { readPasswordFile } from './password-file.ts'
import { minTokenLength, type Redactor } from './redact.ts'
import { askpassSource, githubSource, type PasswordRow, passwordSource, type Source } from './sources.ts'
import { isHttpUrl, splitUserInfo } from './split-url.ts'

/** Where git-sync has its cookies too. */
const defaultCookiePath = '/etc/git-secret/cookie_file'

/** The values of the options of the same names; empty strings are none. */
export interface CredentialsOptions {
  repo: string
  username: string
  password: string
  passwordFile: string
  credential: readonly CredentialEntry[]
  askpassUrl: string
  /** Whether git is to send the cookies in the cookie file. */
  cookieFile: boolean
  githubApp: GithubAppOptions | undefined
}

export interface CredentialsDeps {
  clock: Clock
  log: Logger
  /** Told every secret before it is used. */
  redactor: Redactor
  /** Proxies and certificate authorities of the requests that are made. */
  environment: OutgoingEnvironment
  /** Told of each call of the askpass URL. */
  onAskpass: (status: CallStatus) => void
  /** Told of each renewal of the GitHub App's token. */
  onGithubToken: (status: CallStatus) => void
  /** Default `/etc/git-secret/cookie_file`. */
  cookiePath?: string
}

export interface Credentials {
  /** The repository without user info; an SSH URL keeps its user. */
  repo: string
  /** Sections for git's configuration; they hold no secrets. Empty where nothing is to be configured. */
  gitConfig: string
  /**
   * Variables for git. To be called once before each sync, and its answer used for all git processes of it: reads
   * password files, asks the askpass URL, renews the GitHub App's token where it expires within 30 s.
   * @throws CredentialsError where one of them fails; the next sync may succeed
   * @throws ConfigError where the GitHub App's key cannot be read: sync is to end
   */
  environment(signal: AbortSignal): Promise<Record<string, string>>
  /** The text with every form of every secret that was seen so far replaced by REDACTED. */
  redact(text: string): string
}

/**
 * Reads each file once, as git-sync does: what is wrong at the start ends it, what goes wrong later fails a sync.
 * @param options.username empty where the user is in the URL of the repository: one of the two (checkOptions)
 * @throws ConfigError where a file cannot be read, or a URL is none
 */
export async function createCredentials(
  options: CredentialsOptions,
  deps: CredentialsDeps,
): Promise<Credentials> {
  const { redactor } = deps
  const { url: bare, username = '', password = '', rawPassword } = splitUserInfo(options.repo)
  const isSplit = isHttpUrl(options.repo)
  const repo = isSplit ? bare : options.repo
  redactor.remember('--repo', {
    username,
    // A token may be given as a user without a password.
    values: [
      password,
      rawPassword ?? '',
      password === '' && username.length >= minTokenLength ? username : '',
    ],
  })
  const hasUserInfo = isSplit && bare !== options.repo
  const own = hasUserInfo ? { url: repo, username, password } : { ...options, url: repo }
  const rows: PasswordRow[] = [
    ...(own.username === '' ? [] : [{ ...own, flag: '--username', fileFlag: '--password-file' }]),
    ...options.credential.map((row) => ({
      ...row,
      flag: '--credential',
      fileFlag: '--credential password-file',
    })),
  ]
  const sources: Source[] = rows.map((row) => passwordSource(row, redactor))
  if (options.askpassUrl !== '') sources.push(askpassSource(options.askpassUrl, repo, deps))
  if (options.githubApp !== undefined) sources.push(await githubSource(options.githubApp, repo, deps))
  await checkPasswordFiles(rows)

  return {
    repo,
    gitConfig: helperConfig(sources) + (options.cookieFile ? await cookieConfig(deps.cookiePath) : ''),
    environment: async (signal) => {
      const variables: Record<string, string> = {}
      for (const [index, source] of sources.entries()) {
        Object.assign(variables, helperVariables(index, await source.read(signal)))
      }
      return variables
    },
    redact: redactor.redact,
  }
}

async function checkPasswordFiles(rows: readonly PasswordRow[]): Promise<void> {
  for (const { passwordFile = '', fileFlag } of rows) {
    if (passwordFile === '') continue
    await readPasswordFile(passwordFile, fileFlag).catch((error: unknown) => {
      throw new ConfigError(messageOf(error), { cause: error })
    })
  }
}

async function cookieConfig(path = defaultCookiePath): Promise<string> {
  await access(path, constants.R_OK).catch((error: unknown) => {
    throw new ConfigError(
      `invalid flag: --cookie-file needs ${path}, which cannot be read: ${messageOf(error)}. Mount the cookies there, or leave the option out`,
      { cause: error },
    )
  })
  return `[http]\n\tcookieFile = ${quoteConfigValue(path)}\n`
}
