// Whether the published files are still what the commit says, without asking git as long as nobody touched them.
// A hook may change tracked files on purpose (an `npm install` that rewrites its lock file): what is changed when
// one ends is accepted, and only what changes besides is damage.
import { GitError, messageOf } from '../../runtime/errors.ts'
import type { CommitSha } from '../../runtime/ids.ts'
import type { Logger } from '../../runtime/log.ts'
import type { Git } from '../git/git.ts'
import type { Layout } from './layout.ts'
import { emptiedSubmodules, type SubmodulesMode } from './submodules.ts'
import { createTreeWatch, type TreeWatch } from './tree-watch.ts'

export interface TreeGuard {
  /** From now on the tree of this commit, which is whole. Does nothing where it is followed already. */
  follow(commit: CommitSha): Promise<void>
  /**
   * Paths that are not as the commit has them, and should be.
   * @param isThorough ask git though no change was noticed: on a slow rhythm
   */
  findDamage(commit: CommitSha, git: Git, isThorough: boolean): Promise<string[]>
  /** Runs what may change files of a commit's tree on purpose. @param openGit for a look at them when it has ended */
  whileChanging<Result>(commit: CommitSha, openGit: () => Git, change: () => Promise<Result>): Promise<Result>
  /** After a repair: what was changed on purpose is undone too. */
  forgetAccepted(commit: CommitSha): void
  stop(): Promise<void>
}

export function createTreeGuard(deps: {
  layout: Layout
  submodules: SubmodulesMode
  log: Logger
}): TreeGuard {
  const { layout, submodules, log } = deps
  let followed: CommitSha | undefined
  let watch: TreeWatch | undefined
  /** What was changed on purpose. */
  const accepted = new Map<CommitSha, ReadonlySet<string>>()
  /** How many programs are at work in a commit's tree. */
  const changing = new Map<CommitSha, number>()
  const isChanging = (commit: CommitSha): boolean => (changing.get(commit) ?? 0) > 0
  /** Between the checkout and the first event that can be noticed there is a moment: one look makes up for it. */
  let isLookedAt = false

  const stop = async (): Promise<void> => {
    await watch?.stop()
    watch = undefined
    followed = undefined
  }
  /** Before a look at the files, so that a change that comes while git looks is noticed the next time. */
  const markClean = async (commit: CommitSha): Promise<void> => {
    if (commit !== followed) return
    await watch?.settle()
    watch?.markClean()
  }
  const changedFiles = async (commit: CommitSha, git: Git): Promise<string[]> => [
    ...(await git.changedFiles(layout.worktreePath(commit))),
    ...(await emptiedSubmodules(layout, commit, submodules)),
  ]
  const acceptChanges = async (commit: CommitSha, openGit: () => Git): Promise<void> => {
    await markClean(commit)
    accepted.set(commit, new Set(await changedFiles(commit, openGit())))
  }
  return {
    follow: async (commit) => {
      if (commit === followed) return
      await stop()
      for (const other of accepted.keys()) if (other !== commit) accepted.delete(other)
      followed = commit
      isLookedAt = false
      watch = createTreeWatch({ path: layout.worktreePath(commit), log })
      await watch.start()
    },
    findDamage: async (commit, git, isThorough) => {
      if (isChanging(commit)) return []
      // Where changes cannot be noticed, git looks each time.
      const isTouched = commit !== followed || !isLookedAt || watch?.isDirty() !== false
      if (!isTouched && !isThorough) return []
      await markClean(commit)
      isLookedAt = commit === followed
      const changed = await changedFiles(commit, git).catch((error) => {
        // What git cannot look at is damaged; an end of git from outside says nothing.
        if (!(error instanceof GitError) || error.details.exit_code === null) throw error
        log.warn({ error: error.message }, 'the published worktree is damaged')
        return ['.git']
      })
      return changed.filter((path) => accepted.get(commit)?.has(path) !== true)
    },
    whileChanging: async (commit, openGit, change) => {
      changing.set(commit, (changing.get(commit) ?? 0) + 1)
      try {
        return await change()
      } finally {
        await acceptChanges(commit, openGit).catch((error) =>
          log.warn({ error: messageOf(error), commit_sha: commit }, 'could not look at what a hook changed'),
        )
        changing.set(commit, changing.get(commit)! - 1)
        if (!isChanging(commit)) changing.delete(commit)
      }
    },
    forgetAccepted: (commit) => void accepted.delete(commit),
    stop,
  }
}
