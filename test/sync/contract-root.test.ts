// --root as git-sync has it: in every form that a path can have, whatever is there before, and with a clear end
// where it cannot be used.
import { execFileSync } from 'node:child_process'
import { mkdir, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { basename, dirname, join, relative } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createTestRepository, git, type TestRepository } from '../support/git-server.ts'
import { expectWhole, publishes } from './observers.ts'
import { type SyncProcess, startSync, temporaryFolder } from './sync-process.ts'

let repository: TestRepository
beforeAll(async () => {
  repository = await createTestRepository()
})
afterAll(() => repository?.close())

const newest = (): Promise<string> => git(repository.clone, ['rev-parse', 'HEAD'])
function start(root: string, ...more: string[]): SyncProcess {
  const args = [
    '--repo',
    repository.url,
    '--ref',
    'main',
    '--root',
    root,
    '--link',
    'current',
    '--period',
    '50ms',
  ]
  return startSync([...args, ...more])
}

/** Publishes below `root`, which is found as `real`, and follows a push. */
async function works(root: string, real = root): Promise<void> {
  const link = join(real, 'current')
  await using sync = start(root)
  await publishes(link, await newest(), sync)
  await expectWhole(link, await newest())
  const next = await repository.commit({ 'a.txt': `${Math.random()}\n` })
  await publishes(link, next, sync)
  await expectWhole(link, next)
}

describe('a root is used, written as', () => {
  test.for<[string, (folder: string) => string]>([
    ['a path of which several levels are missing', (folder) => join(folder, 'a/b/c/root')],
    ['a relative path with parent folders', (folder) => relative(process.cwd(), join(folder, 'root'))],
    ['a path with parent folders in its midst', (folder) => `${folder}/x/../y/../root`],
    ['a path with slashes at its end', (folder) => `${folder}/root///`],
    ['a path with doubled slashes and dots', (folder) => `${folder}//.//root/./`],
    ['a path with spaces, quotes and letters of other languages', (folder) => `${folder}/it's a "rööt" 测试`],
    [
      'a path with what shells and git take for their own',
      (folder) => `${folder}/$(x) ;&|*?[a]{b}:c=d%20#!\\e`,
    ],
    ['a path with line breaks and tabs', (folder) => `${folder}/first\nsecond\tthird`],
    ['a path that begins with a dash', (folder) => `${folder}/--root`],
    ['a long path', (folder) => join(folder, ...Array.from({ length: 12 }, () => 'n'.repeat(200)))],
  ])('%s', async ([, path]) => {
    await using folder = await temporaryFolder()
    await works(path(folder.path))
  })

  test('a symbolic link to a directory, which stays a link', async () => {
    await using folder = await temporaryFolder()
    await mkdir(join(folder.path, 'real'))
    await symlink('real', join(folder.path, 'root'))
    await works(join(folder.path, 'root'), join(folder.path, 'real'))
    await expectWhole(join(folder.path, 'root', 'current'), await newest())
  })
})

describe('a root is used where before it is', () => {
  const broken = async (folder: string): Promise<void> => {
    await git(dirname(folder), ['clone', '--quiet', repository.path, folder])
  }
  test.for<[string, (root: string) => Promise<unknown>]>([
    ['absent', async () => {}],
    ['empty', (root) => mkdir(root)],
    [
      'full of files and folders of others',
      async (root) => {
        await mkdir(join(root, 'folder/below'), { recursive: true })
        await writeFile(join(root, 'folder/below/file'), 'junk')
        await symlink('nowhere', join(root, 'dangling'))
      },
    ],
    [
      'a repository without any commit',
      async (root) => {
        await mkdir(root)
        await git(root, ['init', '--quiet'])
      },
    ],
    ["somebody's clone", broken],
    [
      'a bare repository',
      (root) => git(dirname(root), ['clone', '--quiet', '--bare', repository.path, root]),
    ],
    [
      'a repository whose HEAD is garbage',
      async (root) => {
        await broken(root)
        await writeFile(join(root, '.git/HEAD'), 'garbage')
      },
    ],
    [
      'a repository whose objects are missing',
      async (root) => {
        await broken(root)
        await rm(join(root, '.git/objects'), { recursive: true })
        await mkdir(join(root, '.git/objects'))
      },
    ],
    [
      'a repository whose configuration is garbage',
      async (root) => {
        await broken(root)
        await writeFile(join(root, '.git/config'), '[core\nrepositoryformatversion = many')
      },
    ],
    ['a folder with an empty .git', (root) => mkdir(join(root, '.git'), { recursive: true })],
    [
      'a folder whose .git is a file with nothing behind it',
      async (root) => {
        await mkdir(root)
        await writeFile(join(root, '.git'), 'gitdir: /no/such/place\n')
      },
    ],
  ])('%s', async ([, prepare]) => {
    await using folder = await temporaryFolder()
    const root = join(folder.path, 'root')
    await prepare(root)
    await works(root)
  })
})

