// The parts of a sync wired together: lock, git, loop, HTTP endpoint and status files, from options to a service
// with start and stop. What is the process's own (arguments, signals, exit code) is in main.ts.
import { mkdir, realpath, stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Clock } from '../runtime/clock.ts'
import { BranchlineError, ConfigError, messageOf } from '../runtime/errors.ts'
import { isCommitSha } from '../runtime/ids.ts'
import type { Logger } from '../runtime/log.ts'
import { createCredentials } from './credentials/credentials.ts'
import { createGit, type Git } from './git/git.ts'
import { gitEnvironment, writeGitConfig } from './git/git-environment.ts'
import { killGitProcesses } from './git/processes.ts'
import { createHttpEndpoint, type HttpEndpoint } from './http/http-endpoint.ts'
import { createSyncLoop, type LoopEnd } from './loop.ts'
import type { SyncOptions } from './options/options.ts'
import { createLayout, defaultLink } from './root/layout.ts'
import { takeRootLock } from './root/root-lock.ts'
import { errorFileText, removeErrorFile, touchFile, writeErrorFile } from './status-files.ts'
import { cleanUp, type SyncDeps, type SyncResult, syncOnce } from './sync-once.ts'

/** What git may take to tell its version at the start. */
const versionTimeoutMs = 30_000

export interface SyncService {
  /** Runs until the loop ends, by itself or by `stop`. @throws ConfigError, ConflictError where it cannot begin */
  run(): Promise<LoopEnd>
  /** Syncs at once. */
  wake(): void
  /** Ends git and the loop; resolves when nothing of the service runs any more. */
  stop(): Promise<void>
}

/**
 * @param deps.options checked by checkOptions
 * @param deps.env what git processes are to inherit
 * @param deps.onReady told once, when the first sync has succeeded
 */
export async function createSyncService(deps: {
  options: SyncOptions
  env: NodeJS.ProcessEnv
  clock: Clock
  log: Logger
  onReady?: () => void
}): Promise<SyncService> {
  const { options, env, clock, log } = deps
  const root = await makeRoot(options.root)
  const credentials = createCredentials(options)
  const { repo } = credentials
  const layout = createLayout(root, options.link === '' ? defaultLink(repo) : options.link)
  const errorFile = options.errorFile === '' ? undefined : resolve(root, options.errorFile)
  const touched = options.touchFile === '' ? undefined : resolve(root, options.touchFile)
  const environment = gitEnvironment({
    base: env,
    root,
    gitConfigPath: layout.gitConfigPath,
    ssh: {
      keyFiles: options.sshKeyFile,
      knownHosts: options.sshKnownHosts,
      knownHostsFile: options.sshKnownHostsFile,
    },
  })
  let isReady = false

  const openGit = async (signal: AbortSignal): Promise<Git> =>
    createGit({
      binary: options.git,
      root,
      environment: { ...environment, ...(await credentials.environment()) },
      signal,
      redact: credentials.redact,
      log,
    })
  const depsOfPass = async (signal: AbortSignal): Promise<SyncDeps> => {
    const git = await openGit(signal)
    return { layout, git, repo, ref: options.ref, depth: options.depth, clock, log }
  }

  async function onSuccess(result: SyncResult, signal: AbortSignal): Promise<void> {
    try {
      if (touched !== undefined && (result.isChanged || !isReady)) await touchFile(touched, clock.now())
      if (errorFile !== undefined) await removeErrorFile(errorFile)
      if (!isReady) deps.onReady?.()
      isReady = true
      await cleanUp(await depsOfPass(signal), result.commit, options.staleWorktreeTimeout)
    } catch (error) {
      // The commit is published: what failed is done again after the next sync.
      if (!signal.aborted) await report(error, 'cleanup failed', {})
    }
    if (options.oneTime) log.info({ commit_sha: result.commit }, 'exiting after one sync')
    else if (isCommitSha(options.ref)) log.info('ref appears to be a git hash, no further sync needed')
  }

  async function report(error: unknown, message: string, args: Record<string, unknown>): Promise<void> {
    const text = credentials.redact(messageOf(error))
    const known = error instanceof BranchlineError ? { code: error.code, ...error.details } : {}
    log.error({ error: text, ...known, ...args }, message)
    if (errorFile === undefined) return
    await writeErrorFile(errorFile, errorFileText(message, text, args)).catch((failure) =>
      log.warn({ error: messageOf(failure), path: errorFile }, 'could not write the error file'),
    )
  }

  const loop = createSyncLoop({
    pass: async (reason, signal) => syncOnce(await depsOfPass(signal), reason),
    periodMs: options.period,
    timeoutMs: options.syncTimeout,
    maxFailures: options.maxFailures,
    oneTime: options.oneTime,
    isFinal: (result) => result.commit === options.ref,
    onSuccess,
    onFailure: (error, failures, isLast) =>
      report(error, isLast ? 'too many failures, aborting' : 'error syncing repo, will retry', {
        failCount: failures,
      }),
  })

  async function run(): Promise<LoopEnd> {
    const lock = await takeRootLock(layout.lockPath, root)
    let endpoint: HttpEndpoint | undefined
    try {
      await writeGitConfig(layout.gitConfigPath, credentials.gitConfig)
      const version = await (await openGit(AbortSignal.timeout(versionTimeoutMs))).version()
      if (options.httpBind !== '') {
        endpoint = createHttpEndpoint({
          bind: options.httpBind,
          isReady: () => isReady,
          onSync: loop.wake,
        })
        const { address, port } = await endpoint.start()
        log.info({ address, port }, 'serving HTTP')
      }
      log.info({ repo, ref: options.ref, root, link: layout.linkPath, git: version }, 'starting up')
      return await loop.start()
    } finally {
      await endpoint?.stop()
      await killGitProcesses(root)
      await lock.release()
    }
  }

  let running: Promise<LoopEnd> | undefined
  return {
    run: () => {
      running ??= run()
      return running
    },
    wake: loop.wake,
    stop: async () => {
      await loop.stop()
      await running?.catch(() => {})
    },
  }
}

async function makeRoot(root: string): Promise<string> {
  const path = resolve(root)
  try {
    await mkdir(path, { recursive: true, mode: 0o775 })
    const real = await realpath(path)
    if (!(await stat(real)).isDirectory()) throw new Error('it is a file')
    return real
  } catch (error) {
    throw new ConfigError(
      `invalid flag: --root ${path} cannot be used: ${messageOf(error)}. It must be a directory, or be one that this user can make`,
      { cause: error },
    )
  }
}
