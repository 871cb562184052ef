// Damage to what stands behind a published tree with submodules: their repositories lie in git's folder of the
// worktree, where no fsck of the root looks.
import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createTestRepository, git, type TestRepository } from '../support/git-server.ts'
import { becomesWhole, publishes } from './observers.ts'
import { type SyncProcess, startSync, temporaryFolder } from './sync-process.ts'

let inner: TestRepository
let outer: TestRepository
beforeAll(async () => {
  inner = await createTestRepository({ 'inner.txt': 'inner\n' })
  outer = await createTestRepository({ 'outer.txt': 'outer\n' })
  const args = ['-c', 'protocol.file.allow=always', 'submodule', 'add', '--quiet', inner.url, 'sub']
  await git(outer.clone, args)
  await outer.commit({})
})
afterAll(() => Promise.all([inner?.close(), outer?.close()]))

function start(root: string, ...more: string[]): SyncProcess {
  return startSync([
    ...['--repo', outer.url, '--ref', 'main', '--root', root, '--link', 'current', '--period', '50ms'],
    ...['--git-config', 'protocol.file.allow:always', ...more],
  ])
}

const admin = (root: string, commit: string): string => join(root, '.git/worktrees', commit)
const module = (root: string, commit: string): string => join(admin(root, commit), 'modules/sub')
const remove = (path: string): Promise<void> => rm(path, { recursive: true })

const damages: { name: string; make: (root: string, commit: string) => Promise<void> }[] = [
  { name: 'the repository is removed', make: (root) => remove(join(root, '.git')) },
  { name: 'HEAD is empty', make: (root) => writeFile(join(root, '.git/HEAD'), '') },
  {
    name: 'the objects are missing',
    make: async (root) => {
      const objects = join(root, '.git/objects')
      for (const name of await readdir(objects)) await remove(join(objects, name))
    },
  },
  { name: "the submodule's repository is removed", make: (root, commit) => remove(module(root, commit)) },
  {
    name: "the submodule's HEAD is garbage",
    make: (root, commit) => writeFile(join(module(root, commit), 'HEAD'), 'garbage\n'),
  },
  {
    name: "the submodule's index is empty",
    make: (root, commit) => writeFile(join(module(root, commit), 'index'), ''),
  },
  {
    name: "the submodule's configuration is garbage",
    make: (root, commit) => writeFile(join(module(root, commit), 'config'), '[\n'),
  },
  {
    name: "the worktree's index is garbage",
    make: (root, commit) => writeFile(join(admin(root, commit), 'index'), 'garbage\n'),
  },
]

describe.for(damages)('$name', ({ make }) => {
  test('mended at a restart, and the next commit arrives', async () => {
    await using root = await temporaryFolder()
    const link = join(root.path, 'current')
    const commit = await git(outer.clone, ['rev-parse', 'HEAD'])
    await using first = start(root.path, '--one-time')
    expect(await first.exit, first.stderr()).toBe(0)
    await make(root.path, commit)
    await using sync = start(root.path)
    await becomesWhole(link, commit, sync)
    expect(await readFile(join(link, 'sub/inner.txt'), 'utf8')).toBe('inner\n')
    const next = await outer.commit({ 'outer.txt': `${Math.random()}\n` })
    await publishes(link, next, sync)
    await becomesWhole(link, next, sync)
    expect(await readdir(join(root.path, '.worktrees'))).not.toContain('.copy')
  })
})
