// Making a root usable that a killed run left, or that was damaged. Done before the first sync of a process and
// again after each that failed. Nothing published is touched: the tree that the link names stays readable while
// the repository is mended or made anew beside it, and the sync that follows repairs it in place.
import { lstat, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Logger } from '../../runtime/log.ts'
import type { Git } from '../git/git.ts'
import { isOpenSomewhere, killGitProcesses } from '../git/processes.ts'
import type { Layout } from './layout.ts'

/**
 * Ends git processes that an earlier sync left running, removes the lock files of dead ones, and makes the
 * repository where there is none or an unsound one.
 */
export async function recoverRoot(layout: Layout, git: Git, log: Logger): Promise<void> {
  const ended = await killGitProcesses(layout.root)
  if (ended > 0) log.warn({ count: ended }, 'ended git processes of an earlier sync')
  await removeDeadLocks(layout, log)
  if (!(await exists(layout.gitDir))) return git.init()
  if ((await looksLikeRepository(layout)) && (await git.isSound())) return
  log.warn({ path: layout.gitDir }, 'making the repository anew')
  await rm(layout.gitDir, { recursive: true, force: true })
  await git.init()
}

/**
 * Lock files below `.git`. We alone write there and none of our git processes lives by now; a person at work in
 * the repository holds the file open, and keeps it.
 */
async function removeDeadLocks(layout: Layout, log: Logger): Promise<void> {
  for (const path of await findLocks(layout.gitDir)) {
    if (await isOpenSomewhere(path)) {
      log.warn({ path }, 'lock file is held by a living process')
      continue
    }
    await rm(path, { force: true })
    log.warn({ path }, 'removed the lock file of a dead process')
  }
}

async function findLocks(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => [])
  const found = await Promise.all(
    entries.map((entry) => {
      const path = join(folder, entry.name)
      // Folders of loose objects (two hexadecimal digits) have no lock files, and there may be many of them.
      if (entry.isDirectory()) return /^[0-9a-f]{2}$/.test(entry.name) ? [] : findLocks(path)
      return entry.name.endsWith('.lock') || entry.name === 'gc.pid' ? [path] : []
    }),
  )
  return found.flat()
}

/** Without these git would not take the folder for a repository, and an interrupted `init` leaves some out. */
async function looksLikeRepository(layout: Layout): Promise<boolean> {
  const parts = ['objects', 'refs', 'HEAD'].map((name) => join(layout.gitDir, name))
  return (await Promise.all(parts.map(exists))).every(Boolean)
}

async function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  )
}
