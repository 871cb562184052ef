// Worktrees: one folder of files for each commit. `checkOutWorktree` makes one, or repairs a published one in
// place: always the same steps, each of which may be done again, so that a published worktree is mended without
// ever being gone. What a killed run or a stranger left in a worktree's place is removed first, for it may hold
// files that are not the commit's. git's own folder for it is written by hand, in the
// format of gitrepository-layout(7): `git worktree add` would cost three processes (7 to 10 ms) and refuses to
// work on what exists. The files come from one `git reset --hard`.
import { cp, mkdir, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { exists } from '../../runtime/files.ts'
import { type CommitSha, isCommitSha } from '../../runtime/ids.ts'
import type { Logger } from '../../runtime/log.ts'
import { readLeases } from '../../runtime/worktree-lease.ts'
import type { Git } from '../git/git.ts'
import type { Layout } from './layout.ts'
import { closeToReaders, forgetLeases, openToReaders } from './leases.ts'
import { publishLink, readPublishedLink } from './publish-link.ts'
import { applySparseCheckout } from './sparse-checkout.ts'
import { type SubmodulesMode, updateSubmodules } from './submodules.ts'

/** What a worktree is to hold. */
export interface WorktreeContent {
  commit: CommitSha
  /** Path of the sparse-checkout file; empty: all files. */
  sparseCheckoutFile: string
  submodules: SubmodulesMode
  /** History of submodules; 0: all. */
  depth: number
}

/**
 * Makes the worktree of a commit complete; the commit must have been fetched.
 * @param isPublished whether readers use it: then it is repaired and never removed
 */
export async function checkOutWorktree(
  layout: Layout,
  git: Git,
  content: WorktreeContent,
  isPublished: boolean,
  now: number,
): Promise<void> {
  const { commit } = content
  if (!isPublished && !(await isFresh(layout, commit))) await removeLeftOver(layout, commit, now)
  try {
    await writeWorktree(layout, git, content, isPublished)
  } catch (error) {
    // What is half made takes space that the next try may need: the disk may be full.
    if (!isPublished) await removeLeftOver(layout, commit, now).catch(() => {})
    throw error
  }
}

/**
 * Makes a published worktree whole where that cannot be done in place: its index or the repositories of its
 * submodules are broken. Without an index of its own first; then anew, while readers find a copy of the files as
 * they are under the same last name. One that a reader holds by a lease is not made anew.
 * @returns false where it could not be
 */
export async function replaceWorktree(
  layout: Layout,
  git: Git,
  content: WorktreeContent,
  deps: { now: number; log: Logger },
): Promise<boolean> {
  const { commit } = content
  const path = layout.worktreePath(commit)
  // Somebody's git is at work here.
  if (await exists(join(layout.adminPath(commit), 'index.lock'))) return false
  await rm(join(layout.adminPath(commit), 'index'), { force: true })
  const isWhole = await writeWorktree(layout, git, content, true).then(
    () => true,
    () => false,
  )
  if (isWhole) return true
  if ((await readLeases(layout.root, commit, deps.now)).length > 0) return false
  deps.log.warn({ commit_sha: commit }, 'making the published worktree anew')
  const copies = join(layout.worktreesDir, '.copy')
  await rm(copies, { recursive: true, force: true })
  await cp(path, join(copies, commit), { recursive: true, verbatimSymlinks: true })
  await publishLink(layout.linkPath, join(copies, commit), deps.log)
  await removeWorktree(layout, commit)
  await writeWorktree(layout, git, content, false)
  await publishLink(layout.linkPath, path, deps.log)
  await rm(copies, { recursive: true, force: true })
  return true
}

async function writeWorktree(
  layout: Layout,
  git: Git,
  { commit, sparseCheckoutFile, submodules, depth }: WorktreeContent,
  isPublished: boolean,
): Promise<void> {
  const path = layout.worktreePath(commit)
  await openToReaders(layout.root, commit)
  await makeFolder(layout.worktreesDir)
  await makeFolder(path)
  await writeAdminFolder(layout, commit)
  await writeIfOther(join(path, '.git'), `gitdir: ../../.git/worktrees/${commit}\n`)
  await applySparseCheckout(layout, git, commit, sparseCheckoutFile)
  // Without an index git would write every file anew, also those that are right, under the eyes of readers.
  const hasIndex = await exists(join(layout.adminPath(commit), 'index'))
  if (isPublished && !hasIndex) await git.resetIndex(path, commit)
  await git.resetHard(path, commit)
  const isSparse = sparseCheckoutFile !== ''
  await updateSubmodules(layout, git, commit, { mode: submodules, depth, isSparse })
  await writeFile(layout.completeMark(commit), '')
}

/** Whether the worktree was finished and is still there; looks at three files and not at the contents. */
export async function isComplete(layout: Layout, commit: CommitSha): Promise<boolean> {
  const head = readFile(join(layout.adminPath(commit), 'HEAD'), 'utf8').catch(() => '')
  const marks = [layout.completeMark(commit), join(layout.worktreePath(commit), '.git')]
  const found = await Promise.all(marks.map((mark) => stat(mark).catch(() => undefined)))
  return found.every((mark) => mark?.isFile() === true) && (await head) === `${commit}\n`
}

/** Notes that readers may have used the worktree: from now on it is not taken for a fresh one. */
export async function markPublished(layout: Layout, commit: CommitSha): Promise<void> {
  await writeFile(layout.completeMark(commit), 'published\n')
}

/** Complete and never published: a gate refused it, or the run ended before it was. Its files need a look only. */
async function isFresh(layout: Layout, commit: CommitSha): Promise<boolean> {
  return (await isComplete(layout, commit)) && (await readFile(layout.completeMark(commit), 'utf8')) === ''
}

/** Notes that the worktree was replaced now; the stale timeout counts from here. */
export async function markReplaced(layout: Layout, commit: CommitSha, now: number): Promise<void> {
  await utimes(layout.worktreePath(commit), now / 1_000, now / 1_000).catch(() => {})
}

/**
 * Removes what nothing needs: every entry but the kept commits that was replaced longer ago than `staleMs` and
 * that no reader holds.
 * @returns how many were removed
 */
export async function removeStaleWorktrees(options: {
  layout: Layout
  kept: readonly CommitSha[]
  staleMs: number
  now: number
  log: Logger
}): Promise<number> {
  const { layout, kept, staleMs, now, log } = options
  let removed = 0
  for (const name of await readdir(layout.worktreesDir).catch(() => [])) {
    if (kept.some((commit) => commit === name)) continue
    const path = join(layout.worktreesDir, name)
    const replaced = await stat(path).catch(() => undefined)
    if (replaced !== undefined && now - replaced.mtimeMs < staleMs) continue
    // What is published now, whoever published it.
    const published = await readPublishedLink(layout.linkPath)
    if (published !== undefined && `${published.target}/`.startsWith(`${path}/`)) continue
    if (!isCommitSha(name)) {
      await rm(path, { recursive: true, force: true })
      continue
    }
    const held = await closeToReaders(layout.root, name, now)
    if (held.length > 0) {
      log.debug({ commit_sha: name, owners: held.map(({ owner }) => owner) }, 'worktree is held by readers')
      continue
    }
    await removeWorktree(layout, name)
    log.info({ commit_sha: name }, 'removed worktree')
    removed += 1
  }
  return removed
}

/** How git-sync 3 called its worktrees, and its first versions. */
const oldWorktreeName = /^(?:rev-)?[0-9a-f]{40}$/

/** Removes the worktrees of git-sync 3, which stood in the root itself; to be called when something else is published. */
export async function removeOldLayout(layout: Layout, log: Logger): Promise<void> {
  for (const entry of await readdir(layout.root, { withFileTypes: true })) {
    if (!entry.isDirectory() || !oldWorktreeName.test(entry.name)) continue
    const path = join(layout.root, entry.name)
    const marker = await readFile(join(path, '.git'), 'utf8').catch(() => '')
    if (!marker.startsWith('gitdir: ')) continue
    await rm(path, { recursive: true, force: true })
    log.info({ path }, 'removed a worktree of an older layout')
  }
}

/** Removes what killed runs left half made, and nobody reads. */
export async function removeHalfMade(
  layout: Layout,
  published: CommitSha | undefined,
  now: number,
  staleMs: number,
): Promise<void> {
  for (const name of await readdir(layout.worktreesDir).catch(() => [])) {
    if (!isCommitSha(name) || name === published || (await isComplete(layout, name))) continue
    const made = await stat(layout.worktreePath(name)).catch(() => undefined)
    if (made !== undefined && now - made.mtimeMs < staleMs) continue
    await removeLeftOver(layout, name, now)
  }
}

/** Unless a reader holds it: that one is repaired in place. */
async function removeLeftOver(layout: Layout, commit: CommitSha, now: number): Promise<void> {
  const places = [layout.worktreePath(commit), layout.adminPath(commit)]
  const found = await Promise.all(places.map(exists))
  if (!found.some(Boolean)) return
  if ((await closeToReaders(layout.root, commit, now)).length === 0) await removeWorktree(layout, commit)
}

async function removeWorktree(layout: Layout, commit: CommitSha): Promise<void> {
  // The mark goes first: a run that is killed here leaves a worktree that does not claim to be complete.
  await rm(layout.completeMark(commit), { force: true })
  await rm(layout.worktreePath(commit), { recursive: true, force: true })
  await rm(layout.adminPath(commit), { recursive: true, force: true })
  await forgetLeases(layout.root, commit)
}

/** git's folder appears whole, by a rename: git takes one without its three files for damage. */
async function writeAdminFolder(layout: Layout, commit: CommitSha): Promise<void> {
  const path = layout.adminPath(commit)
  const gitdir = `${join(layout.worktreePath(commit), '.git')}\n`
  const files = { HEAD: `${commit}\n`, commondir: '../..\n', gitdir }
  const exists = await stat(path).catch(() => undefined)
  if (exists?.isDirectory()) {
    for (const [name, text] of Object.entries(files)) await writeIfOther(join(path, name), text)
    return
  }
  const draft = join(layout.gitDir, `worktree-${commit}.tmp`)
  await rm(draft, { recursive: true, force: true })
  await mkdir(draft, { recursive: true })
  for (const [name, text] of Object.entries(files)) await writeFile(join(draft, name), text)
  await makeFolder(join(layout.gitDir, 'worktrees'))
  await rm(path, { force: true })
  await rename(draft, path)
}

/** Replaced by a rename, so that a reader of a published worktree never finds half a file. */
async function writeIfOther(path: string, text: string): Promise<void> {
  if ((await readFile(path, 'utf8').catch(() => undefined)) === text) return
  await rm(`${path}.tmp`, { recursive: true, force: true })
  await writeFile(`${path}.tmp`, text)
  if ((await stat(path).catch(() => undefined))?.isDirectory()) await rm(path, { recursive: true })
  await rename(`${path}.tmp`, path)
}

/** Where something else than a folder has its place, that goes. */
async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true, mode: 0o775 })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    await rm(path, { force: true })
    await mkdir(path, { recursive: true, mode: 0o775 })
  }
}
