// What follows a sync that succeeded, in git-sync's order: hooks, what is told, the touch file, clean-up. The commit
// is published by then, so none of it fails the sync; what fails is owed, and done after the next one.
import type { Logger } from '../runtime/log.ts'
import type { Deadline } from './deadline.ts'
import type { SyncMetrics } from './http/sync-metrics.ts'
import type { GcMode } from './root/garbage.ts'
import type { TreeGuard } from './root/tree-guard.ts'
import type { SyncHooks } from './sync-hooks.ts'
import { cleanUp, type SyncDeps, type SyncResult } from './sync-once.ts'
import type { SyncReport } from './sync-report.ts'

/**
 * @param deps.passDeps the parts of a pass, for what is left of its time
 * @param deps.touch sets the time of the touch file; does nothing where none is wanted
 * @param deps.isMeasured whether somebody reads the metrics
 * @param deps.onReady told once, when the first commit is published
 */
export function createAfterSync(deps: {
  oneTime: boolean
  ref: string
  gc: GcMode
  passDeps: (deadline: Deadline) => SyncDeps
  hooks: SyncHooks
  report: SyncReport
  guard: TreeGuard
  metrics: SyncMetrics
  isMeasured: boolean
  touch: () => Promise<void>
  onReady: () => void
  log: Logger
}): (result: SyncResult, deadline: Deadline, durationMs: number) => Promise<void> {
  const { hooks, report, guard, metrics, log } = deps
  let isFirst = true
  /** Done with the first commit of the process, and with each that is new. */
  const owed = { touch: false, commitTime: false }

  return async (result, deadline, durationMs) => {
    const { commit, isChanged, isRepaired, refused } = result
    const isNews = commit !== undefined && (isChanged || isRepaired || isFirst)
    const wasReady = report.isReady()
    if (isNews) {
      // What was only put back has been told by then.
      if (isChanged || isFirst) hooks.published(commit, isRepaired)
      owed.touch = true
      owed.commitTime = deps.isMeasured
      isFirst = false
    }
    await report.passEnded(result, isNews, durationMs)
    if (!wasReady && report.isReady()) deps.onReady()

    const current = deps.passDeps(deadline)
    const attempt = async (message: string, step: () => Promise<void>): Promise<void> => {
      try {
        await step()
      } catch (error) {
        if (!deadline.signal.aborted) await report.failed(error, message)
      }
    }
    if (owed.touch) {
      await attempt('could not touch the touch file', async () => {
        await deps.touch()
        owed.touch = false
      })
    }
    if (commit !== undefined && !deps.oneTime) {
      if (isChanged && isRepaired) guard.forgetAccepted(commit)
      await attempt('could not watch the published files', () => guard.follow(commit))
    }
    await attempt('cleanup failed', () =>
      cleanUp(current, {
        published: commit,
        kept: refused === undefined ? [] : [refused.commit],
        gc: deps.gc,
      }),
    )
    if (commit !== undefined && owed.commitTime) {
      await attempt('could not read the time of the commit', async () => {
        metrics.published({ commit, committedAt: await current.git.committedAt(commit) })
        owed.commitTime = false
      })
    }
    if (deps.oneTime && refused === undefined) log.info({ commit_sha: commit }, 'exiting after one sync')
    else if (commit === deps.ref) log.info('ref appears to be a git hash, no further sync needed')
  }
}
