// The writer's half of the leases on worktrees (the readers' half and the format: runtime/worktree-lease.ts).
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { CommitSha } from '../../runtime/ids.ts'
import { type LeaseFile, leaseFolder, readLeases, removingMark } from '../../runtime/worktree-lease.ts'

/**
 * Closes a worktree to new readers, unless some hold it.
 * @returns the leases that keep it, and then nothing has changed; or none: it may be removed
 */
export async function closeToReaders(root: string, commit: CommitSha, now: number): Promise<LeaseFile[]> {
  const held = await readLeases(root, commit, now)
  if (held.length > 0) return held
  const folder = leaseFolder(root, commit)
  await mkdir(folder, { recursive: true, mode: 0o775 })
  await writeFile(join(folder, removingMark), '')
  // A reader may have come between the look and the mark: it sees the mark and steps back, and so do we.
  const late = await readLeases(root, commit, now)
  if (late.length > 0) await openToReaders(root, commit)
  return late
}

/** Takes the mark back: readers may hold the worktree. */
export async function openToReaders(root: string, commit: CommitSha): Promise<void> {
  await rm(join(leaseFolder(root, commit), removingMark), { force: true })
}

/** Forgets a commit whose worktree is removed. */
export async function forgetLeases(root: string, commit: CommitSha): Promise<void> {
  await rm(leaseFolder(root, commit), { recursive: true, force: true })
}
