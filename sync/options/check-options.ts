// What options must be to work, alone and together. The order is git-sync's, and so is the beginning of each message,
// which people match on; the value and what is allowed are added to it. No message quotes a secret.
import { ConfigError, messageOf } from '../../runtime/errors.ts'
import { misreadPassword } from '../credentials/split-url.ts'
import { parseBindAddress } from '../http/bind-address.ts'
import { parseGitConfigText } from './git-config-text.ts'
import { formatGoDuration } from './go-values.ts'
import { type OptionName, optionRows, type SyncOptions } from './options.ts'
import { signalNamed } from './sync-signal.ts'
import { describeUnknown } from './unknown-variables.ts'

/** What no ref is named, and what git would take for an option or a refspec (`branch:other`, `+branch`). */
// biome-ignore lint/suspicious/noControlCharactersInRegex: git allows none in a name
const noRefName = /^[-+/]|[\x00-\x20\x7f~^:?*[\\]|\.\.|@\{/

/** A URL with a user before its host. */
const userInUrl = /^[a-z][a-z0-9+.-]*:\/\/[^/?#]*@/i

/** What HTTP allows as a method; an empty one is GET, as in Go. A CONNECT asks for no answer that could be read. */
const webhookMethod = /^(?!connect$)[!#$%&'*+.^_`|~0-9a-z-]*$/i

/** git counts commits in 32 bits; what is more becomes negative there. */
const maxDepth = 2 ** 31 - 1

/** Shorter: the loop does nothing but start git. */
const minPeriodMs = 10

/** Shorter: git-sync's users rely on it to refuse a value whose unit was forgotten or mistaken. */
const minHookMs = 1_000

/**
 * Refuses options that cannot work; the first thing that is wrong is told.
 * @throws ConfigError that names the option, the value and what is allowed
 */
export function checkOptions(options: SyncOptions): void {
  // Before all else: what is missing may be missing because its variable is misspelt.
  checkUnknownVariables(options)
  checkRepository(options)
  checkTimes(options)
  checkHooks(options)
  checkUser(options)
  checkGithubApp(options)
  checkCredentials(options)
  checkHttp(options)
  checkGitConfig('git-config', options.given.gitConfig)
  checkGitConfig('git-config-add', options.given.gitConfigAdd)
}

function fail(message: string): never {
  throw new ConfigError(message)
}

function checkUnknownVariables({ unknownEnv, given }: SyncOptions): void {
  checkChoice('unknownEnv', unknownEnv)
  if (unknownEnv === 'warn' || given.unknownVariables.length === 0) return
  fail(
    `invalid environment: ${given.unknownVariables.map(describeUnknown).join(' ')} Unset it, or start with --unknown-env=warn ($GITSYNC_UNKNOWN_ENV)`,
  )
}

function checkRepository(options: SyncOptions): void {
  const { repo, ref, depth, given } = options
  for (const name of ['root', 'repo'] as const) {
    if (options[name] === '') fail(`required flag: --${name} must be specified`)
  }
  if (repo.startsWith('-')) fail(`invalid flag: --repo must be a URL or a path, not ${JSON.stringify(repo)}`)
  checkUserInfo('--repo', repo)
  if (given.branch !== '' && given.rev !== '' && given.rev !== 'HEAD') {
    fail(
      "deprecated flag combo: can't set --ref from deprecated --branch and --rev (one or the other is OK). Use --ref instead",
    )
  }
  if (ref === '') fail('required flag: --ref must be specified')
  if (noRefName.test(ref)) {
    fail(`invalid flag: --ref must be a branch, a tag or a full commit hash, not ${JSON.stringify(ref)}`)
  }
  if (depth < 0) fail(`invalid flag: --depth must be greater than or equal to 0, not ${depth}`)
  if (depth > maxDepth) fail(`invalid flag: --depth must be at most ${maxDepth}, not ${depth}; 0 fetches all`)
  checkChoice('submodules', options.submodules)
  checkChoice('gitGc', options.gitGc)
  if (options.git === '') fail('invalid flag: --git must be a path or a name')
}

/** Neither part is quoted: which of it is the password cannot be told. */
function checkUserInfo(what: string, url: string): void {
  if (misreadPassword(url) === undefined) return
  fail(
    `invalid flag: ${what} has an @, but not where a user and password before a host end: percent-encode what is reserved in them (/ as %2F, ? as %3F, # as %23, @ as %40), and check host and port`,
  )
}

function checkTimes(options: SyncOptions): void {
  atLeast('period', options.period, minPeriodMs)
  if (options.initPeriod !== 0) atLeast('init-period', options.initPeriod, minPeriodMs)
  if (options.given.changePermissions !== 0) {
    fail('deprecated flag: --change-permissions is no longer supported. Use --group-write instead')
  }
  if (options.syncOnSignal !== '') signalNamed(options.syncOnSignal)
  atLeast('sync-timeout', options.syncTimeout, minPeriodMs)
}

function checkHooks(options: SyncOptions): void {
  if (options.exechookCommand !== '') {
    atLeast('exechook-timeout', options.exechookTimeout, minHookMs)
    atLeast('exechook-backoff', options.exechookBackoff, minHookMs)
  }
  if (options.prePublishExechookCommand !== '') {
    atLeast('pre-publish-exechook-timeout', options.prePublishExechookTimeout, minHookMs)
    atLeast('pre-publish-exechook-backoff', options.prePublishExechookBackoff, minHookMs)
  }
  if (options.webhookUrl !== '') {
    const { webhookSuccessStatus, webhookMethod: method } = options
    if (webhookSuccessStatus < 0 || webhookSuccessStatus > 999) {
      fail(
        `invalid flag: --webhook-success-status must be a valid HTTP code or 0, not ${webhookSuccessStatus}`,
      )
    }
    atLeast('webhook-timeout', options.webhookTimeout, minHookMs)
    atLeast('webhook-backoff', options.webhookBackoff, minHookMs)
    // The text is not quoted: what cannot be parsed cannot be freed of its password.
    if (!['http:', 'https:'].includes(URL.parse(options.webhookUrl)?.protocol ?? '')) {
      fail('invalid flag: --webhook-url must be an http or https URL, such as http://localhost:8080/reload')
    }
    checkUserInfo('--webhook-url', options.webhookUrl)
    if (!webhookMethod.test(method)) {
      fail(
        `invalid flag: --webhook-method must be an HTTP method, such as POST, not ${JSON.stringify(method)}`,
      )
    }
  }
  if (options.gateCommand !== '') {
    atLeast('gate-timeout', options.gateTimeout, minHookMs)
    atLeast('gate-backoff', options.gateBackoff, minHookMs)
  }
}

function checkUser({ username, password, passwordFile, repo }: SyncOptions): void {
  if (username === '') {
    for (const [name, value] of [
      ['$GITSYNC_PASSWORD', password],
      ['--password-file', passwordFile],
    ]) {
      if (value !== '') fail(`invalid flag: ${name} may only be specified when --username is specified`)
    }
    return
  }
  if (password === '' && passwordFile === '') {
    fail('required flag: $GITSYNC_PASSWORD or --password-file must be specified when --username is specified')
  }
  if (password !== '' && passwordFile !== '') {
    fail('invalid flag: only one of $GITSYNC_PASSWORD and --password-file may be specified')
  }
  if (userInUrl.test(repo)) {
    fail('invalid flag: credentials may not be specified in --repo when --username is specified')
  }
}

function checkGithubApp(options: SyncOptions): void {
  const { githubAppApplicationId: application, githubAppClientId: client } = options
  const { githubAppPrivateKey: key, githubAppPrivateKeyFile: keyFile } = options
  if (application === 0 && client === '') {
    if (options.githubAppInstallationId !== 0) {
      fail(
        'invalid flag: --github-app-installation-id may only be specified when --github-app-private-key-file is specified, with --github-app-application-id or --github-app-client-id',
      )
    }
    return
  }
  const given = '--github-app-application-id or --github-app-client-id'
  if (application !== 0 && client !== '') fail(`invalid flag: only one of ${given} may be specified`)
  if (options.githubAppInstallationId === 0) {
    fail(`invalid flag: --github-app-installation-id must be specified when ${given} are specified`)
  }
  const keys = '$GITSYNC_GITHUB_APP_PRIVATE_KEY or --github-app-private-key-file'
  if (key === '' && keyFile === '') {
    fail(`invalid flag: ${keys} must be specified when ${given} are specified`)
  }
  if (key !== '' && keyFile !== '') fail(`invalid flag: only one of ${keys} may be specified`)
  if (options.username !== '') {
    fail('invalid flag: --username may not be specified when --github-app-private-key-file is specified')
  }
}

function checkCredentials({ credential }: SyncOptions): void {
  for (const [index, { url, username, password, passwordFile }] of credential.entries()) {
    const which = `(entry ${index + 1} of ${credential.length})`
    if (url === '') fail(`invalid flag: --credential URL must be specified ${which}`)
    checkUserInfo(`--credential URL ${which}`, url)
    if (username === '') fail(`invalid flag: --credential username must be specified ${which}`)
    if (password === undefined && passwordFile === undefined) {
      fail(`invalid flag: --credential password or password-file must be specified ${which}`)
    }
    if (password !== undefined && passwordFile !== undefined) {
      fail(`invalid flag: only one of --credential password and password-file may be specified ${which}`)
    }
  }
}

function checkHttp(options: SyncOptions): void {
  if (options.httpBind === '') {
    for (const [flag, isSet] of [
      ['http-metrics', options.httpMetrics],
      ['http-pprof', options.httpPprof],
    ] as const) {
      if (isSet) fail(`required flag: --http-bind must be specified when --${flag} is set`)
    }
  }
  if (options.listen !== '' && options.listenSecretFile === '' && options.listenSecret === '') {
    fail(
      'required flag: --listen-secret-file or $GITSYNC_LISTEN_SECRET must be specified when --listen is specified',
    )
  }
  if (options.httpBind !== '') parseBindAddress(options.httpBind, '--http-bind')
  if (options.listen !== '') parseBindAddress(options.listen, '--listen')
}

function checkGitConfig(flag: string, text: string): void {
  try {
    parseGitConfigText(text)
  } catch (error) {
    fail(`invalid flag: --${flag} must be pairs key:value, separated by commas: ${messageOf(error)}`)
  }
}

function atLeast(flag: string, ms: number, minMs: number): void {
  if (ms >= minMs) return
  const minimum = minMs < 1_000 ? `${minMs}ms` : formatGoDuration(minMs)
  fail(`invalid flag: --${flag} must be at least ${minimum}, not ${formatGoDuration(ms)}`)
}

const rowOf = new Map(optionRows)

function checkChoice(name: OptionName, value: string): void {
  const { flag, choices = [] } = rowOf.get(name)!
  if (choices.includes(value)) return
  const quoted = choices.map((choice) => JSON.stringify(choice))
  const listed =
    quoted.length > 2 ? `${quoted.slice(0, -1).join(', ')}, or ${quoted.at(-1)}` : quoted.join(' or ')
  fail(`invalid flag: --${flag} must be one of ${listed}, not ${JSON.stringify(value)}`)
}
