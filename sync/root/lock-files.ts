// Lock files that dead git processes left below `.git`, on each of which git would fail for ever, and the
// temporary files that they left, which only take space. We alone write in a root and no git of ours writes there
// when this is called, so a lock is a dead one's or a stranger's: of a person at work in the repository, or
// of a git in another container, which cannot be seen. It is dead when no process that can be seen may hold it
// (lock-holders.ts) and when it is older than what git needs for any step that it does not wait in.
import type { Stats } from 'node:fs'
import { link, lstat, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { basename, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from '../../runtime/log.ts'
import { uniqueName } from '../../runtime/unique-name.ts'
import type { Layout } from './layout.ts'
import { findGitAtWork, findOpenFiles, isLivingGit } from './lock-holders.ts'

/**
 * A lock that rests for this long is no longer in use by a git that we cannot see. Shorter: the lock of a busy
 * one is taken from it. Longer: a start after a crash takes that much longer.
 */
const restMs = 1_000

/** Temporary files are let be for this long while somebody is at work. Shorter: a slow fetch loses its pack. */
const temporaryMs = 60 * 60_000

/** Where a lock is put for the moment in which it is looked at once more; one that is killed then leaves it. */
const asidePrefix = 'aside-'

interface LockFile {
  path: string
  seen: Stats
}

/**
 * Removes the locks and temporary files of dead git processes; leaves those of living ones, and says so. Takes a
 * second where there is a lock that is younger than that, and otherwise what it takes to list `.git`.
 * A `.git` that is a link is not looked into: what it leads to is not ours.
 * @param signal ends the waiting
 * @returns how many locks were removed
 * @throws the signal's reason, where that came before all have rested
 */
export async function removeDeadLocks(
  { root, gitDir }: Pick<Layout, 'root' | 'gitDir'>,
  log: Logger,
  signal: AbortSignal,
): Promise<number> {
  const place = await lstat(gitDir).catch(() => undefined)
  const found = place?.isDirectory() === true ? await findLeftovers(gitDir) : []
  if (found.length === 0) return 0
  const locks = await lookAt(found.filter(isLock))
  const temporary = await lookAt(found.filter((path) => !isLock(path)))
  if (locks.length > 0) await letRest(gitDir, locks, signal)

  const owners = new Set([...locks, ...temporary].map(({ seen }) => seen.uid))
  const atWork = await findGitAtWork(root, owners)
  const open = await findOpenFiles(locks.map(({ path }) => path))
  let removed = 0
  for (const lock of locks) {
    const { path } = lock
    if (atWork.length > 0 || open.has(path) || (await isHeldByNamed(path))) {
      log.warn({ path, processes: atWork }, 'lock file is held by a living process')
    } else if (await discard(gitDir, lock)) {
      removed += 1
      log.warn({ path }, 'removed the lock file of a dead process')
    } else {
      log.warn({ path }, 'lock file is in use by a process that cannot be seen')
    }
  }
  const useless = temporary.filter(
    ({ seen }) => atWork.length === 0 || Date.now() - seen.mtimeMs > temporaryMs,
  )
  for (const { path } of useless) await rm(path, { recursive: true, force: true })
  if (useless.length > 0) log.info({ count: useless.length }, 'removed temporary files of dead git processes')
  return removed
}

function isLock(path: string): boolean {
  return path.endsWith('.lock') || basename(path) === 'gc.pid'
}

/** What the names in a folder mean: in `objects` temporary files, among refs nothing but locks. */
type FolderKind = 'top' | 'objects' | 'refs' | 'other'

/** Locks and temporary files. No ref is named like a lock: git refuses such names. */
async function findLeftovers(folder: string, kind: FolderKind = 'top'): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => [])
  const isRepository = entries.some(({ name }) => name === 'HEAD')
  const found = await Promise.all(
    entries.map((entry) => {
      const path = join(folder, entry.name)
      if (isTemporary(entry.name, kind)) return [path]
      if (entry.isDirectory()) return findLeftovers(path, kindOf(entry.name, kind, isRepository))
      return entry.isFile() && isLock(path) ? [path] : []
    }),
  )
  return found.flat()
}

/** Submodules have repositories of their own below `modules`. */
function kindOf(name: string, parent: FolderKind, isInRepository: boolean): FolderKind {
  if (parent === 'refs' || name === 'refs' || name === 'logs') return 'refs'
  if (parent === 'objects' || (isInRepository && name === 'objects')) return 'objects'
  return 'other'
}

/** `tmp_obj_…`, `tmp_pack_…`, `tmp_idx_…`, `tmp_graph_…`, `.tmp-…-pack-…`, and folders `tmp_objdir-incoming-…`. */
function isTemporary(name: string, kind: FolderKind): boolean {
  return kind === 'objects' ? /^(?:tmp_|\.tmp-)/.test(name) : kind === 'top' && name.startsWith(asidePrefix)
}

async function lookAt(paths: readonly string[]): Promise<LockFile[]> {
  const found = await Promise.all(
    paths.map(async (path) => {
      const seen = await lstat(path).catch(() => undefined)
      return seen === undefined ? [] : [{ path, seen }]
    }),
  )
  return found.flat()
}

/**
 * Waits until all have rested. By their times most have, and those are taken as the file system's own clock has
 * them; one in the future says nothing, so that the wait is measured by ours.
 */
async function letRest(gitDir: string, locks: readonly LockFile[], signal: AbortSignal): Promise<void> {
  const now = await fileSystemNow(gitDir)
  const isRested = ({ seen }: LockFile): boolean => now - seen.mtimeMs >= restMs
  const youngest = locks.every(isRested) ? 0 : restMs
  const start = performance.now()
  for (let left = youngest; left > 0; left = youngest - (performance.now() - start)) {
    await sleep(left, undefined, { signal }).catch(() => {})
    signal.throwIfAborted()
  }
}

/** The time of whoever keeps the files, which on a network volume is another machine. */
async function fileSystemNow(gitDir: string): Promise<number> {
  const path = join(gitDir, `${asidePrefix}${uniqueName()}`)
  try {
    await writeFile(path, '')
    return (await lstat(path)).mtimeMs
  } catch {
    // A full disk: the locks are all the same to be judged.
    return Date.now()
  } finally {
    await rm(path, { force: true })
  }
}

/** `gc.pid` names its process and host. git believes it for twelve hours, however dead the process. */
async function isHeldByNamed(path: string): Promise<boolean> {
  if (basename(path) !== 'gc.pid') return false
  const [, pid, host] = /^(\d+) (\S+)/.exec(await readFile(path, 'utf8').catch(() => '')) ?? []
  return host === hostname() && (await isLivingGit(Number(pid)))
}

/**
 * Removes the lock that was judged and no other: a process may have taken its place since, and that one is put
 * back. The look is at a name that nobody else uses, so that nothing can come between it and the removal; it is
 * outside of `refs`, where git would take it for a ref.
 */
async function discard(gitDir: string, { path, seen }: LockFile): Promise<boolean> {
  const present = await lstat(path).catch(() => undefined)
  if (present === undefined || !isSame(present, seen)) return false
  const aside = join(gitDir, `${asidePrefix}${uniqueName()}`)
  try {
    await rename(path, aside)
  } catch {
    return false
  }
  const isJudged = isSame(await lstat(aside), seen)
  if (!isJudged) await link(aside, path).catch(() => {})
  await rm(aside, { force: true })
  return isJudged
}

/** The time of the last change of the inode is left out: the renaming is one. */
function isSame(one: Stats, other: Stats): boolean {
  return one.ino === other.ino && one.size === other.size && one.mtimeMs === other.mtimeMs
}
