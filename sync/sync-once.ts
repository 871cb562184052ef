// One sync: from whatever is on disk to the newest commit published. Each pass begins with what it finds and
// needs nothing of the one before, so that it may be killed at any step and simply be done again.
//
// What it costs in git processes: nothing new on a poll: one `ls-remote`. A new commit: that, `fetch` and `reset`
// (of a tag, `rev-parse` too); by a wake, which says that something is new, the `ls-remote` is left out.
import { rename, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '../runtime/clock.ts'
import { type CommitSha, isCommitSha } from '../runtime/ids.ts'
import type { Logger } from '../runtime/log.ts'
import type { Git, RemoteRef } from './git/git.ts'
import { type Layout, ownBranch } from './root/layout.ts'
import { type Published, publishLink, readPublishedLink } from './root/publish-link.ts'
import { recoverRoot } from './root/recover.ts'
import { checkOutWorktree, isComplete, markReplaced, removeStaleWorktrees } from './root/worktrees.ts'

/**
 * Why a pass is made. `check`: the first of a process, after a failure, and on a slow rhythm: trusts nothing that
 * is on disk. `poll`: the period is over. `wake`: somebody says that there is something new.
 */
export type PassReason = 'check' | 'poll' | 'wake'

export interface SyncDeps {
  layout: Layout
  /** Of this pass: carries its deadline and credentials. */
  git: Git
  repo: string
  ref: string
  depth: number
  clock: Clock
  log: Logger
}

export interface SyncResult {
  commit: CommitSha
  /** Whether the link was changed. */
  isChanged: boolean
}

/** @throws GitError, ConfigError; what was published before stays published */
export async function syncOnce(deps: SyncDeps, reason: PassReason): Promise<SyncResult> {
  const { layout, git, log } = deps
  if (reason === 'check') await recoverRoot(layout, git, log)
  const published = await readPublishedLink(layout.linkPath)
  const isIntact = published !== undefined && (await isPublishedWell(layout, published))
  if (reason === 'poll' && isIntact && (await isUpToDate(deps, published.commit))) {
    return { commit: published.commit, isChanged: false }
  }

  const commit = await fetchCommit(deps)
  const isCurrent = isIntact && published.commit === commit
  if (isCurrent && reason !== 'check') return { commit, isChanged: false }
  if (!isCurrent)
    log.info({ ref: deps.ref, remote: commit, local: published?.commit ?? null }, 'update required')
  await checkOutWorktree(layout, git, commit)
  if (isCurrent) return { commit, isChanged: false }
  await publishLink(layout.linkPath, layout.worktreePath(commit), log)
  if (published !== undefined && published.commit !== commit) {
    await markReplaced(layout, published.commit, deps.clock.now())
  }
  log.info({ ref: deps.ref, remote: commit }, 'updated successfully')
  return { commit, isChanged: true }
}

/** After a sync: what readers need not wait for. Its failure is not the sync's. */
export async function cleanUp(deps: SyncDeps, commit: CommitSha, staleMs: number): Promise<void> {
  const { layout, git, log } = deps
  await setOwnBranch(layout, commit)
  const removed = await removeStaleWorktrees({
    layout,
    published: commit,
    staleMs,
    now: deps.clock.now(),
    log,
  })
  if (removed > 0) await git.collectGarbage()
}

async function isPublishedWell(layout: Layout, published: Published): Promise<boolean> {
  return (
    published.target === layout.worktreePath(published.commit) && (await isComplete(layout, published.commit))
  )
}

async function isUpToDate(deps: SyncDeps, published: CommitSha): Promise<boolean> {
  if (isCommitSha(deps.ref)) return deps.ref === published
  const refs = await deps.git.lsRemote(deps.repo, deps.ref)
  // Where nothing has the name, fetching says so in git's own words.
  return resolveRef(refs, deps.ref)?.hash === published
}

/** The rules by which git looks a short name up, in their order (gitrevisions(7)). */
const lookupRules = ['', 'refs/', 'refs/tags/', 'refs/heads/', 'refs/remotes/'] as const

/** The row that a fetch of `ref` would take, peeled: of an annotated tag, that of its commit. */
export function resolveRef(refs: readonly RemoteRef[], ref: string): RemoteRef | undefined {
  const named = (name: string) => refs.find((row) => row.name === name)
  for (const rule of lookupRules) {
    const row = named(`${rule}${ref}`)
    if (row !== undefined) return named(`${row.name}^{}`) ?? row
  }
  return undefined
}

async function fetchCommit({ layout, git, repo, ref, depth }: SyncDeps): Promise<CommitSha> {
  const isShallow = (await stat(join(layout.gitDir, 'shallow')).catch(() => undefined)) !== undefined
  return git.fetch({ repo, ref, depth, unshallow: depth === 0 && isShallow })
}

/**
 * The repository's own HEAD names the published commit, as git-sync leaves it for those who look. Written as a
 * file, by a rename: `git reset --soft` or `update-ref` would cost a process, and wedges on a left lock.
 */
async function setOwnBranch(layout: Layout, commit: CommitSha): Promise<void> {
  const path = join(layout.gitDir, 'refs', 'heads', ownBranch)
  await writeFile(`${path}.new`, `${commit}\n`)
  await rename(`${path}.new`, path)
}
