// One sync: from whatever is on disk to the newest commit published. Each pass begins with what it finds and
// needs nothing of the one before, so that it may be killed at any step and simply be done again.
//
// What it costs in git processes: nothing new on a poll: one `ls-remote`. A new commit: that, `fetch` and `reset`
// (of a tag, `rev-parse` too); by a wake, which says that something is new, the `ls-remote` is left out.
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '../runtime/clock.ts'
import { GateError, GitError, messageOf } from '../runtime/errors.ts'
import { type CommitSha, isCommitSha } from '../runtime/ids.ts'
import type { Logger } from '../runtime/log.ts'
import type { Git } from './git/git.ts'
import { resolveRef } from './git/ref-names.ts'
import { collectGarbage, type GcMode } from './root/garbage.ts'
import type { Layout } from './root/layout.ts'
import { ensureOrigin } from './root/origin.ts'
import { setOwnBranch } from './root/own-branch.ts'
import { type Published, publishLink, readPublishedLink } from './root/publish-link.ts'
import { recoverRoot } from './root/recover.ts'
import type { SubmodulesMode } from './root/submodules.ts'
import {
  checkOutWorktree,
  isComplete,
  markPublished,
  markReplaced,
  removeHalfMade,
  removeOldLayout,
  removeStaleWorktrees,
  replaceWorktree,
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
  /** How long a worktree is kept after it was replaced. */
  staleMs: number
  sparseCheckoutFile: string
  submodules: SubmodulesMode
  clock: Clock
  log: Logger
  /** Paths in the published tree that are not as the commit has them and were not changed on purpose. */
  findDamage: (published: CommitSha, isThorough: boolean) => Promise<string[]>
  /** What publication waits for. @throws GateError where the commit must not be published */
  beforePublish: (commit: CommitSha) => Promise<void>
  /** The refusal of the commit that still stands: it need not be tried again yet. */
  refusalOf: (commit: string) => Refusal | undefined
  /** Told when published files were put back, whatever comes of the rest of the pass. */
  onRepaired: (commit: CommitSha) => void
  /** Told when files are to be checked out, whatever comes of it. */
  onUpdateRequired: () => void
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
  refused?: Refusal
}

