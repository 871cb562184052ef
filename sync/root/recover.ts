// Making a root usable that a killed run left, or that was damaged. Done before the first sync of a process and
// again after each that failed. Nothing published is touched: the tree that the link names stays readable while
// the repository is mended or made anew beside it, and the sync that follows repairs it in place.
import { lstat, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { exists } from '../../runtime/files.ts'
import type { Logger } from '../../runtime/log.ts'
import type { Git } from '../git/git.ts'
import { killLeftGitProcesses } from '../git/processes.ts'
import { type Layout, ownBranch } from './layout.ts'
import { removeDeadLocks } from './lock-files.ts'

/**
 * Ends git processes that an earlier sync left running, removes the lock files of dead ones, and makes the
 * repository where there is none or an unsound one.
 * @returns whether there was anything to mend
 */
export async function recoverRoot(layout: Layout, git: Git, log: Logger): Promise<boolean> {
  const ended = await killLeftGitProcesses(layout.root)
  if (ended > 0) log.warn({ count: ended }, 'ended git processes of an earlier sync')
  const unlocked = await removeDeadLocks(layout, log, git.signal)
  const isThere = await exists(layout.gitDir)
  if (isThere && (await looksLikeRepository(layout)) && (await git.isSound())) return ended + unlocked > 0
  if (isThere) log.warn({ path: layout.gitDir }, 'making the repository anew')
  await rm(layout.gitDir, { recursive: true, force: true })
  await git.init(ownBranch)
  return true
}

/**
 * Without these git would not take the folder for a repository, and an interrupted `init` leaves some out. A link to
 * one is none: it leads out of the root, and what we remove in a repository must be ours.
 */
async function looksLikeRepository(layout: Layout): Promise<boolean> {
  if (!(await lstat(layout.gitDir)).isDirectory()) return false
  const parts = ['objects', 'refs', 'HEAD'].map((name) => join(layout.gitDir, name))
  return (await Promise.all(parts.map(exists))).every(Boolean)
}
