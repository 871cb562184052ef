// The demonstration: a bare repository with the examples, one commit for each, and a clone to edit and push from.
// Both are made where they are missing and then left alone: what is in them is the user's. Each is made under another
// name and then renamed, so that a killed start leaves nothing half.
//
//   <data_dir>/demo.git/    what is followed
//   <data_dir>/demo/        the clone
import { cp, mkdir, readdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { postReceiveHook } from './demo-hook.ts'
import { git } from './git-command.ts'

/** Where the examples are: beside `cli/` in the source tree, and beside `dist/` in the package. */
const examplesPath = import.meta.filename.endsWith('.ts')
  ? join(import.meta.dirname, '..', '..', 'examples', 'dags')
  : join(import.meta.dirname, '..', 'examples', 'dags')

export const demoBranch = 'main'

export interface DemoRepository {
  /** The bare repository. */
  path: string
  /** The clone. */
  clone: string
}

/**
 * Makes what is missing of it, and the hook anew.
 * @param demo.syncUrl where a push is announced
 * @throws GitError
 */
export async function ensureDemoRepository(demo: {
  dataDir: string
  syncUrl: string
  node: string
}): Promise<DemoRepository> {
  const path = join(demo.dataDir, 'demo.git')
  const clone = join(demo.dataDir, 'demo')
  if (!(await exists(path))) await makeRepository(path)
  const hook = join(path, 'hooks', 'post-receive')
  await mkdir(join(path, 'hooks'), { recursive: true })
  await writeFile(hook, postReceiveHook(demo.syncUrl, demo.node), { mode: 0o755 })
  if (!(await exists(clone))) await makeClone(path, clone)
  return { path, clone }
}

/** Whoever the user is, and whatever his git wants of commits: these are the demonstration's. */
const asDemo = [
  ...['-c', 'user.name=Branchline demo', '-c', 'user.email=demo@branchline.example'],
  ...['-c', 'commit.gpgSign=false', '-c', 'core.hooksPath=/dev/null', '-c', 'core.autocrlf=false'],
]

async function makeRepository(path: string): Promise<void> {
  const draft = `${path}.new`
  const tree = `${path}.tree`
  for (const left of [draft, tree]) await rm(left, { recursive: true, force: true })
  await mkdir(draft, { recursive: true })
  await git(draft, ['init', '--quiet', '--bare', `--initial-branch=${demoBranch}`])
  // A hooks folder that the user has for all repositories would stand in for ours.
  await git(draft, ['config', 'core.hooksPath', join(path, 'hooks')])

  await mkdir(tree)
  await git(tree, ['init', '--quiet', `--initial-branch=${demoBranch}`])
  for (const name of (await readdir(examplesPath)).sort()) {
    await cp(join(examplesPath, name), join(tree, name), { recursive: true })
    await git(tree, ['add', '--all'])
    await git(tree, [...asDemo, 'commit', '--quiet', '--message', `Add ${name}`])
  }
  const receivePack = `--receive-pack=${trusting('receive-pack')}`
  await git(tree, [...asDemo, 'push', '--quiet', receivePack, draft, `HEAD:refs/heads/${demoBranch}`])
  await rm(tree, { recursive: true })
  await rename(draft, path)
}

async function makeClone(path: string, clone: string): Promise<void> {
  const draft = `${clone}.new`
  await rm(draft, { recursive: true, force: true })
  await mkdir(draft, { recursive: true })
  const uploadPack = `--upload-pack=${trusting('upload-pack')}`
  await git(draft, ['clone', '--quiet', '--branch', demoBranch, uploadPack, path, '.'])
  for (const program of ['upload-pack', 'receive-pack'] as const) {
    await git(draft, ['config', `remote.origin.${program.replace('-', '')}`, trusting(program)])
  }
  await git(draft, ['config', 'push.default', 'simple'])
  await writeFile(join(draft, '.git', 'info', 'exclude'), '*.bak\n')
  // Without a name `git commit` refuses, as on a machine where git was never used.
  if (!(await hasIdentity(draft))) {
    await git(draft, ['config', 'user.name', 'You'])
    await git(draft, ['config', 'user.email', 'you@branchline.example'])
  }
  await rename(draft, clone)
}

/**
 * The other end of a push or fetch, which otherwise refuses a repository that seems to be another user's, as on a
 * mounted volume. Read by a shell.
 */
function trusting(program: 'upload-pack' | 'receive-pack'): string {
  return `git -c 'safe.directory=*' ${program}`
}

async function hasIdentity(directory: string): Promise<boolean> {
  return git(directory, ['config', 'user.email']).then(
    () => true,
    () => false,
  )
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}
