// --submodules by the whole program: over remotes with passwords and keys of their own, and as they come, change,
// break and go in the repository and in the published tree.
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import {
  createTestRepository,
  git,
  serveGitOverHttp,
  serveGitOverSsh,
  sshdMissing,
  type TestRepository,
} from '../support/git-server.ts'
import { publishes } from './observers.ts'
import { type SyncProcess, startSync, temporaryFolder } from './sync-process.ts'

let repository: TestRepository
let inner: TestRepository
let outer: TestRepository
beforeEach(async () => {
  repository = await createTestRepository()
  inner = await createTestRepository({ 'inner.txt': 'inner\n' })
  outer = await createTestRepository({ 'outer.txt': 'outer\n' })
})
afterEach(() => Promise.all([repository?.close(), inner?.close(), outer?.close()]))

const localAllowed = ['--git-config', 'protocol.file.allow:always']
const linkOf = (root: string): string => join(root, 'current')
const read = (root: string, path: string): Promise<string> => readFile(join(linkOf(root), path), 'utf8')
const isThere = (root: string, path: string): boolean => existsSync(join(linkOf(root), path))

function start(root: string, ...more: string[]): SyncProcess {
  const where = ['--repo', repository.url, '--ref', 'main', '--root', root, '--link', 'current']
  return startSync([...where, '--period', '50ms', ...localAllowed, ...more])
}

async function once(root: string, ...more: string[]): Promise<SyncProcess> {
  await using sync = start(root, '--one-time', ...more)
  expect(await sync.exit, sync.stderr()).toBe(0)
  return sync
}

/** Adds a submodule from the disk, and says in `.gitmodules` that it is to be had at `url`. */
async function addSubmodule(
  to: TestRepository,
  module: TestRepository,
  path: string,
  url = module.url,
): Promise<string> {
  await git(to.clone, ['-c', 'protocol.file.allow=always', 'submodule', 'add', '--quiet', module.url, path])
  await git(to.clone, ['config', '--file', '.gitmodules', `submodule.${path}.url`, url])
  return to.commit({})
}

async function moveOn(to: TestRepository, path: string, commit: string): Promise<string> {
  await git(join(to.clone, path), ['fetch', '--quiet'])
  await git(join(to.clone, path), ['checkout', '--quiet', commit])
  return to.commit({})
}

async function addBoth(): Promise<void> {
  await addSubmodule(outer, inner, 'inner')
  await addSubmodule(repository, outer, 'outer')
}

test('another mode at a restart takes effect at the same commit, and files that are there stay', async () => {
  await addBoth()
  await using root = await temporaryFolder()
  await once(root.path, '--submodules', 'off')
  expect(await readdir(join(linkOf(root.path), 'outer'))).toEqual([])
  await once(root.path, '--submodules', 'shallow')
  expect(await read(root.path, 'outer/outer.txt')).toBe('outer\n')
  expect(isThere(root.path, 'outer/inner/inner.txt')).toBe(false)
  await once(root.path)
  expect(await read(root.path, 'outer/inner/inner.txt')).toBe('inner\n')
  await once(root.path, '--submodules', 'off')
  expect(await read(root.path, 'outer/inner/inner.txt')).toBe('inner\n')
})

test('submodules of submodules are followed as they are added, moved on, moved elsewhere and removed', async () => {
  await using root = await temporaryFolder()
  await using sync = start(root.path)
  const follows = async (commit: string): Promise<void> => {
    await publishes(linkOf(root.path), commit, sync)
    expect(await git(linkOf(root.path), ['status', '--porcelain'])).toBe('')
  }
  await sync.logged('updated successfully')
  await follows(await addSubmodule(repository, outer, 'outer'))
  expect(isThere(root.path, 'outer/inner')).toBe(false)
  const added = await addSubmodule(outer, inner, 'inner')
  await follows(await moveOn(repository, 'outer', added))
  expect(await read(root.path, 'outer/inner/inner.txt')).toBe('inner\n')
  const newer = await inner.commit({ 'inner.txt': 'newer\n' })
  const moved = await moveOn(outer, 'inner', newer)
  await follows(await moveOn(repository, 'outer', moved))
  expect(await read(root.path, 'outer/inner/inner.txt')).toBe('newer\n')
  await using other = await createTestRepository({ 'other.txt': 'other\n' })
  await git(repository.clone, ['rm', '--quiet', '-f', 'outer'])
  await rm(join(repository.clone, '.git/modules'), { recursive: true })
  await git(repository.clone, ['config', '--remove-section', 'submodule.outer']).catch(() => {})
  await follows(await addSubmodule(repository, other, 'outer'))
  expect(await read(root.path, 'outer/other.txt')).toBe('other\n')
  await git(repository.clone, ['rm', '--quiet', '-f', 'outer'])
  await follows(await repository.commit({ 'outer/plain.txt': 'plain\n' }))
  expect(await readdir(join(linkOf(root.path), 'outer'))).toEqual(['plain.txt'])
})

