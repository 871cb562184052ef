// Submodules of a worktree. git keeps their repositories in the worktree's own folder
// (`.git/worktrees/<commit>/modules`), so that they come and go with it, and a worktree that is held by a reader is
// not touched by the next one.
import { access } from 'node:fs/promises'
import { join } from 'node:path'
import type { CommitSha } from '../../runtime/ids.ts'
import type { Git } from '../git/git.ts'
import type { Layout } from './layout.ts'

/** `recursive`: those of submodules too; `shallow`: the first level alone; `off`: none. */
export type SubmodulesMode = 'recursive' | 'shallow' | 'off'

/** Makes the submodules of a checked-out worktree what its commit says. */
export async function updateSubmodules(
  layout: Layout,
  git: Git,
  commit: CommitSha,
  submodules: { mode: SubmodulesMode; depth: number; isSparse: boolean },
): Promise<void> {
  if (submodules.mode === 'off') return
  const worktree = layout.worktreePath(commit)
  // Most repositories have none, and finding that out by git costs 20 ms. A sparse worktree may have submodules
  // while the file that names them is left out.
  const mayHaveSome = submodules.isSparse || (await exists(join(worktree, '.gitmodules')))
  if (!mayHaveSome) return
  await git.updateSubmodules(worktree, {
    isRecursive: submodules.mode === 'recursive',
    depth: submodules.depth,
  })
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
