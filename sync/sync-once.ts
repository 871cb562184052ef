// One sync: from whatever is on disk to the newest commit published. Each pass begins with what it finds and
// needs nothing of the one before, so that it may be killed at any step and simply be done again.
//
// What it costs in git processes: nothing new on a poll: one `ls-remote`. A new commit: that, `fetch` and `reset`
// (of a tag, `rev-parse` too); by a wake, which says that something is new, the `ls-remote` is left out.
import { readdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Clock } from '../runtime/clock.ts'
import { GateError, GitError, messageOf } from '../runtime/errors.ts'
import { type CommitSha, isCommitSha } from '../runtime/ids.ts'
import type { Logger } from '../runtime/log.ts'
import type { Git, RemoteRef } from './git/git.ts'
import { collectGarbage, type GcMode } from './root/garbage.ts'
import { type Layout, ownBranch } from './root/layout.ts'
import { ensureOrigin } from './root/origin.ts'
import { type Published, publishLink, readPublishedLink } from './root/publish-link.ts'
import { recoverRoot } from './root/recover.ts'
import type { SubmodulesMode } from './root/submodules.ts'
import {
  checkOutWorktree,
  isComplete,
  markPublished,
  markReplaced,
  removeHalfMade,
  removeStaleWorktrees,
} from './root/worktrees.ts'

/**
 * Why a pass is made. `start`: the first of a process: trusts nothing that is on disk, and makes the published
 * tree what its commit says. `check`: after a failure, and on a slow rhythm: the same, but for files that were
 * changed on purpose (by a hook). `poll`: the period is over. `wake`: somebody says that there is something new.
 */
export type PassReason = 'start' | 'check' | 'poll' | 'wake'

/** The steps of a pass that are timed. */
export type Phase = 'recover' | 'ls_remote' | 'fetch' | 'checkout' | 'before_publish' | 'publish' | 'cleanup'

export interface SyncDeps {
  layout: Layout
  /** Of this pass: carries its deadline and credentials. */
  git: Git
  repo: string
  ref: string
  depth: number
  filter: string
  sparseCheckoutFile: string
  submodules: SubmodulesMode
  clock: Clock
  log: Logger
  /** Paths in the published tree that are not as the commit has them and were not changed on purpose. */
  findDamage: (published: CommitSha, isThorough: boolean) => Promise<string[]>
  /** What publication waits for. @throws GateError where the commit must not be published */
  beforePublish: (commit: CommitSha) => Promise<void>
  onPhase: (phase: Phase, durationMs: number) => void
  /** Told after each fetch. */
  onFetch: (fetched: { bytes: number; durationMs: number }) => void
}

export interface SyncResult {
  /** What is published now; undefined: nothing, for the first commit was refused. */
  commit: CommitSha | undefined
  /** Whether the link was changed. */
  isChanged: boolean
  /** Whether files of the published tree were repaired. */
  isRepaired: boolean
  /** The newer commit that may not be published, and why. */
  refused?: { commit: CommitSha; error: GateError }
}

/** @throws GitError, ConfigError; what was published before stays published */
export async function syncOnce(deps: SyncDeps, reason: PassReason): Promise<SyncResult> {
  if (reason === 'start' || reason === 'check') {
    await recover(deps)
    return pass(deps, reason)
  }
  try {
    return await pass(deps, reason)
  } catch (error) {
    // The fault may be in the root: where there is something to mend, it was no failure of the remote's.
    if (!(error instanceof GitError) || !(await recover(deps).catch(() => false))) throw error
    deps.log.warn({ error: messageOf(error) }, 'mended the root, syncing again')
    return pass(deps, 'check')
  }
}

