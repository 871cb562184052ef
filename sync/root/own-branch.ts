// The branch of the repository's own HEAD, which names the published commit, as git-sync leaves it for those who look.
// Written as files, by a rename: `git reset --soft` or `update-ref` would cost a process, and wedges on a left lock.
import { readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { CommitSha } from '../../runtime/ids.ts'
import { type Layout, ownBranch } from './layout.ts'

/** Points the branch at the commit, and HEAD at the branch: in a root of git-sync 3 it is on another. */
export async function setOwnBranch(layout: Layout, commit: CommitSha): Promise<void> {
  await replaceText(layout, join(layout.gitDir, 'refs', 'heads', ownBranch), `${commit}\n`)
  await replaceText(layout, join(layout.gitDir, 'HEAD'), `ref: refs/heads/${ownBranch}\n`)
}

async function replaceText(layout: Layout, path: string, text: string): Promise<void> {
  if ((await readFile(path, 'utf8').catch(() => '')) === text) return
  // Not beside it: whatever is below `refs` is a ref to git, half written or not.
  const draft = join(layout.gitDir, `${ownBranch}.tmp`)
  await writeFile(draft, text)
  await rename(draft, path)
}
