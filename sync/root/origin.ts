// The remote `origin` of the repository. sync itself fetches by URL; git resolves the relative URLs of submodules
// against it, and hooks that run git find it where they expect it.
import { readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Git } from '../git/git.ts'
import { quoteConfigValue } from '../git/git-config-file.ts'
import type { Layout } from './layout.ts'

/** Makes `origin` the repository that is synced. @param repo without user info */
export async function ensureOrigin(layout: Layout, git: Git, repo: string): Promise<void> {
  const path = join(layout.gitDir, 'config')
  // Where somebody removed it, git goes on by its defaults, and so do we.
  const text = await readFile(path, 'utf8').catch(() => '')
  const url = /^\[remote "origin"\][^[]*?^\s*url = ([^\n]*)$/m.exec(text)?.[1]
  const quoted = quoteConfigValue(repo)
  if (url === repo || url === quoted) return
  if (/^\[remote "origin"\]/m.test(text)) return git.setConfig(path, 'remote.origin.url', repo)
  // A new repository costs no git process for it. By a rename: half a configuration is one that git refuses.
  const section = `[remote "origin"]\n\turl = ${quoted}\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n`
  await writeFile(`${path}.new`, `${text}${section}`)
  await rename(`${path}.new`, path)
}
