// The published link: the one thing that consumers rely on. It is relative, so that the volume may be mounted
// elsewhere, and changed by renaming another link over it, so that every reader finds the old target or the new.
import { lstat, readlink, realpath, rename, rm, rmdir, symlink } from 'node:fs/promises'
import { basename, dirname, join, relative, resolve } from 'node:path'
import { makeFolders } from '../../runtime/files.ts'
import { type CommitSha, isCommitSha } from '../../runtime/ids.ts'
import type { Logger } from '../../runtime/log.ts'

/** What the link names now. */
export interface Published {
  commit: CommitSha
  /** Absolute; another than `<root>/.worktrees/<commit>` where an older layout made it. */
  target: string
}

/** @returns undefined where there is no link, or one whose target is not named by a commit */
export async function readPublishedLink(linkPath: string): Promise<Published | undefined> {
  const text = await readlink(linkPath).catch(() => undefined)
  if (text === undefined) return undefined
  const folder = await realpath(dirname(linkPath))
  const target = resolve(folder, text)
  const commit = basename(target)
  return isCommitSha(commit) ? { commit, target } : undefined
}

/** When the link was last changed; undefined where there is none. */
export async function publishedAt(linkPath: string): Promise<Date | undefined> {
  return (await lstat(linkPath).catch(() => undefined))?.mtime
}

/**
 * Points the link at the target, which must be complete: from here on readers use it. What else stands in the
 * link's place is moved aside, never deleted: it may be somebody's.
 */
export async function publishLink(linkPath: string, target: string, log: Logger): Promise<void> {
  await makeFolders(dirname(linkPath), 0o775)
  const folder = await realpath(dirname(linkPath))
  const draft = join(folder, `.${basename(linkPath)}.tmp-link`)
  // A run that was killed between the next two steps leaves its draft; `symlink` would fail on it for ever.
  await rm(draft, { force: true, recursive: true })
  await symlink(relative(folder, target), draft)
  await clearPlace(linkPath, log)
  await rename(draft, linkPath)
}

async function clearPlace(linkPath: string, log: Logger): Promise<void> {
  const found = await lstat(linkPath).catch(() => undefined)
  if (found === undefined || found.isSymbolicLink()) return
  const emptied =
    found.isDirectory() &&
    (await rmdir(linkPath).then(
      () => true,
      () => false,
    ))
  if (emptied) return
  const aside = await freeName(`${linkPath}.before-sync`)
  await rename(linkPath, aside)
  log.warn({ path: linkPath, moved_to: aside }, 'moved aside what was in the place of the link')
}

async function freeName(path: string): Promise<string> {
  for (let number = 0; ; number += 1) {
    const name = number === 0 ? path : `${path}.${number}`
    const taken = await lstat(name).catch(() => undefined)
    if (taken === undefined) return name
  }
}
