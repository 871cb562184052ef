// The two repositories that sync is measured with: a small one, where the start of a process is what takes time, and
// a big one, where git is. On the memory file system where there is one: on a disk that takes seconds for 5,000 small
// files, the disk would be all that is measured.
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { createGitRepository, type GitRepository } from './git-repository.ts'

export const repositorySizes = {
  small: { files: 20, bytes_per_file: 500, commits: 1 },
  big: { files: 5_000, bytes_per_file: 1_900, commits: 100 },
} as const
export type RepositorySize = keyof typeof repositorySizes

/** A repository with the place in which it is measured. */
export interface SyncSite {
  size: RepositorySize
  repository: GitRepository
  /** For roots. */
  directory: string
}

/** The file that changes from commit to commit. */
export const changedFile = 'folder-1/file-1.txt'
const filesPerFolder = 100

/** A repository of this size, all commits pushed; its branch is `main`. */
export async function createSampleRepository(
  directory: string,
  size: RepositorySize,
  isQuick: boolean,
): Promise<GitRepository> {
  const { files, bytes_per_file: bytesPerFile, commits } = repositorySizes[size]
  const names = Array.from(
    { length: files },
    (_, n) => `folder-${Math.floor(n / filesPerFolder)}/file-${n}.txt`,
  )
  const texts = Object.fromEntries(names.map((name) => [name, textOf(name, bytesPerFile)]))
  const repository = await createGitRepository(directory, { ...texts, [changedFile]: 'commit 1\n' })
  for (let n = 2; n <= (isQuick ? 2 : commits); n += 1) await repository.commit(changedFile, `commit ${n}\n`)
  await repository.push()
  return repository
}

/** The same in each run, and no easier to pack than source text. */
function textOf(name: string, bytes: number): string {
  let text = ''
  for (let line = 0; text.length < bytes; line += 1) {
    text += `${createHash('sha256').update(`${name} ${line}`).digest('base64')}\n`
  }
  return text.slice(0, bytes)
}

/** Where Linux has its file system in memory; a machine may have none. */
export const memoryFileSystem = '/dev/shm'

/** A directory that is removed with the benchmark, in memory where the machine has a file system there. */
export async function memoryDirectory(fallback: string): Promise<AsyncDisposable & { path: string }> {
  const parent = existsSync(memoryFileSystem) ? memoryFileSystem : fallback
  const path = await mkdtemp(join(parent, `branchline-bench-${process.pid}-`))
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
}