test('a submodule beside a repository that is had from another place comes from there too', async () => {
  await git(repository.folder, ['clone', '--quiet', '--bare', inner.path, 'inner.git'])
  await addSubmodule(repository, inner, 'inner', '../inner.git')
  await using root = await temporaryFolder()
  await once(root.path)
  await using mirror = await createTestRepository()
  await git(mirror.folder, ['clone', '--quiet', '--bare', repository.path, 'mirror.git'])
  await git(mirror.folder, ['clone', '--quiet', '--bare', inner.path, 'inner.git'])
  await rm(join(repository.folder, 'inner.git'), { recursive: true })
  const next = await repository.commit({ 'a.txt': 'two\n' }, { url: join(mirror.folder, 'mirror.git') })
  await once(root.path, '--repo', join(mirror.folder, 'mirror.git'))
  expect(await git(linkOf(root.path), ['rev-parse', 'HEAD'])).toBe(next)
  expect(await read(root.path, 'inner/inner.txt')).toBe('inner\n')
})

test('while a submodule cannot be had the old commit stays published, and the new one comes when it can', async () => {
  await using root = await temporaryFolder()
  const before = await git(repository.clone, ['rev-parse', 'HEAD'])
  await using sync = start(root.path, '--max-failures', '-1', '--error-file', 'error')
  await publishes(linkOf(root.path), before, sync)
  const missing = await inner.commit({ 'inner.txt': 'missing\n' }, { branch: 'other' })
  await git(inner.path, ['branch', '--quiet', '-D', 'other'])
  await git(inner.path, ['gc', '--quiet', '--prune=now'])
  await git(repository.clone, [
    '-c',
    'protocol.file.allow=always',
    'submodule',
    'add',
    '--quiet',
    inner.url,
    'm',
  ])
  await git(join(repository.clone, 'm'), ['fetch', '--quiet', inner.clone, 'HEAD'])
  await git(join(repository.clone, 'm'), ['checkout', '--quiet', missing])
  const next = await repository.commit({})
  await sync.logged('error syncing repo, will retry', 2)
  expect(await readFile(join(root.path, 'error'), 'utf8')).toContain(missing)
  expect(basename(await git(linkOf(root.path), ['rev-parse', '--show-toplevel']))).toBe(before)
  await git(inner.clone, ['push', '--quiet', inner.path, `${missing}:refs/heads/other`])
  await publishes(linkOf(root.path), next, sync)
  expect(await read(root.path, 'm/inner.txt')).toBe('missing\n')
  await eventually('no error', () => !existsSync(join(root.path, 'error')))
})

test('files of a submodule that are changed or removed in the published tree are put back by the next poll', async () => {
  await addBoth()
  await using root = await temporaryFolder()
  await using sync = start(root.path)
  await sync.logged('updated successfully')
  const file = join(linkOf(root.path), 'outer/inner/inner.txt')
  await writeFile(file, 'changed\n')
  await eventually(`the file ${sync.stderr()}`, async () => {
    return (await readFile(file, 'utf8').catch(() => '')) === 'inner\n'
  })
  await rm(file)
  await eventually('the file again', async () => existsSync(file))
  expect(await git(linkOf(root.path), ['status', '--porcelain'])).toBe('')
})

test('a submodule whose folder was emptied is put back by the next poll', async () => {
  await addBoth()
  await using root = await temporaryFolder()
  await using sync = start(root.path)
  await sync.logged('updated successfully')
  process.kill(-sync.pid, 'SIGSTOP')
  await rm(join(linkOf(root.path), 'outer'), { recursive: true })
  await mkdir(join(linkOf(root.path), 'outer'))
  process.kill(-sync.pid, 'SIGCONT')
  await eventually('its files', async () => isThere(root.path, 'outer/inner/inner.txt'), 5_000)
})

