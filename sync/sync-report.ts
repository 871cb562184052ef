// What a sync tells those who follow it: the error file, the status and readiness of its HTTP endpoint, the metrics,
// and its errors in the log. One place, so that they never contradict each other.
import type { Clock } from '../runtime/clock.ts'
import { BranchlineError, type GateError, messageOf } from '../runtime/errors.ts'
import type { CommitSha } from '../runtime/ids.ts'
import type { Logger } from '../runtime/log.ts'
import type { SyncStatus } from './http/http-endpoint.ts'
import type { SyncMetrics } from './http/sync-metrics.ts'
import { errorFileText, removeErrorFile, writeErrorFile } from './status-files.ts'
import type { Refusal, SyncResult } from './sync-once.ts'

export interface SyncReport {
  status(): SyncStatus
  isReady(): boolean
  /** A pass came to an end. @param isNews it published or repaired, or was the first of the process that did */
  passEnded(result: SyncResult, isNews: boolean, durationMs: number): Promise<void>
  passFailed(error: unknown, failures: number, isLast: boolean, durationMs: number): Promise<void>
  /** The gate let a commit pass. */
  gatePassed(commit: CommitSha, outputPath: string): void
  /** Something failed that is not the sync itself: its clean-up, a hook. @param isLogged by whom it happened to */
  failed(error: unknown, message: string, isLogged?: boolean): Promise<void>
}

/**
 * @param deps.errorFile absolute; undefined: none is wanted
 * @param deps.publishedAt when the link was last changed, by whomever; ISO 8601
 */
export function createSyncReport(deps: {
  ref: string
  errorFile: string | undefined
  publishedAt: () => Promise<string | null>
  redact: (text: string) => string
  metrics: SyncMetrics
  clock: Clock
  log: Logger
}): SyncReport {
  const { errorFile, redact, metrics, clock, log } = deps
  const status: SyncStatus = {
    ready: false,
    ref: deps.ref,
    commit_sha: null,
    published_at: null,
    last_success_at: null,
    failures: 0,
    last_error: null,
    gate: null,
  }
  /** The refusal that was told; while it stands, each poll comes upon it again. */
  let toldRefusal: GateError | undefined
  /** The error file has one writer at a time. */
  let writing: Promise<void> = Promise.resolve()
  const now = (): string => new Date(clock.now()).toISOString()

  async function tell(
    error: unknown,
    message: string,
    options: { args?: Record<string, unknown>; isLogged?: boolean } = {},
  ): Promise<void> {
    const { args = {}, isLogged = false } = options
    const text = redact(messageOf(error))
    status.last_error = { message, error: text, at: now() }
    const known = error instanceof BranchlineError ? { code: error.code, ...error.details } : {}
    if (!isLogged) log.error({ error: text, ...known, ...args }, message)
    if (errorFile !== undefined)
      await write(() => writeErrorFile(errorFile, errorFileText(message, text, args)))
  }

  async function write(change: () => Promise<void>): Promise<void> {
    writing = writing.then(change).catch((error) => {
      log.warn({ error: messageOf(error), path: errorFile }, 'could not write the error file')
    })
    await writing
  }

  /** The commit that is published still is; only that is told, and once, until something else was. */
  async function refused({ commit, error }: Refusal, durationMs: number): Promise<void> {
    const message = 'commit refused by the gate'
    const isNew = error !== toldRefusal
    if (isNew) {
      toldRefusal = error
      metrics.syncRefused(durationMs / 1_000)
      metrics.gate('refused')
      const { output_path: outputPath } = error.details
      status.gate = {
        commit_sha: commit,
        status: 'refused',
        output_path: typeof outputPath === 'string' ? outputPath : null,
        reason: redact(messageOf(error)),
      }
    }
    if (!isNew && status.last_error?.message === message) return
    await tell(error, message, { args: { hash: commit }, isLogged: !isNew })
  }

  return {
    status: () => status,
    isReady: () => status.ready,
    passEnded: async (result, isNews, durationMs) => {
      status.commit_sha = result.commit ?? null
      if (result.isChanged) status.published_at = now()
      else if (result.commit !== undefined) status.published_at ??= await deps.publishedAt()
      if (result.commit !== undefined && !status.ready) {
        status.ready = true
        metrics.becameReady()
      }
      if (result.refused !== undefined) return refused(result.refused, durationMs)
      toldRefusal = undefined
      status.failures = 0
      status.last_success_at = now()
      status.last_error = null
      metrics.syncFinished(isNews ? 'success' : 'noop', durationMs / 1_000)
      if (errorFile !== undefined) await write(() => removeErrorFile(errorFile))
    },
    passFailed: async (error, failures, isLast, durationMs) => {
      status.failures = failures
      metrics.syncFinished('error', durationMs / 1_000)
      const message = isLast ? 'too many failures, aborting' : 'error syncing repo, will retry'
      await tell(error, message, { args: { failCount: failures } })
    },
    gatePassed: (commit, outputPath) => {
      metrics.gate('passed')
      status.gate = { commit_sha: commit, status: 'passed', output_path: outputPath, reason: null }
    },
    failed: (error, message, isLogged = false) => tell(error, message, { isLogged }),
  }
}