async function pass(deps: SyncDeps, reason: PassReason): Promise<SyncResult> {
  const { layout, git, log } = deps
  const isCheck = reason === 'start' || reason === 'check'
  const published = await readPublishedLink(layout.linkPath)
  const isIntact = published !== undefined && (await isPublishedWell(layout, published))
  const damage = isIntact && reason !== 'start' ? await deps.findDamage(published.commit, isCheck) : []
  if (reason === 'poll' && isIntact && damage.length === 0) {
    const isCurrent = await timed(deps, 'ls_remote', () => isUpToDate(deps, published.commit))
    if (isCurrent) return { commit: published.commit, isChanged: false, isRepaired: false }
  }

  const commit = await timed(deps, 'fetch', () => fetchCommit(deps))
  const isCurrent = isIntact && published.commit === commit
  if (isCurrent && reason !== 'start' && damage.length === 0) {
    return { commit, isChanged: false, isRepaired: false }
  }
  if (isCurrent && damage.length > 0) {
    log.warn({ commit_sha: commit, paths: damage.slice(0, 10) }, 'repairing the published files')
  }
  if (!isCurrent)
    log.info({ ref: deps.ref, remote: commit, local: published?.commit ?? null }, 'update required')
  // Also where the tree is damaged beyond `isIntact`: while the link names it, readers may use it.
  const isInUse = published?.target === layout.worktreePath(commit)
  await timed(deps, 'checkout', () =>
    checkOutWorktree(layout, git, { ...deps, commit }, isInUse, deps.clock.now()),
  )
  if (isCurrent) return { commit, isChanged: false, isRepaired: damage.length > 0 }
  try {
    // A tree that is in use was let through before.
    if (!isInUse) await timed(deps, 'before_publish', () => deps.beforePublish(commit))
  } catch (error) {
    if (!(error instanceof GateError)) throw error
    return { commit: published?.commit, isChanged: false, isRepaired: false, refused: { commit, error } }
  }
  await timed(deps, 'publish', () => publish(deps, commit, published))
  log.info({ ref: deps.ref, remote: commit }, 'updated successfully')
  return { commit, isChanged: true, isRepaired: isInUse }
}

/** After a sync: what readers need not wait for. Its failure is not the sync's. */
export async function cleanUp(
  deps: SyncDeps,
  options: { published: CommitSha; kept: readonly CommitSha[]; staleMs: number; gc: GcMode },
): Promise<void> {
  const { layout, git, log, clock } = deps
  const { published, kept, staleMs, gc } = options
  await timed(deps, 'cleanup', async () => {
    await setOwnBranch(layout, published)
    const stale = { layout, kept: [published, ...kept], staleMs, now: clock.now(), log }
    if ((await removeStaleWorktrees(stale)) > 0) await collectGarbage(layout, git, gc)
  })
}

/** Whether there was anything to mend. */
async function recover(deps: SyncDeps): Promise<boolean> {
  const { layout, git, repo, clock, log } = deps
  return timed(deps, 'recover', async () => {
    const isMended = await recoverRoot(layout, git, log)
    await ensureOrigin(layout, git, repo)
    await removeHalfMade(layout, (await readPublishedLink(layout.linkPath))?.commit, clock.now())
    return isMended
  })
}

async function publish(
  { layout, clock, log }: SyncDeps,
  commit: CommitSha,
  replaced: Published | undefined,
): Promise<void> {
  await markPublished(layout, commit)
  await publishLink(layout.linkPath, layout.worktreePath(commit), log)
  if (replaced === undefined || replaced.target === layout.worktreePath(commit)) return
  // git-sync 3 had its worktrees in the root itself.
  if (dirname(replaced.target) === layout.root) await rm(replaced.target, { recursive: true, force: true })
  else await markReplaced(layout, replaced.commit, clock.now())
}

async function timed<Result>(deps: SyncDeps, phase: Phase, step: () => Promise<Result>): Promise<Result> {
  const start = performance.now()
  try {
    return await step()
  } finally {
    deps.onPhase(phase, performance.now() - start)
  }
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

async function fetchCommit(deps: SyncDeps): Promise<CommitSha> {
  const { layout, git, repo, ref, depth, filter } = deps
  const isShallow = (await stat(join(layout.gitDir, 'shallow')).catch(() => undefined)) !== undefined
  const packedBefore = await packedBytes(layout)
  const start = performance.now()
  const commit = await git.fetch({ repo, ref, depth, filter, unshallow: depth === 0 && isShallow })
  const durationMs = performance.now() - start
  deps.onFetch({ bytes: Math.max(0, (await packedBytes(layout)) - packedBefore), durationMs })
  return commit
}

/** What the repository's packs hold; each fetch adds one, as it came over the wire. */
async function packedBytes(layout: Layout): Promise<number> {
  const folder = join(layout.gitDir, 'objects', 'pack')
  const names = await readdir(folder).catch(() => [])
  const packs = names.filter((name) => name.endsWith('.pack'))
  const sizes = await Promise.all(packs.map(async (name) => (await stat(join(folder, name))).size))
  return sizes.reduce((sum, size) => sum + size, 0)
}

/**
 * The repository's own HEAD names the published commit, as git-sync leaves it for those who look. Written as a
 * file, by a rename: `git reset --soft` or `update-ref` would cost a process, and wedges on a left lock.
 */
async function setOwnBranch(layout: Layout, commit: CommitSha): Promise<void> {
  // Not beside it: whatever is below `refs` is a ref to git, half written or not.
  const draft = join(layout.gitDir, `${ownBranch}.tmp`)
  await writeFile(draft, `${commit}\n`)
  await rename(draft, join(layout.gitDir, 'refs', 'heads', ownBranch))
}
