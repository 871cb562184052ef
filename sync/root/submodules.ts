// Submodules of a worktree. git keeps their repositories in the worktree's own folder
// (`.git/worktrees/<commit>/modules`), so that they come and go with it, and a worktree that is held by a reader is
// not touched by the next one.
import { readdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join, relative, resolve } from 'node:path'
import { exists } from '../../runtime/files.ts'
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
  await forgetUrls(layout)
  await git.updateSubmodules(worktree, {
    isRecursive: submodules.mode === 'recursive',
    depth: submodules.depth,
  })
}

/**
 * Submodules whose folder was emptied: git takes such a one for one that was never asked for, and says nothing.
 * @returns their paths, relative to the worktree
 */
export async function emptiedSubmodules(
  layout: Layout,
  commit: CommitSha,
  mode: SubmodulesMode,
): Promise<string[]> {
  if (mode === 'off') return []
  const found: string[] = []
  const visit = async (folder: string): Promise<void> => {
    const config = await readFile(join(folder, 'config'), 'utf8').catch(() => '')
    const place = placePattern.exec(config)?.[1]
    if (place === undefined) {
      const entries = await readdir(folder, { withFileTypes: true }).catch(() => [])
      for (const entry of entries) if (entry.isDirectory()) await visit(join(folder, entry.name))
      return
    }
    const path = resolve(folder, place)
    if (!(await exists(join(path, '.git')))) found.push(relative(layout.worktreePath(commit), path))
    else if (mode === 'recursive') await visit(join(folder, 'modules'))
  }
  await visit(join(layout.adminPath(commit), 'modules'))
  return found
}

/** Where the repository of a submodule has its files, by its configuration. */
const placePattern = /^\s*worktree = (.*)$/m

/** A section of git's configuration about one submodule, with its lines up to the next section. */
const submoduleSections = /^\[submodule "[^\n]*"\][^\n]*\n(?:(?!\[)[^\n]*(?:\n|$))*/gm

/**
 * git notes the URL of a submodule once for all worktrees, and goes on asking there when a later commit names
 * another, or --repo did for a relative one: then no commit arrives any more. What a commit says is noted anew by
 * its update.
 */
async function forgetUrls(layout: Layout): Promise<void> {
  const path = join(layout.gitDir, 'config')
  const text = await readFile(path, 'utf8').catch(() => '')
  const rest = text.replaceAll(submoduleSections, '')
  if (rest === text) return
  // By a rename: half a configuration is one that git refuses.
  await writeFile(`${path}.new`, rest)
  await rename(`${path}.new`, path)
}
