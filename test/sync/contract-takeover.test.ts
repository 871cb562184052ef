// Roots change hands: one that git-sync made is taken over where it stands, and one that we leave is one on which
// git-sync's own commands succeed, so that whoever goes back loses nothing.
import { existsSync } from 'node:fs'
import {
  appendFile,
  mkdir,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { createTestRepository, git, type TestRepository } from '../support/git-server.ts'
import { cleanUpAsGitSync, syncAsGitSync } from './git-sync-root.ts'
import { createRecordingGit, expectWhole, publishes, startReader } from './observers.ts'
import { publishedCommit, type SyncProcess, startSync, temporaryFolder } from './sync-process.ts'

let repository: TestRepository
beforeAll(async () => {
  repository = await createTestRepository({ 'a.txt': 'one\n', 'folder/b.txt': 'never changed\n' })
})
afterAll(() => repository?.close())

const linkOf = (root: string): string => join(root, 'current')
const push = (): Promise<string> => repository.commit({ 'a.txt': `${Math.random()}\n` })
const asGitSync = (root: string, depth = 1): Promise<string> =>
  syncAsGitSync({ root, repo: repository.url, ref: 'main', link: linkOf(root), depth })
const worktrees = async (root: string): Promise<string[]> => (await readdir(join(root, '.worktrees'))).sort()

function start(root: string, ...more: string[]): SyncProcess {
  const where = ['--repo', repository.url, '--ref', 'main', '--root', root, '--link', 'current']
  return startSync([...where, '--period', '50ms', ...more])
}

async function once(root: string, ...more: string[]): Promise<SyncProcess> {
  await using sync = start(root, '--one-time', ...more)
  expect(await sync.exit, sync.stderr()).toBe(0)
  return sync
}

describe('a root of git-sync', () => {
  test.for([1, 0, 5])('is taken over in place with --depth %d, and readers notice nothing', async (depth) => {
    await using root = await temporaryFolder()
    const first = await asGitSync(root.path)
    const second = await push()
    expect(await asGitSync(root.path)).toBe(second)
    await cleanUpAsGitSync(root.path, [first])
    const file = join(root.path, 'current', 'folder/b.txt')
    const writtenAt = (await stat(file, { bigint: true })).ctimeNs
    await appendFile(join(root.path, 'current', 'untracked'), 'mine')
    const judge = (_commit: string, text: string): void => expect(text).toBe('never changed\n')
    const reader = startReader({ link: linkOf(root.path), file: 'folder/b.txt', judge })
    await using sync = start(root.path, '--depth', String(depth))
    await sync.logged('updated successfully')
    expect(await publishedCommit(linkOf(root.path))).toBe(second)
    expect((await stat(file, { bigint: true })).ctimeNs, 'whole files are not written again').toBe(writtenAt)
    expect(await readFile(join(root.path, 'current', 'untracked'), 'utf8')).toBe('mine')
    const third = await push()
    await publishes(linkOf(root.path), third, sync)
    await expectWhole(linkOf(root.path), third)
    await reader.stop()
    await eventually('the old worktree is gone', async () => (await worktrees(root.path)).length === 1)
  })

  test('keeps its replaced worktrees for --stale-worktree-timeout', async () => {
    await using root = await temporaryFolder()
    const first = await asGitSync(root.path)
    const second = await push()
    await asGitSync(root.path)
    await once(root.path, '--stale-worktree-timeout', '1h')
    expect(await worktrees(root.path)).toEqual([first, second].sort())
    const third = await push()
    await once(root.path, '--stale-worktree-timeout', '1h')
    expect(await worktrees(root.path)).toEqual([first, second, third].sort())
    await once(root.path)
    expect(await worktrees(root.path)).toEqual([third])
  })

  test('loses what its reflogs and removed worktrees kept', async () => {
    await using root = await temporaryFolder()
    const first = await asGitSync(root.path)
    await push()
    await asGitSync(root.path)
    // Killed after the folder was removed and before git was told.
    await rm(join(root.path, '.worktrees', first), { recursive: true })
    const third = await push()
    await once(root.path)
    expect(await readdir(join(root.path, '.git/worktrees'))).toEqual([third])
    const objects = await git(root.path, ['cat-file', '--batch-all-objects', '--batch-check=%(objectname)'])
    expect(objects).not.toContain(first)
    expect(objects).toContain(third)
  })

  test('with another repository as its origin gets the one that is synced', async () => {
    await using root = await temporaryFolder()
    await asGitSync(root.path)
    await git(root.path, ['remote', 'set-url', 'origin', 'https://elsewhere.example/repo.git'])
    await once(root.path)
    expect(await git(root.path, ['remote', 'get-url', 'origin'])).toBe(repository.url)
    await git(root.path, ['remote', 'remove', 'origin'])
    await once(root.path)
    expect(await git(root.path, ['remote', 'get-url', 'origin'])).toBe(repository.url)
  })

  test('whose link is absolute and elsewhere is taken over', async () => {
    await using root = await temporaryFolder()
    await using elsewhere = await temporaryFolder()
    const link = join(elsewhere.path, 'deep/link')
    await mkdir(join(elsewhere.path, 'deep'))
    await syncAsGitSync({ root: root.path, repo: repository.url, ref: 'main', link })
    const next = await push()
    await once(root.path, '--link', link)
    expect(await publishedCommit(link)).toBe(next)
    expect(await readlink(link)).not.toMatch(/^\//)
    expect(await worktrees(root.path)).toEqual([next])
  })
})

describe('a root of git-sync 3', () => {
  /** A clone on its branch, the worktree beside it with absolute paths. */
  async function asGitSync3(root: string, name: (commit: string) => string): Promise<string> {
    await git(root, ['clone', '--quiet', '--no-checkout', '-b', 'main', '--depth', '1', repository.url, '.'])
    const commit = await git(root, ['rev-parse', 'origin/main'])
    await git(root, ['worktree', 'add', join(root, name(commit)), 'origin/main', '--no-checkout'])
    await writeFile(join(root, name(commit), '.git'), `gitdir: ../.git/worktrees/${name(commit)}\n`)
    await git(join(root, name(commit)), ['reset', '--quiet', '--hard', commit])
    await symlink(name(commit), linkOf(root))
    return commit
  }

  test.for<[string, (commit: string) => string]>([
    ['named by the commit', (commit) => commit],
    ['named as its first versions did', (commit) => `rev-${commit}`],
  ])('is taken over with its worktree %s, at the same commit and at the next', async ([, name]) => {
    for (const isNew of [false, true]) {
      await using root = await temporaryFolder()
      const old = await asGitSync3(root.path, name)
      const commit = isNew ? await push() : old
      await once(root.path)
      await expectWhole(linkOf(root.path), commit)
      expect(await readlink(linkOf(root.path))).toBe(`.worktrees/${commit}`)
      expect(await readdir(root.path)).not.toContain(name(old))
      expect(await git(root.path, ['rev-parse', 'HEAD']), "the repository's own HEAD").toBe(commit)
    }
  })
})

describe('a root of ours', () => {
  test.for([1, 0])("is one on which git-sync's commands succeed, made with --depth %d", async (depth) => {
    await using root = await temporaryFolder()
    const first = await repository.commit({ 'a.txt': `${Math.random()}\n` })
    await once(root.path, '--depth', String(depth))
    expect(await asGitSync(root.path), 'at the same commit').toBe(first)
    await expectWhole(linkOf(root.path), first)
    const second = await push()
    expect(await asGitSync(root.path), 'at a new one').toBe(second)
    await cleanUpAsGitSync(root.path, [first])
    await expectWhole(linkOf(root.path), second)
    expect(await readdir(join(root.path, '.git/worktrees'))).toEqual([second])
    const third = await push()
    await once(root.path)
    await expectWhole(linkOf(root.path), third)
  })

  test('is in the state that git-sync leaves: branch, HEAD, origin, relative gitdir and link', async () => {
    await using root = await temporaryFolder()
    const commit = await push()
    await once(root.path)
    const own = ['.git', '.gate', '.leases', '.sync-gitconfig', '.sync-lock', '.worktrees', 'current']
    for (const name of await readdir(root.path)) expect(own).toContain(name)
    expect(await git(root.path, ['symbolic-ref', 'HEAD'])).toBe('refs/heads/git-sync')
    expect(await git(root.path, ['rev-parse', 'HEAD'])).toBe(commit)
    expect(await git(root.path, ['rev-parse', '--is-bare-repository'])).toBe('false')
    expect(await git(root.path, ['remote', 'get-url', 'origin'])).toBe(repository.url)
    expect(await readFile(join(root.path, 'current/.git'), 'utf8')).toBe(
      `gitdir: ../../.git/worktrees/${commit}\n`,
    )
    expect(await readlink(linkOf(root.path))).toBe(`.worktrees/${commit}`)
    expect(await git(root.path, ['worktree', 'list'])).toContain(commit)
  })

  test('that is mounted in another place is read by git there', async () => {
    await using root = await temporaryFolder()
    await using other = await temporaryFolder()
    const commit = await push()
    await once(root.path)
    await rename(root.path, join(other.path, 'mounted'))
    expect(await git(join(other.path, 'mounted/current'), ['rev-parse', 'HEAD'])).toBe(commit)
    expect(await git(join(other.path, 'mounted/current'), ['status', '--porcelain'])).toBe('')
    await mkdir(root.path)
  })
})

test('submodules are there through a change of hands, to us and back', async () => {
  await using own = await createTestRepository()
  const allowed = ['-c', 'protocol.file.allow=always']
  await git(own.clone, [...allowed, 'submodule', 'add', '--quiet', repository.url, 'module'])
  await own.commit({})
  await using root = await temporaryFolder()
  const ours = ['--repo', own.url, '--git-config', 'protocol.file.allow:always']
  const theirs = { root: root.path, repo: own.url, ref: 'main', link: linkOf(root.path) }
  const file = join(root.path, 'current/module/folder/b.txt')
  const steps = [() => syncAsGitSync(theirs), () => once(root.path, ...ours)]
  for (let count = 0; count < 6; count += 1) {
    await steps[count % 2]!()
    expect(await readFile(file, 'utf8')).toBe('never changed\n')
    await expectWhole(linkOf(root.path), await git(own.clone, ['rev-parse', 'HEAD']))
    if (count % 3 === 1) await own.commit({ 'a.txt': `${count}\n` })
  }
})

test('a worktree of the next commit that appears while sync stands still is not published', async () => {
  await using root = await temporaryFolder()
  await using sync = start(root.path)
  await sync.logged('updated successfully')
  await git(repository.clone, ['commit', '--quiet', '--allow-empty', '--message', 'known beforehand'])
  const next = await git(repository.clone, ['rev-parse', 'HEAD'])
  process.kill(-sync.pid, 'SIGSTOP')
  await mkdir(join(root.path, '.worktrees', next, 'theirs'), { recursive: true })
  await writeFile(join(root.path, '.worktrees', next, 'theirs/file'), 'not of the commit')
  await git(repository.clone, ['push', '--quiet', repository.path, 'HEAD:refs/heads/main'])
  process.kill(-sync.pid, 'SIGCONT')
  await publishes(linkOf(root.path), next, sync)
  await expectWhole(linkOf(root.path), next)
})

test('a restart with nothing new fetches once, touches the touch file and says what git-sync says', async () => {
  await using root = await temporaryFolder()
  await once(root.path)
  await using files = await temporaryFolder()
  const recorder = await createRecordingGit(files.path)
  const again = await once(root.path, '--git', recorder.path, '--touch-file', 'touched')
  expect(existsSync(join(root.path, 'touched'))).toBe(true)
  const fetches = (await recorder.calls()).filter((call) => call.startsWith('fetch '))
  expect(fetches).toEqual([expect.stringContaining(`fetch ${repository.url} main --verbose`)])
  const said = again.lines().map(({ msg }) => msg)
  expect(said).toEqual(expect.arrayContaining(['update required', 'updated successfully']))
})
