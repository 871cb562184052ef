// What git keeps and nobody needs any more, after a worktree was removed: by `--git-gc`. Loose ends of git-sync's
// own making (reflogs) are dealt with as it does, so that a root that was its does not grow for ever.
import { access } from 'node:fs/promises'
import { join } from 'node:path'
import type { Git } from '../git/git.ts'
import type { Layout } from './layout.ts'

/** When git is to pack and prune. */
export type GcMode = 'auto' | 'always' | 'aggressive' | 'off'

/** Packs and prunes the repository. */
export async function collectGarbage(layout: Layout, git: Git, mode: GcMode): Promise<void> {
  if (mode === 'off') return
  const hasReflogs = await access(join(layout.gitDir, 'logs')).then(
    () => true,
    () => false,
  )
  if (hasReflogs) await git.expireReflogs()
  await git.collectGarbage(mode)
}
