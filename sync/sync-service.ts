// The parts of a sync wired together: lock, git, loop, hooks, HTTP endpoint and status files, from options to a
// service with start and stop. What is the process's own (arguments, signals, exit code) is in main.ts.
import { access, constants, realpath, stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Clock } from '../runtime/clock.ts'
import { ConfigError, messageOf } from '../runtime/errors.ts'
import { exists, makeFolders } from '../runtime/files.ts'
import type { Logger } from '../runtime/log.ts'
import { createAfterSync } from './after-sync.ts'
import { createCredentials } from './credentials/credentials.ts'
import type { GithubAppOptions } from './credentials/github-app.ts'
import type { Deadline } from './deadline.ts'
import { createGit, type Git } from './git/git.ts'
import { writeGitConfig } from './git/git-config-file.ts'
import { gitConfigVariables } from './git/git-config-variables.ts'
import { gitEnvironment, hookEnvironment } from './git/git-environment.ts'
import { killGitProcesses } from './git/processes.ts'
import { createSyncLoop, type LoopEnd } from './loop.ts'
import { createOptionRedactor } from './option-secrets.ts'
import { type SyncOptions, secretVariables } from './options/options.ts'
import { createLayout, defaultLink } from './root/layout.ts'
import { clearOwnPlaces } from './root/own-places.ts'
import { publishedAt } from './root/publish-link.ts'
import { takeRootLock } from './root/root-lock.ts'
import { createTreeGuard } from './root/tree-guard.ts'
import { setTouchFile } from './status-files.ts'
import { createSyncHooks } from './sync-hooks.ts'
import { createServedMetrics, startHttpServers } from './sync-http.ts'
import { type PassReason, type SyncDeps, type SyncResult, syncOnce } from './sync-once.ts'
import { createSyncReport } from './sync-report.ts'

/** What git may take to tell its version at the start. */
const versionTimeoutMs = 30_000

/** Why a service ended; `hook_failed`: the one sync succeeded and a hook of it did not. */
export type SyncEnd = LoopEnd | 'hook_failed'

export interface SyncService {
  /** Runs until the loop ends, by itself or by `stop`. @throws ConfigError, ConflictError where it cannot begin */
  run(): Promise<SyncEnd>
  /** Syncs at once. */
  wake(): void
  /** Whether nothing can be new any more: the ref is a commit, and published. */
  isFinal(): boolean
  /** Ends git, hooks and the loop; resolves when nothing of the service runs any more. */
  stop(): Promise<void>
}

/**
 * @param deps.options checked by checkOptions
 * @param deps.env what git processes and hooks are to inherit
 * @param deps.argv the command line of this process, for those who profile it
 * @param deps.logOf a log whose lines carry another name: a hook's
 * @param deps.onReady told once, when the first sync has succeeded
 */