test.for<[string, (outer: string, root: string) => Promise<unknown>]>([
  ['under another repository', async () => {}],
  ['a worktree of another repository', (outer, root) => git(outer, ['worktree', 'add', '--detach', root])],
])('a root that is %s leaves that one as it is', async ([, prepare]) => {
  await using folder = await temporaryFolder()
  const outer = join(folder.path, 'outer')
  await git(folder.path, ['clone', '--quiet', repository.path, outer])
  const before = await git(outer, ['rev-parse', 'HEAD'])
  await prepare(outer, join(outer, 'root'))
  await writeFile(join(outer, '.git/info/exclude'), 'root/\n')
  await works(join(outer, 'root'))
  expect(await git(outer, ['rev-parse', 'HEAD'])).toBe(before)
  expect(await git(outer, ['branch', '--format=%(refname)'])).toBe('refs/heads/main')
  expect(await git(outer, ['status', '--porcelain'])).toBe('')
  await git(outer, ['fsck', '--connectivity-only'])
})

test('a root that is moved keeps what is published, and goes on at its new place', async () => {
  await using folder = await temporaryFolder()
  const [before, after] = [join(folder.path, 'before'), join(folder.path, 'elsewhere/after')]
  await works(before)
  await mkdir(dirname(after))
  await rename(before, after)
  await expectWhole(join(after, 'current'), await newest())
  await works(after)
})

describe('a root that cannot be used ends it with 1 and its name:', () => {
  async function isRefused(root: string): Promise<void> {
    await using errors = await temporaryFolder()
    const errorFile = join(errors.path, 'error')
    await using sync = start(root, '--error-file', errorFile)
    expect(await sync.exit).toBe(1)
    expect(sync.stderr()).toContain('--root')
    expect(sync.stderr()).toContain(basename(root))
    expect(await readFile(errorFile, 'utf8')).toContain(basename(root))
  }

  test('a file', async () => {
    await using folder = await temporaryFolder()
    await writeFile(join(folder.path, 'file'), 'mine')
    await isRefused(join(folder.path, 'file'))
    expect(await readFile(join(folder.path, 'file'), 'utf8')).toBe('mine')
  })

  test('a path below a file', async () => {
    await using folder = await temporaryFolder()
    await writeFile(join(folder.path, 'file'), 'mine')
    await isRefused(join(folder.path, 'file/root'))
  })

  test.skipIf(userInfo().uid !== 0)('a directory of a volume that is mounted read-only', async () => {
    await using folder = await temporaryFolder()
    const mounted = join(folder.path, 'read-only')
    await mkdir(mounted)
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'ro,size=1m', 'none', mounted])
    try {
      await isRefused(join(mounted, 'root'))
      await isRefused(mounted)
      expect(await readdir(mounted)).toEqual([])
    } finally {
      execFileSync('umount', [mounted])
    }
  })

  test.skipIf(userInfo().uid === 0)('a directory that this user may not write', async () => {
    await using folder = await temporaryFolder()
    const closed = join(folder.path, 'closed')
    await mkdir(closed, { mode: 0o555 })
    await isRefused(join(closed, 'root'))
    await isRefused(closed)
  })
})
