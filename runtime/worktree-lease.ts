// Leases on worktrees: how a reader of a published commit keeps `sync` from removing its worktree. The format
// is on disk, because reader and `sync` are different processes, often in different containers that share
// nothing but the volume:
//
//   <root>/.worktrees/<commit>/               the worktree that is held
//   <root>/.leases/<commit>/<owner>.json      one lease: {"owner", "time", "expires_at"}, replaced by rename
//   <root>/.leases/<commit>/removing          `sync` is about to remove this worktree: too late to hold it
//
// Neither side locks. A reader writes its lease and then looks for the mark; `sync` sets the mark and then looks
// for leases. Whatever the order, at least one of them sees the other and steps back, so a worktree is never
// removed under a reader that was told it holds it. A lease whose owner died ends with its `expires_at`.
import type { Stats } from 'node:fs'
import { lstat, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { type Clock, systemClock } from './clock.ts'
import { NotFoundError } from './errors.ts'
import { exists } from './files.ts'
import { type CommitSha, isCommitSha } from './ids.ts'

/** Folder of the worktrees in the root that `sync` owns; a worktree's own folder is named by its commit. */
export const worktreesFolder = '.worktrees'
/** Folder of the leases beside it. */
export const leasesFolder = '.leases'
/** The mark that `sync` sets in a commit's lease folder before it removes the worktree. */
export const removingMark = 'removing'

/**
 * A lease is good for this long after each renewal. Shorter: a reader that is stopped for a moment (a laptop's
 * lid, a busy volume) loses what it reads. Longer: a dead reader keeps its worktree on disk that much longer.
 */
const defaultLeaseMs = 60_000

/** No lease is larger. */
const maxLeaseBytes = 64 * 1024

/** A lease as it stands on disk. Times are ISO 8601, UTC. */
export interface LeaseFile {
  owner: string
  /** When it was last written. */
  time: string
  expires_at: string
}

/** A worktree that a reader holds. */
export interface WorktreeLease {
  commit: CommitSha
  /** Gives the worktree back; may be called twice. */
  release(): Promise<void>
  /** Renews no more; the lease stays on disk until it runs out. */
  abandon(): void
  [Symbol.asyncDispose](): Promise<void>
}

/**
 * Root and commit of a path like `<root>/.worktrees/<commit>`.
 * @returns undefined for any other path, for instance a plain directory that no `sync` made
 */
export function worktreeOf(path: string): { root: string; commit: CommitSha } | undefined {
  const commit = basename(path)
  const folder = dirname(path)
  if (!isCommitSha(commit) || basename(folder) !== worktreesFolder) return undefined
  return { root: dirname(folder), commit }
}

/** Where the leases of a commit are. */
export function leaseFolder(root: string, commit: CommitSha): string {
  return join(root, leasesFolder, commit)
}

/**
 * Holds a worktree until it is released, renewing the lease in the background at a third of its length.
 * @param hold.sourcePath `<root>/.worktrees/<commit>`, its real path and not the published link
 * @param hold.owner names the reader; one lease per owner and commit, so a second hold by the same owner shares
 * the first one's file
 * @param hold.onLost told when a renewal fails (a full disk, a volume gone); the next renewal is tried all the same
 * @returns undefined where the path is no worktree of a `sync`: nobody removes it, so nothing is to be held
 * @throws NotFoundError where the worktree is gone or is being removed: read the link again and hold what it names
 */
export async function holdWorktree(hold: {
  sourcePath: string
  owner: string
  leaseMs?: number
  clock?: Clock
  onLost?: (error: unknown) => void
}): Promise<WorktreeLease | undefined> {
  const worktree = worktreeOf(hold.sourcePath)
  if (worktree === undefined) return undefined
  const { leaseMs = defaultLeaseMs, clock = systemClock, owner } = hold
  const folder = leaseFolder(worktree.root, worktree.commit)
  const path = join(folder, `${encodeURIComponent(owner)}.json`)

  const write = async (): Promise<void> => {
    const now = clock.now()
    const lease: LeaseFile = {
      owner,
      time: new Date(now).toISOString(),
      expires_at: new Date(now + leaseMs).toISOString(),
    }
    await mkdir(folder, { recursive: true })
    await writeFile(`${path}.tmp`, `${JSON.stringify(lease)}\n`)
    await rename(`${path}.tmp`, path)
  }

  await write()
  if ((await exists(join(folder, removingMark))) || !(await exists(hold.sourcePath))) {
    await rm(path, { force: true })
    throw new NotFoundError(
      `commit ${worktree.commit} is no longer in ${worktree.root}: its worktree was replaced and is being removed. Read the published link again and use the commit that it names`,
      { details: { commit_sha: worktree.commit, path: hold.sourcePath } },
    )
  }

  let released = false
  let writing: Promise<void> = Promise.resolve()
  const timer = setInterval(() => {
    writing = writing.then(() => (released ? undefined : write())).catch((error) => hold.onLost?.(error))
  }, leaseMs / 3)
  timer.unref()
  const release = async (): Promise<void> => {
    released = true
    clearInterval(timer)
    await writing
    await rm(path, { force: true })
  }
  const abandon = () => clearInterval(timer)
  return { commit: worktree.commit, release, abandon, [Symbol.asyncDispose]: release }
}

/**
 * The leases on a commit that have not expired. A file that cannot be read as a lease counts for as long as a
 * lease lasts after it was written, so that a reader of another version is not overlooked.
 */
export async function readLeases(root: string, commit: CommitSha, now: number): Promise<LeaseFile[]> {
  const folder = leaseFolder(root, commit)
  const names = await readdir(folder).catch(() => [])
  const leases = await Promise.all(
    names.filter((name) => name.endsWith('.json')).map((name) => readLease(join(folder, name))),
  )
  return leases.filter((lease) => lease !== undefined && Date.parse(lease.expires_at) > now) as LeaseFile[]
}

async function readLease(path: string): Promise<LeaseFile | undefined> {
  const found = await lstat(path).catch(() => undefined)
  if (found === undefined) return undefined
  // Whoever shares the volume may put anything here: a pipe would be waited for, for ever.
  if (!found.isFile() || found.size > maxLeaseBytes) return undatedLease(path, found)
  try {
    const lease = JSON.parse(await readFile(path, 'utf8')) as LeaseFile
    if (Number.isFinite(Date.parse(lease.expires_at))) return lease
  } catch {}
  return undatedLease(path, found)
}

function undatedLease(path: string, written: Stats): LeaseFile {
  return {
    owner: basename(path, '.json'),
    time: written.mtime.toISOString(),
    expires_at: new Date(written.mtimeMs + defaultLeaseMs).toISOString(),
  }
}