/** A commit that the gate did not let pass. */
export interface Refusal {
  commit: CommitSha
  error: GateError
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

/**
 * Heal, ask, fetch, check out, wait for the gate, publish. What is published is healed before the remote is asked,
 * which may be away; at a start, when a restart is to undo changes that were made on purpose too, only once it is
 * known that no other commit takes its place.
 */
async function pass(deps: SyncDeps, reason: PassReason): Promise<SyncResult> {
  const published = await readPublishedLink(deps.layout.linkPath)
  const isWholeAtFirst = published !== undefined && (await isIntact(deps.layout, published))
  const isRepaired = await heal(deps, published, isWholeAtFirst, reason)
  const keep = async (): Promise<SyncResult> => {
    const isWhole = published !== undefined && (await isIntact(deps.layout, published))
    return { commit: isWhole ? published.commit : undefined, isChanged: false, isRepaired }
  }

  if (reason === 'poll' && published !== undefined && (isWholeAtFirst || isRepaired)) {
    const remote = await timed(deps, 'ls_remote', () => askRemote(deps))
    if (remote === published.commit) return keep()
    const standing = remote === undefined ? undefined : deps.refusalOf(remote)
    if (standing !== undefined) return { ...(await keep()), refused: standing }
  }
  try {
    return await update(deps, reason, published, keep)
  } catch (error) {
    // What a restart owes the published tree does not depend on the remote.
    if (reason === 'start') await restore(deps, published).catch(() => {})
    throw error
  }
}

async function update(
  deps: SyncDeps,
  reason: PassReason,
  published: Published | undefined,
  keep: () => Promise<SyncResult>,
): Promise<SyncResult> {
  const { layout, log } = deps
  const commit = await timed(deps, 'fetch', () => fetchCommit(deps))
  const isWhole = published !== undefined && (await isIntact(layout, published))
  const isCurrent = isWhole && published.commit === commit
  if (isCurrent && reason !== 'start') return keep()
  const standing = isCurrent ? undefined : deps.refusalOf(commit)
  if (standing !== undefined) return { ...(await keep()), refused: standing }
  deps.onUpdateRequired()
  log.info({ ref: deps.ref, remote: commit, local: published?.commit ?? null }, 'update required')

  // A tree that the link names may be in use: it is repaired, and was let through before.
  const isInUse = published?.target === layout.worktreePath(commit)
  await timed(deps, 'checkout', () => checkOut(deps, commit, isInUse))
  if (isCurrent) {
    log.info({ ref: deps.ref, remote: commit }, 'updated successfully')
    return keep()
  }
  if (!isInUse) {
    const refused = await timed(deps, 'before_publish', () => askGate(deps, commit))
    if (refused !== undefined) {
      if (reason === 'start') await restore(deps, published).catch(() => {})
      return { ...(await keep()), refused }
    }
  }
  await timed(deps, 'publish', () => publish(deps, commit, published))
  log.info({ ref: deps.ref, remote: commit }, 'updated successfully')
  return { commit, isChanged: true, isRepaired: isInUse }
}

/**
 * Puts back what is missing or changed in the published tree, as far as the objects for it are here.
 * @returns whether files were put back
 */
async function heal(
  deps: SyncDeps,
  published: Published | undefined,
  isWhole: boolean,
  reason: PassReason,
): Promise<boolean> {
  if (reason === 'start' || published === undefined) return false
  const paths = isWhole ? await deps.findDamage(published.commit, reason === 'check') : ['.']
  if (paths.length === 0) return false
  deps.log.warn({ commit_sha: published.commit, paths: paths.slice(0, 10) }, 'repairing the published files')
  try {
    const isRestored = await timed(deps, 'checkout', () => restore(deps, published))
    if (isRestored) deps.onRepaired(published.commit)
    return isRestored
  } catch (error) {
    // The repository may lack what the tree is made of: then the fetch brings it, or another commit.
    if (!(error instanceof GitError) || isWhole) throw error
    return false
  }
}

/** Makes the published files what their commit says; false where the link names a tree of another layout. */
async function restore(deps: SyncDeps, published: Published | undefined): Promise<boolean> {
  if (published === undefined || published.target !== deps.layout.worktreePath(published.commit)) return false
  await checkOut(deps, published.commit, true)
  return true
}

async function checkOut(deps: SyncDeps, commit: CommitSha, isInUse: boolean): Promise<void> {
  const { layout, git, clock, log } = deps
  const content = { ...deps, commit }
  try {
    await checkOutWorktree(layout, git, content, isInUse, clock.now())
  } catch (error) {
    if (!isInUse || !(error instanceof GitError) || git.signal.aborted) throw error
    if (!(await replaceWorktree(layout, git, content, { now: clock.now(), log }))) throw error
  }
}

async function askGate(deps: SyncDeps, commit: CommitSha): Promise<Refusal | undefined> {
  try {
    await deps.beforePublish(commit)
    return undefined
  } catch (error) {
    if (error instanceof GateError) return { commit, error }
    throw error
  }
}

/** After a sync: what readers need not wait for. Its failure is not the sync's. */
export async function cleanUp(
  deps: SyncDeps,
  options: {
    /** undefined: nothing is. */
    published: CommitSha | undefined
    /** Other commits that are still needed. */
    kept: readonly CommitSha[]
    gc: GcMode
  },
): Promise<void> {
  const { layout, git, log, clock, staleMs } = deps
  const { published, gc } = options
  const kept = published === undefined ? options.kept : [published, ...options.kept]
  await timed(deps, 'cleanup', async () => {
    if (published !== undefined) {
      await setOwnBranch(layout, published)
      await removeOldLayout(layout, log)
    }
    const removed = await removeStaleWorktrees({ layout, kept, staleMs, now: clock.now(), log })
    if (removed > 0) await collectGarbage(layout, git, gc)
  })
}

/** Whether there was anything to mend. */
async function recover(deps: SyncDeps): Promise<boolean> {
  const { layout, git, repo, clock, log } = deps
  return timed(deps, 'recover', async () => {
    const isMended = await recoverRoot(layout, git, log)
    await ensureOrigin(layout, git, repo)
    await removeHalfMade(
      layout,
      (await readPublishedLink(layout.linkPath))?.commit,
      clock.now(),
      deps.staleMs,
    )
    return isMended
  })
}

async function publish(
  { layout, clock, log }: SyncDeps,
  commit: CommitSha,
  replaced: Published | undefined,
): Promise<void> {
  await markPublished(layout, commit)
  // Before the change: its time of grace is not lost where this process is killed in between.
  if (replaced !== undefined) await markReplaced(layout, replaced.commit, clock.now())
  await publishLink(layout.linkPath, layout.worktreePath(commit), log)
}

async function timed<Result>(deps: SyncDeps, phase: Phase, step: () => Promise<Result>): Promise<Result> {
  const start = performance.now()
  try {
    return await step()
  } finally {
    deps.onPhase(phase, performance.now() - start)
  }
}

/** Whether the link names a worktree of ours that was finished and is still there. */
async function isIntact(layout: Layout, { commit, target }: Published): Promise<boolean> {
  return target === layout.worktreePath(commit) && (await isComplete(layout, commit))
}

/** The commit that the remote has for the ref; undefined where nothing has the name. */
async function askRemote({ git, repo, ref }: SyncDeps): Promise<string | undefined> {
  if (isCommitSha(ref)) return ref
  return resolveRef(await git.lsRemote(repo, ref), ref)?.hash
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
