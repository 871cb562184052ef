// Git as a person at the test's side uses it: bare repositories to push to, and clones to commit in.
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** Without the configuration of whoever runs the tests. */
export const gitEnvironment: NodeJS.ProcessEnv = {
  PATH: process.env.PATH,
  HOME: tmpdir(),
  LC_ALL: 'C',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_CONFIG_NOSYSTEM: 'true',
  GIT_AUTHOR_NAME: 'Test',
  GIT_AUTHOR_EMAIL: 'test@example.com',
  GIT_COMMITTER_NAME: 'Test',
  GIT_COMMITTER_EMAIL: 'test@example.com',
  GIT_TERMINAL_PROMPT: '0',
}

/** No packing behind the test's back: it would race with the next command, and with the removal of the folder. */
export const quietly = [
  '-c',
  'safe.directory=*',
  '-c',
  'gc.auto=0',
  '-c',
  'maintenance.auto=false',
  '-c',
  'receive.autogc=false',
]

/** Runs git as a person at the test's side would; standard output without its last line break. */
export async function git(
  cwd: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
): Promise<string> {
  const { stdout } = await run('git', [...quietly, ...args], {
    cwd,
    env: { ...gitEnvironment, ...env },
  })
  return stdout.replace(/\n$/, '')
}

/** A bare repository and a clone to commit in. */
export interface TestRepository extends AsyncDisposable {
  /** Folder that holds everything of it. */
  folder: string
  /** The bare repository. */
  path: string
  /** `file://` URL of it. */
  url: string
  /** The clone. */
  clone: string
  /** Writes files (null removes), commits and pushes to the branch; the commit's full hash. */
  commit(files: Record<string, string | null>, push?: PushOptions): Promise<string>
  close(): Promise<void>
}

export interface PushOptions {
  /** Default main. */
  branch?: string
  /** Where to push; default the bare repository on disk. */
  url?: string
  force?: boolean
  env?: NodeJS.ProcessEnv
}

/** A repository with one commit on `main` that holds `files`. */
export async function createTestRepository(
  files: Record<string, string> = { 'a.txt': 'one\n' },
): Promise<TestRepository> {
  const folder = await mkdtemp(join(tmpdir(), 'branchline-repo-'))
  const path = join(folder, 'origin.git')
  const clone = join(folder, 'clone')
  await git(folder, ['init', '--quiet', '--bare', '--initial-branch=main', path])
  await git(path, ['config', 'receive.autogc', 'false'])
  await git(folder, ['init', '--quiet', '--initial-branch=main', clone])
  const close = () => rm(folder, { recursive: true, force: true })
  const repository: TestRepository = {
    folder,
    path,
    url: `file://${path}`,
    clone,
    commit: async (changes, push = {}) => {
      for (const [name, text] of Object.entries(changes)) {
        const file = join(clone, name)
        await mkdir(dirname(file), { recursive: true })
        if (text === null) await rm(file)
        else await writeFile(file, text)
      }
      await git(clone, ['add', '--all'])
      await git(clone, ['commit', '--quiet', '--allow-empty', '--message', 'change'])
      const force = push.force ? ['--force'] : []
      const refspec = `HEAD:refs/heads/${push.branch ?? 'main'}`
      await git(clone, ['push', '--quiet', ...force, push.url ?? path, refspec], push.env)
      return git(clone, ['rev-parse', 'HEAD'])
    },
    close,
    [Symbol.asyncDispose]: close,
  }
  await repository.commit(files)
  return repository
}