test('untracked files in a submodule stay at a restart, and whole ones are not written again', async () => {
  await addBoth()
  await using root = await temporaryFolder()
  await once(root.path)
  await writeFile(join(linkOf(root.path), 'outer/mine'), 'mine')
  const file = join(linkOf(root.path), 'outer/inner/inner.txt')
  const writtenAt = (await stat(file, { bigint: true })).ctimeNs
  await once(root.path)
  expect((await stat(file, { bigint: true })).ctimeNs, 'a whole file is not written again').toBe(writtenAt)
  expect(await read(root.path, 'outer/mine')).toBe('mine')
})

test('--depth holds for submodules, where their server sends a commit that no branch names', async () => {
  const old = await git(inner.clone, ['rev-parse', 'HEAD'])
  await inner.commit({ 'inner.txt': 'newer\n' })
  await addSubmodule(repository, inner, 'm')
  await moveOn(repository, 'm', old)
  await using root = await temporaryFolder()
  await once(root.path, '--depth', '1')
  expect(await git(join(linkOf(root.path), 'm'), ['rev-list', '--count', 'HEAD'])).toBe('1')
  expect(await read(root.path, 'm/inner.txt')).toBe('inner\n')
})

test('a submodule beside its repository and one on another server get each its own password', async () => {
  await mkdir(join(repository.folder, 'below'))
  await git(repository.folder, ['clone', '--quiet', '--bare', outer.path, 'below/outer.git'])
  const near = { username: 'near', password: 'n/e a:r%' }
  const far = { username: 'far', password: 'f@r' }
  await using here = await serveGitOverHttp({ folder: repository.folder, ...near })
  await using there = await serveGitOverHttp({ folder: inner.folder, ...far })
  await using files = await temporaryFolder()
  const passwordFile = join(files.path, 'password')
  await writeFile(passwordFile, far.password)
  await addSubmodule(repository, outer, 'outer', '../below/outer.git')
  await addSubmodule(repository, inner, 'inner', there.url('origin.git'))
  await using root = await temporaryFolder()
  const credential = JSON.stringify([
    { url: here.url(''), ...near },
    { url: there.url(''), username: far.username, 'password-file': passwordFile },
  ])
  const args = ['--repo', here.url('origin.git'), '--credential', credential, '--error-file', 'error']
  await using sync = start(root.path, ...args, '--max-failures', '-1')
  await sync.logged('updated successfully')
  expect(await read(root.path, 'outer/outer.txt')).toBe('outer\n')
  expect(await read(root.path, 'inner/inner.txt')).toBe('inner\n')
  there.setPassword('another')
  const next = await repository.commit({ 'a.txt': 'two\n' })
  await sync.logged('error syncing repo, will retry', 2)
  await writeFile(passwordFile, 'another')
  await publishes(linkOf(root.path), next, sync)
  for (const { password } of [near, far]) expect(sync.stderr()).not.toContain(password)
})

describe.skipIf(sshdMissing() !== undefined)('over SSH', () => {
  test('a submodule whose server takes another key is fetched with that', async () => {
    await using here = await serveGitOverSsh()
    await using there = await serveGitOverSsh()
    await addSubmodule(repository, inner, 'inner', there.url(inner.path))
    await using root = await temporaryFolder()
    const args = ['--repo', here.url(repository.path), '--ssh-known-hosts=false']
    const keys = [here, there].flatMap(({ keyFile }) => ['--ssh-key-file', keyFile])
    await once(root.path, ...args, ...keys)
    expect(await read(root.path, 'inner/inner.txt')).toBe('inner\n')
    // git-sync takes a variable that is set to nothing for one that is not set.
    await using own = await temporaryFolder()
    const where = ['--root', own.path, '--link', 'current', '--ref', 'main', '--one-time']
    await using empty = startSync([...where, ...args, ...keys], { GIT_SSH_COMMAND: '' })
    expect(await empty.exit, empty.stderr()).toBe(0)
    await using other = await temporaryFolder()
    await using sync = start(other.path, ...args, '--ssh-key-file', here.keyFile, '--one-time')
    expect(await sync.exit).toBe(1)
    expect(sync.stderr()).toContain('Permission denied')
  })
})
