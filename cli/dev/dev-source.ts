// What `dev` follows, from the words on the command line: a branch of a Git repository, which sync publishes, or a
// plain directory, which the scheduler reads and watches itself.
import { statSync } from 'node:fs'
import { resolve } from 'node:path'
import { InvalidInputError } from '../../runtime/errors.ts'

export interface RepositorySource {
  type: 'repository'
  /** A URL, or the absolute path of a repository on this machine. */
  repo: string
  /** Branch, tag or commit; 'HEAD' is the repository's own branch. */
  ref: string
  /** Whether it is a path of this machine: looking there often bothers nobody. */
  isLocal: boolean
}

export interface DirectorySource {
  type: 'directory'
  /** Absolute. */
  path: string
}

export type DevSource = RepositorySource | DirectorySource

export interface SourceWords {
  repo?: string | undefined
  ref?: string | undefined
  directory?: string | undefined
}

/**
 * @param fallback the directory where nothing is named
 * @throws InvalidInputError where the words contradict each other, or name what is not there
 */
export function readSource(words: SourceWords, cwd: string, fallback: string): DevSource {
  const { repo, ref, directory } = words
  if (repo !== undefined && directory !== undefined) {
    throw new InvalidInputError(
      `both --repo ${repo} and the directory ${directory} are named: dev follows one of the two`,
    )
  }
  if (repo !== undefined) return readRepository(repo, ref ?? 'HEAD', cwd)
  if (ref !== undefined) {
    throw new InvalidInputError(`--ref ${ref} is a branch of a repository: name that with --repo`)
  }
  const path = resolve(cwd, directory ?? fallback)
  if (!isDirectory(path)) {
    throw new InvalidInputError(
      `there is no directory ${path}: name the directory that has the Dag modules, or a Git repository with --repo`,
    )
  }
  return { type: 'directory', path }
}

function readRepository(repo: string, ref: string, cwd: string): RepositorySource {
  const path = resolve(cwd, repo)
  if (isDirectory(path)) return { type: 'repository', repo: path, ref, isLocal: true }
  // As git reads it: what has no colon before its first slash is a path.
  if (!/^[^/]*:/.test(repo)) {
    throw new InvalidInputError(
      `there is no repository at ${path}: write a URL (https://…, ssh://…, user@host:path), or the path of a repository on this machine`,
    )
  }
  return { type: 'repository', repo, ref, isLocal: repo.startsWith('file://') }
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true
}
