// A bare repository to push to and a clone to push from, as a user has them, without the user's configuration.
import { execFile } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import type { DagModules } from './dag-modules.ts'

const run = promisify(execFile)

const gitEnvironment: NodeJS.ProcessEnv = {
  PATH: process.env.PATH,
  LC_ALL: 'C',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_CONFIG_NOSYSTEM: 'true',
  GIT_AUTHOR_NAME: 'Bench',
  GIT_AUTHOR_EMAIL: 'bench@example.com',
  GIT_COMMITTER_NAME: 'Bench',
  GIT_COMMITTER_EMAIL: 'bench@example.com',
}

/** @returns standard output. @throws Error with git's own words */
export async function git(cwd: string, args: readonly string[]): Promise<string> {
  // No packing behind our back: it would fall into somebody's measurement.
  const quietly = ['-c', 'gc.auto=0', '-c', 'maintenance.auto=false', '-c', 'receive.autogc=false']
  const { stdout } = await run('git', [...quietly, ...args], { cwd, env: gitEnvironment })
  return stdout.trim()
}

export interface GitRepository {
  /** `file://` URL of the bare repository. */
  url: string
  /** Writes a file and commits it; nothing is pushed. */
  commit(file: string, text: string): Promise<void>
  /** Resolves when `git push` has ended. */
  push(): Promise<void>
}

/** A repository whose branch `main` has `files`, pushed. */
export async function createGitRepository(directory: string, files: DagModules): Promise<GitRepository> {
  const bare = join(directory, 'remote.git')
  const clone = join(directory, 'clone')
  await mkdir(clone, { recursive: true })
  await git(directory, ['init', '--quiet', '--bare', '--initial-branch=main', bare])
  await git(clone, ['init', '--quiet', '--initial-branch=main'])
  await git(clone, ['remote', 'add', 'origin', bare])
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(clone, name)), { recursive: true })
    await writeFile(join(clone, name), text)
  }
  const commitAll = async () => {
    await git(clone, ['add', '--all'])
    await git(clone, ['commit', '--quiet', '--message=change'])
  }
  const push = async () => {
    await git(clone, ['push', '--quiet', 'origin', 'main'])
  }
  await commitAll()
  await push()
  return {
    url: pathToFileURL(bare).href,
    async commit(file, text) {
      await writeFile(join(clone, file), text)
      await commitAll()
    },
    push,
  }
}
