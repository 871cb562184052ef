// The floor of (i): what a sync does, done with git by hand and the same options, and with nothing around it. No
// lock, no link, no mark, no look at what is there; each git process is started when the one before it has ended.
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { git } from '../support/git-repository.ts'

/** `git init`, `git fetch --depth=1` and `git worktree add`, into a root that does not exist. */
export async function bareFirstSync(url: string, root: string): Promise<void> {
  await mkdir(root)
  await git(root, ['init', '--quiet'])
  await git(root, ['fetch', '--quiet', '--depth=1', url, 'main'])
  await git(root, ['worktree', 'add', '--quiet', '--detach', 'worktree', 'FETCH_HEAD'])
}

/** A root by hand, in which each call fetches and checks out the newest commit; gives the milliseconds. */
export async function createBareUpdate(url: string, root: string): Promise<() => Promise<number>> {
  await bareFirstSync(url, root)
  const worktree = join(root, 'next')
  return async () => {
    const began = performance.now()
    await git(root, ['fetch', '--quiet', '--depth=1', url, 'main'])
    await git(root, ['worktree', 'add', '--quiet', '--detach', worktree, 'FETCH_HEAD'])
    const elapsedMs = performance.now() - began
    await rm(worktree, { recursive: true })
    await git(root, ['worktree', 'prune'])
    return elapsedMs
  }
}

/** One look at what the remote has. */
export async function bareLsRemote(root: string, url: string): Promise<void> {
  await git(root, ['ls-remote', url, 'main', 'main^{}'])
}
