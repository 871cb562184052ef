// The sparse-checkout file: which files of a commit are to be written at all. It is read anew for each worktree,
// so that a changed file (a ConfigMap) takes effect with the next commit or the next start.
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ConfigError, messageOf } from '../../runtime/errors.ts'
import type { CommitSha } from '../../runtime/ids.ts'
import type { Git } from '../git/git.ts'
import type { Layout } from './layout.ts'

/**
 * Has the worktree follow the patterns of the file; called before its files are written.
 * @param file path of the patterns; empty: all files
 * @throws ConfigError where the file cannot be read
 */
export async function applySparseCheckout(
  layout: Layout,
  git: Git,
  commit: CommitSha,
  file: string,
): Promise<void> {
  const worktree = layout.worktreePath(commit)
  const folder = join(layout.adminPath(commit), 'info')
  const path = join(folder, 'sparse-checkout')
  const applied = await readFile(path, 'utf8').catch(() => undefined)
  if (file === '') {
    // A worktree of an earlier start that had such a file.
    if (applied !== undefined) await git.setSparseCheckout(worktree, false)
    return
  }
  const patterns = await readPatterns(file)
  await mkdir(folder, { recursive: true })
  if (applied !== patterns) await writeFile(path, patterns)
  await git.setSparseCheckout(worktree, true)
}

async function readPatterns(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    throw new ConfigError(
      `--sparse-checkout-file ${file} cannot be read: ${messageOf(error)}. Make the file, or give sync the right to read it`,
      { cause: error },
    )
  }
}
