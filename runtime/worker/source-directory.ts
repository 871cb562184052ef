// Where the files of the run's commit are in this pod. A root of sync (what the init container made, or a volume that
// a sync keeps) is believed only with exactly that commit; what an image, a claim or the host brings has no commit
// that could be compared, and is taken as it is.
import { existsSync, readdirSync, realpathSync } from 'node:fs'
import { basename, join } from 'node:path'
import { isCommitSha } from '../ids.ts'
import { worktreeOf, worktreesFolder } from '../worktree-lease.ts'

/** The link that sync publishes where it is not told another name for it. */
const usualLink = 'current'

/**
 * @param commitSha null: the run is pinned to no commit
 * @returns an absolute path without links
 * @throws Error that names both commits where only another one is there, or the directory where it is not there
 */
export function sourceDirectory(dagsPath: string, commitSha: string | null): string {
  if (!existsSync(dagsPath)) {
    throw new Error(
      `the directory of the Dags, ${dagsPath}, is not in this pod: look at worker_dags_source and worker_dags_path, and at the volumes of the pod template`,
    )
  }
  const path = realpathSync(dagsPath)
  const root = worktreeOf(path)?.root ?? path
  if (!existsSync(join(root, worktreesFolder))) return path
  if (commitSha === null)
    return realpathSync(existsSync(join(path, usualLink)) ? join(path, usualLink) : path)
  const worktree = join(root, worktreesFolder, commitSha)
  if (existsSync(worktree)) return realpathSync(worktree)
  throw new Error(
    `the run is pinned to commit ${commitSha}, and ${root} has ${foundCommits(root)}: the task is not run with other files than its own`,
  )
}

function foundCommits(root: string): string {
  const commits = readdirSync(join(root, worktreesFolder))
    .map((name) => basename(name))
    .filter(isCommitSha)
  return commits.length === 0 ? 'no commit' : `only ${commits.join(', ')}`
}
