// What git keeps and nobody needs any more, after a worktree was removed: by `--git-gc`. Loose ends of git-sync's
// own making (reflogs) are dealt with as it does, so that a root that was its does not grow for ever.
import { readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { exists } from '../../runtime/files.ts'
import type { Git } from '../git/git.ts'
import type { Layout } from './layout.ts'

/** When git is to pack and prune. */
export type GcMode = 'auto' | 'always' | 'aggressive' | 'off'

/** Packs and prunes the repository. */
export async function collectGarbage(layout: Layout, git: Git, mode: GcMode): Promise<void> {
  await forgetGoneWorktrees(layout)
  if (mode === 'off') return
  if (await exists(join(layout.gitDir, 'logs'))) await git.expireReflogs()
  await git.collectGarbage(mode)
}

/**
 * git's own folders of worktrees that are gone: whoever was killed between removing the one and the other leaves
 * them, and so does whoever removes a worktree by hand. git would keep their commits for another three months. As
 * `git worktree prune` would, without its process.
 */
async function forgetGoneWorktrees(layout: Layout): Promise<void> {
  const folder = join(layout.gitDir, 'worktrees')
  for (const name of await readdir(folder).catch(() => [])) {
    const path = join(folder, name)
    // A root may be mounted in another place than it was made in: then the path in `gitdir` is not what it was.
    if (await exists(join(layout.worktreesDir, name))) continue
    const place = await readFile(join(path, 'gitdir'), 'utf8').catch(() => '')
    if (place !== '' && (await exists(place.trimEnd()))) continue
    if (!(await exists(join(path, 'locked')))) await rm(path, { recursive: true, force: true })
  }
}