export async function createSyncService(deps: {
  options: SyncOptions
  env: NodeJS.ProcessEnv
  argv: readonly string[]
  clock: Clock
  log: Logger
  logOf: (name: string) => Logger
  onReady?: () => void
}): Promise<SyncService> {
  const { options, env, clock, log } = deps
  const root = await makeRoot(options.root)
  const { metrics, page: metricsPage } = await createServedMetrics(options, clock)
  const credentials = await createCredentials(
    { ...options, githubApp: githubAppOf(options) },
    {
      clock,
      log,
      redactor: createOptionRedactor(options, deps.argv, env),
      environment: env,
      onAskpass: metrics.askpassCalled,
      onGithubToken: metrics.githubTokenRefreshed,
    },
  )
  const { repo, redact } = credentials
  const { errorFile, touchFile } = options
  const layout = createLayout(root, { link: options.link || defaultLink(repo), errorFile, touchFile })
  const surroundings = {
    base: { ...env, ...gitConfigVariables([...options.gitConfig, ...options.gitConfigAdd], env) },
    root,
    gitConfigPath: layout.gitConfigPath,
    ssh: {
      keyFiles: options.sshKeyFile,
      knownHosts: options.sshKnownHosts,
      knownHostsFile: options.sshKnownHostsFile,
      verbosity: Math.max(0, Math.min(3, Math.floor((options.verbose - 3) / 2))),
    },
  }
  const environment = gitEnvironment({ ...surroundings, withheld: secretVariables })
  /** Also has, from each pass on, what git needs to authenticate: a hook may run git too. */
  const programEnvironment = hookEnvironment(surroundings)
  const report = createSyncReport({
    ref: options.ref,
    errorFile: layout.errorFile,
    publishedAt: async () => (await publishedAt(layout.linkPath))?.toISOString() ?? null,
    redact,
    metrics,
    clock,
    log,
  })
  const guard = createTreeGuard({ layout, submodules: options.submodules, log })
  const stopping = new AbortController()
  const hooks = createSyncHooks({
    options,
    layout,
    environment: programEnvironment,
    redact,
    whileChanging: (commit, change) => guard.whileChanging(commit, () => openGit(stopping.signal), change),
    onGatePassed: report.gatePassed,
    onError: (error, message) => report.failed(error, message, true),
    metrics,
    clock,
    logOf: deps.logOf,
  })
  let passStartedAt = 0

  const openGit = (signal: AbortSignal): Git =>
    createGit({ binary: options.git, root, environment, signal, redact, log })
  const passDeps = (deadline: Deadline): SyncDeps => {
    const git = openGit(deadline.signal)
    return {
      layout,
      git,
      repo,
      ref: options.ref,
      depth: options.depth,
      filter: options.filter,
      staleMs: options.staleWorktreeTimeout,
      sparseCheckoutFile: options.sparseCheckoutFile,
      submodules: options.submodules,
      clock,
      log,
      findDamage: (published, isThorough) => guard.findDamage(published, git, isThorough),
      refusalOf: hooks.refusalOf,
      beforePublish: (commit) => deadline.suspended(() => hooks.beforePublish(commit, stopping.signal)),
      onRepaired: (commit) => {
        metrics.updateRequired()
        guard.forgetAccepted(commit)
        hooks.published(commit, true)
      },
      onUpdateRequired: metrics.updateRequired,
      onPhase: (phase, durationMs) => metrics.phase(phase, durationMs / 1_000),
      onFetch: ({ bytes, durationMs }) => metrics.fetched({ bytes, seconds: durationMs / 1_000 }),
    }
  }

  async function prepareRoot(): Promise<void> {
    await clearOwnPlaces(layout)
    await writeGitConfig(layout.gitConfigPath, credentials.gitConfig)
  }

  async function pass(reason: PassReason, deadline: Deadline): Promise<SyncResult> {
    // Without it git would go by the user's own configuration; and the root may be gone altogether.
    if (!(await exists(layout.gitConfigPath))) await prepareRoot()
    passStartedAt = performance.now()
    const secrets = await credentials.environment(deadline.signal)
    Object.assign(environment, secrets)
    Object.assign(programEnvironment, secrets)
    return syncOnce(passDeps(deadline), reason)
  }

  const afterSync = createAfterSync({
    oneTime: options.oneTime,
    ref: options.ref,
    gc: options.gitGc,
    passDeps,
    hooks,
    report,
    guard,
    metrics,
    isMeasured: metricsPage !== undefined,
    touch: async () => {
      if (layout.touchFile !== undefined) await setTouchFile(layout.touchFile, clock.now())
    },
    onReady: () => deps.onReady?.(),
    log,
  })

  let isFinal = false
  const loop = createSyncLoop({
    pass,
    initially: {
      periodMs: options.initPeriod === 0 ? options.period : options.initPeriod,
      maxFailures: options.initMaxFailures ?? options.maxFailures,
    },
    usually: { periodMs: options.period, maxFailures: options.maxFailures },
    timeoutMs: options.syncTimeout,
    oneTime: options.oneTime,
    isFinal: (result) => {
      isFinal = result.commit === options.ref
      return isFinal
    },
    onSuccess: (result, deadline) => afterSync(result, deadline, performance.now() - passStartedAt),
    onFailure: (error, failures, isLast) =>
      report.passFailed(error, failures, isLast, performance.now() - passStartedAt),
  })

  async function run(): Promise<SyncEnd> {
    const { signal } = stopping
    const lock = await takeRootLock(layout.lockPath, root, { log, signal }).catch((error) => {
      if (signal.aborted) return undefined
      throw error
    })
    if (lock === undefined) return 'stopped'
    await using servers = new AsyncDisposableStack()
    servers.defer(lock.release)
    /** Then every git has ended by itself, with its helpers: it costs 4 ms to look for more. */
    let isDone = false
    servers.defer(async () => void ((isDone && !stopping.signal.aborted) || (await killGitProcesses(root))))
    servers.defer(guard.stop)
    servers.defer(hooks.stop)
    await prepareRoot()
    const { isReady, status } = report
    const http = { options, isReady, status, metricsPage, argv: deps.argv, redact, log, onSync: loop.wake }
    await startHttpServers({ ...http, running: servers })
    servers.defer(loop.stop)
    const end = await Promise.race([loop.start(), announce(), lock.lost])
    isDone = end === 'one_time'
    if (end === 'one_time' && !(await hooks.settled())) return 'hook_failed'
    return end
  }

  /** Says what starts, beside the first pass, which need not wait for it; rejects where there is no git. */
  async function announce(): Promise<never> {
    const signal = AbortSignal.any([stopping.signal, AbortSignal.timeout(versionTimeoutMs)])
    const git = await openGit(signal).version()
    log.info({ repo: redact(repo), ref: options.ref, root, link: layout.linkPath, git }, 'starting up')
    return new Promise(() => {})
  }

  let running: Promise<SyncEnd> | undefined
  return {
    run: () => {
      running ??= run()
      return running
    },
    wake: loop.wake,
    isFinal: () => isFinal,
    stop: async () => {
      stopping.abort(new Error('sync is stopping'))
      await loop.stop()
      await hooks.stop()
      await running?.catch(() => {})
    },
  }
}

function githubAppOf(options: SyncOptions): GithubAppOptions | undefined {
  const { githubAppApplicationId: applicationId, githubAppClientId: clientId } = options
  if (applicationId === 0 && clientId === '') return undefined
  return {
    baseUrl: options.githubBaseUrl,
    privateKey: options.githubAppPrivateKey,
    privateKeyFile: options.githubAppPrivateKeyFile,
    applicationId,
    clientId,
    installationId: options.githubAppInstallationId,
  }
}

async function makeRoot(root: string): Promise<string> {
  const path = resolve(root)
  try {
    await makeFolders(path, 0o775)
    const real = await realpath(path)
    if (!(await stat(real)).isDirectory()) throw new Error('it is a file')
    await access(real, constants.W_OK)
    return real
  } catch (error) {
    throw new ConfigError(
      `invalid flag: --root ${path} cannot be used: ${messageOf(error)}. It must be a directory that this user may write to, or can make`,
      { cause: error },
    )
  }
}
