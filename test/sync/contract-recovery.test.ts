// Damage to a root, made from outside: at a restart it is mended before anything else, and while sync runs the next
// poll finds it, by the default failure limit, which allows none. Whole means: every file of the commit, nothing
// else, and a repository in which the next commit arrives. Lock files have tests of their own beside the locks.
import { execFileSync } from 'node:child_process'
import { mkdir, readdir, readlink, rename, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createTestRepository, git, type TestRepository } from '../support/git-server.ts'
import { type Damage, hidden, link, published, worktree } from './damages.ts'
import { becomesWhole, expectWhole, publishes, type Reader, startReader } from './observers.ts'
import { publishedCommit, type SyncProcess, startSync, temporaryFolder } from './sync-process.ts'

let repository: TestRepository
beforeAll(async () => {
  repository = await createTestRepository({ 'a.txt': 'one\n', 'folder/b.txt': 'never changed\n' })
  await repository.commit({ 'a.txt': 'two\n' })
})
afterAll(() => repository?.close())

const newest = (): Promise<string> => git(repository.path, ['rev-parse', 'main'])
const push = (): Promise<string> => repository.commit({ 'a.txt': `${Math.random()}\n` })
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
async function prepare(root: string, ...more: string[]): Promise<void> {
  await using sync = start(root, '--one-time', ...more)
  expect(await sync.exit, sync.stderr()).toBe(0)
}

/** Reads a file that is the same in every commit; anything else than its text is a fault. */
function readUnchanged(root: string): Reader {
  const judge = (commit: string, text: string): void => {
    if (text !== 'never changed\n') throw new Error(`a reader of ${commit} found ${JSON.stringify(text)}`)
  }
  return startReader({ link: link(root), file: 'folder/b.txt', judge })
}
const changeTimeOf = async (path: string): Promise<bigint> => (await stat(path, { bigint: true })).ctimeNs

/** Made while sync stands still, or it would mend the first half of the damage before the second is done. */
async function makeAtOnce(damage: Damage, sync: SyncProcess, root: string, commit: string): Promise<void> {
  process.kill(-sync.pid, 'SIGSTOP')
  await damage.make(root, commit)
  process.kill(-sync.pid, 'SIGCONT')
}

describe('at a restart', () => {
  test.for([...published, ...hidden])('$name: mended, and the next commit arrives', async (damage) => {
    await using root = await temporaryFolder()
    const depth = ['--depth', `${damage.depth ?? 1}`]
    await prepare(root.path, ...depth)
    const commit = await newest()
    await damage.make(root.path, commit)
    const file = join(worktree(root.path, commit), 'folder/b.txt')
    const isHidden = hidden.includes(damage)
    const writtenAt = isHidden ? await changeTimeOf(file) : undefined
    const reader = isHidden ? readUnchanged(root.path) : undefined
    await using sync = start(root.path, ...depth)
    await becomesWhole(link(root.path), commit, sync)
    // Written anew, a published file is missing for a moment and empty for another.
    if (isHidden) expect(await changeTimeOf(file), 'a whole file is not written again').toBe(writtenAt)
    const next = await push()
    await publishes(link(root.path), next, sync)
    await becomesWhole(link(root.path), next, sync)
    await reader?.stop()
    await damage.after?.(root.path)
    await git(root.path, ['fsck', '--connectivity-only'])
  })
})

describe('while it runs', () => {
  test.for(published)('$name: the next poll mends it, and the next commit arrives', async (damage) => {
    await using root = await temporaryFolder()
    await using sync = start(root.path, '--depth', `${damage.depth ?? 1}`)
    const commit = await newest()
    await becomesWhole(link(root.path), commit, sync)
    await makeAtOnce(damage, sync, root.path, commit)
    await becomesWhole(link(root.path), commit, sync)
    const next = await push()
    await publishes(link(root.path), next, sync)
    await becomesWhole(link(root.path), next, sync)
    await damage.after?.(root.path)
  })

  test.for(hidden)('$name: readers notice nothing, and the next commit arrives', async (damage) => {
    await using root = await temporaryFolder()
    await using sync = start(root.path)
    const commit = await newest()
    await becomesWhole(link(root.path), commit, sync)
    const reader = readUnchanged(root.path)
    await makeAtOnce(damage, sync, root.path, commit)
    const next = await push()
    await publishes(link(root.path), next, sync)
    await becomesWhole(link(root.path), next, sync)
    await reader.stop()
    await damage.after?.(root.path)
  })
})

describe("in the place of the next commit's worktree", () => {
  test.for<[string, (path: string) => Promise<unknown>]>([
    [
      'a directory with files of others',
      async (path) => {
        await mkdir(join(path, 'folder'), { recursive: true })
        await writeFile(join(path, 'foreign.txt'), 'not of the commit')
        await writeFile(join(path, 'folder/foreign.txt'), 'not of the commit')
      },
    ],
    ['a copy of a worktree with a file more', (path) => copyOfWorktree(path)],
    ['a file', (path) => writeFile(path, 'not of the commit')],
    ['a dangling link', (path) => symlink('nowhere', path)],
  ])('%s is not published', async ([, make]) => {
    await using root = await temporaryFolder()
    await prepare(root.path)
    // Committed first and pushed afterwards, so that its name is known before sync can see it.
    await git(repository.clone, ['commit', '--quiet', '--allow-empty', '--message', 'known beforehand'])
    const next = await git(repository.clone, ['rev-parse', 'HEAD'])
    await make(worktree(root.path, next))
    await git(repository.clone, ['push', '--quiet', repository.path, 'HEAD:refs/heads/main'])
    await using sync = start(root.path)
    await publishes(link(root.path), next, sync)
    await expectWhole(link(root.path), next)
  })

  async function copyOfWorktree(path: string): Promise<void> {
    const folder = join(path, '..')
    const [other] = await readdir(folder)
    execFileSync('cp', ['-a', join(folder, other!), path])
    await writeFile(join(path, 'foreign.txt'), 'not of the commit')
  }
})

test('a root of the older layout, with its worktree beside the repository, is taken over', async () => {
  await using root = await temporaryFolder()
  await prepare(root.path)
  const commit = await newest()
  await rename(worktree(root.path, commit), join(root.path, commit))
  await rm(link(root.path))
  await symlink(commit, link(root.path))
  const reader = readUnchanged(root.path)
  await prepare(root.path)
  await reader.stop()
  expect(await publishedCommit(link(root.path))).toBe(commit)
  expect(await readlink(link(root.path))).toBe(`.worktrees/${commit}`)
  await expectWhole(link(root.path), commit)
  expect(await readdir(root.path)).not.toContain(commit)
})
