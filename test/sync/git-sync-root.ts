// The git commands of one git-sync pass, in its order and with its configuration: what makes a root as git-sync
// leaves it, and what must succeed on a root that we leave, for whoever goes back.
import { mkdtemp, readlink, rename, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join, relative } from 'node:path'
import { git } from '../support/git-server.ts'

export interface GitSyncRoot {
  root: string
  repo: string
  ref: string
  /** Absolute. */
  link: string
  /** Default 1. */
  depth?: number
}

/** What git-sync has in its configuration, and that submodules may come from the disk; reflogs are git's default. */
const config = `[gc]
	autoDetach = false
	pruneExpire = now
[core]
	askPass = true
[safe]
	directory = *
[protocol "file"]
	allow = always
`

/** One sync as git-sync does it, each command of which must succeed. @returns the commit that is published */
export async function syncAsGitSync({ root, repo, ref, link, depth = 1 }: GitSyncRoot): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'branchline-gitconfig-'))
  const configPath = join(folder, 'git-sync.gitconfig')
  await writeFile(configPath, config)
  const run = (args: string[], cwd = root): Promise<string> =>
    git(cwd, args, { GIT_CONFIG_GLOBAL: configPath })
  try {
    if (await isThere(join(root, '.git'))) await checkRepository(root, run)
    else await run(['init', '--quiet', '-b', 'git-sync'])
    const origin = await run(['remote', 'get-url', 'origin']).catch(() => undefined)
    if (origin === undefined) await run(['remote', 'add', 'origin', repo])
    else if (origin !== repo) await run(['remote', 'set-url', 'origin', repo])

    const old = await readlink(link).catch(() => undefined)
    const flags = ['--verbose', '--no-progress', '--prune', '--no-auto-gc']
    await run(['fetch', repo, ref, ...flags, '--depth', String(depth)])
    const hash = await run(['rev-parse', 'FETCH_HEAD^{}'])
    const worktree = join(root, '.worktrees', hash)
    if (old !== undefined && basename(old) === hash) await checkWorktree(worktree, hash, run)
    await run(['reset', '--soft', hash, '--'])
    if (old === undefined || basename(old) !== hash) {
      await run(['worktree', 'add', '--force', '--detach', worktree, hash, '--no-checkout'])
    }
    await writeFile(join(worktree, '.git'), `gitdir: ../../.git/worktrees/${hash}\n`)
    await run(['reset', '--hard', hash, '--'], worktree)
    await run(['submodule', 'update', '--init', '--recursive', '--depth', String(depth)], worktree)
    if (old !== undefined && basename(old) === hash) return hash
    await symlink(relative(dirname(link), worktree), join(dirname(link), 'tmp-link'))
    await rename(join(dirname(link), 'tmp-link'), link)
    const now = Date.now() / 1_000
    if (old !== undefined) await utimes(join(root, old), now, now)
    return hash
  } finally {
    await rm(folder, { recursive: true })
  }
}

/** The clean-up after a sync. @param replaced what is no longer published */
export async function cleanUpAsGitSync(root: string, replaced: readonly string[]): Promise<void> {
  for (const commit of replaced) await rm(join(root, '.worktrees', commit), { recursive: true })
  const prune = ['-c', 'gc.pruneExpire=now', '-c', 'gc.autoDetach=false']
  await git(root, ['worktree', 'prune', '--verbose'])
  await git(root, ['reflog', 'expire', '--expire-unreachable=all', '--all'])
  await git(root, [...prune, 'gc', '--quiet'])
}

type Run = (args: string[], cwd?: string) => Promise<string>

async function checkRepository(root: string, run: Run): Promise<void> {
  const top = await run(['rev-parse', '--show-toplevel'])
  if (top !== root) throw new Error(`git takes ${top} for the repository of ${root}`)
  await run(['fsck', '--no-progress', '--connectivity-only'])
  if (await isThere(join(root, '.git/shallow.lock'))) throw new Error('shallow.lock is there')
}

async function checkWorktree(worktree: string, hash: string, run: Run): Promise<void> {
  const head = await run(['rev-parse', 'HEAD'], worktree)
  if (head !== hash) throw new Error(`the worktree is at ${head}, not ${hash}`)
  await run(['fsck', '--no-progress', '--connectivity-only'], worktree)
}

async function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}
