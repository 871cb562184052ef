// Holds the worktrees that unfinished runs need, so that sync keeps them: the published one, and those of every
// commit that a queued or running run, or a Dag whose module fails by now, is pinned to. Commits nobody needs any
// more are let go only after asking the database, so a run that was made a moment ago is never forgotten.
import { existsSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { messageOf } from '../runtime/errors.ts'
import { isCommitSha } from '../runtime/ids.ts'
import type { Logger } from '../runtime/log.ts'
import { holdWorktree, type WorktreeLease } from '../runtime/worktree-lease.ts'
import type { Queryable } from './database/connection.ts'
import { neededCommits } from './database/needed-commits.ts'

/** Outlasts a restart of the scheduler, even a slow one: unfinished runs need their worktrees afterwards. */
const leaseLengthMs = 3_600_000

export interface WorktreeHolds {
  /** Holds what is needed now and lets go of the rest. */
  refresh(): Promise<void>
  stop(): Promise<void>
}

/**
 * @param deps.loadedPath what new runs get: a commit's worktree, beside which the others are; or a plain directory, or
 *   nothing yet, and then there is nothing to hold
 */
export function createWorktreeHolds(deps: {
  db: Queryable
  owner: string
  loadedPath: () => string | undefined
  log: Logger
}): WorktreeHolds {
  const { db, owner, log } = deps
  const held = new Map<string, WorktreeLease>()

  async function hold(path: string): Promise<void> {
    try {
      const lease = await holdWorktree({
        sourcePath: path,
        owner,
        leaseMs: leaseLengthMs,
        onLost: (error) => log.warn({ path, error: messageOf(error) }, 'worktree could not be held'),
      })
      if (lease) held.set(path, lease)
    } catch (error) {
      log.warn({ path, error: messageOf(error) }, 'worktree could not be held')
    }
  }

  return {
    async refresh() {
      const published = deps.loadedPath()
      if (published === undefined || !isCommitSha(basename(published))) return
      const directory = dirname(published)
      const needed = new Set((await neededCommits(db)).map((commit) => join(directory, commit))).add(
        published,
      )
      for (const path of needed) if (!held.has(path) && existsSync(path)) await hold(path)
      for (const [path, lease] of held) {
        if (needed.has(path)) continue
        held.delete(path)
        await lease.release()
      }
    },
    async stop() {
      // Left on disk: unfinished runs need the worktrees after a restart.
      for (const lease of held.values()) lease.abandon()
      held.clear()
    },
  }
}
