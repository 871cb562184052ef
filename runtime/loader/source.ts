// Which directory a pass reads. A published link changes at any moment, so it is resolved once, at the beginning,
// and everything after that speaks of the directory that it led to.
import { realpathSync } from 'node:fs'
import { basename } from 'node:path'
import { NotFoundError } from '../errors.ts'
import { type CommitSha, isCommitSha } from '../ids.ts'

export interface Source {
  /** Without links. */
  root: string
  commitSha: CommitSha | null
}

/**
 * @param sourcePath the link that sync publishes (its target's last part is the commit), or a plain directory
 * @throws NotFoundError where nothing is there (yet)
 */
export function resolveSource(sourcePath: string): Source {
  try {
    const root = realpathSync(sourcePath)
    const name = basename(root)
    return { root, commitSha: isCommitSha(name) ? name : null }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    throw new NotFoundError(
      `source path ${sourcePath} does not exist: wait for the first sync, or set source_path to a directory`,
      { cause: error, details: { source_path: sourcePath } },
    )
  }
}

/** Whether `path` is `directory` or below it; both absolute and normal. */
export function isWithin(directory: string, path: string): boolean {
  return path === directory || path.startsWith(directory.endsWith('/') ? directory : `${directory}/`)
}
