// --depth as git-sync has it: how much history is behind a published commit, and that a restart with another depth
// takes effect at once, also where there is no new commit.
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createTestRepository, git, type TestRepository } from '../support/git-server.ts'
import { expectWhole, publishes } from './observers.ts'
import { startSync, temporaryFolder } from './sync-process.ts'

let repository: TestRepository
/** Commits of the remote's branch. */
let total = 5
beforeAll(async () => {
  repository = await createTestRepository()
  for (let number = 2; number <= total; number += 1) await repository.commit({ 'a.txt': `${number}\n` })
})
afterAll(() => repository?.close())

const argsFor = (root: string, ...more: string[]): string[] => [
  ...['--repo', repository.url, '--ref', 'main', '--root', root, '--link', 'current', '--period', '50ms'],
  ...more,
]
const historyOf = async (root: string): Promise<number> =>
  Number(await git(join(root, 'current'), ['rev-list', '--count', 'HEAD']))

async function syncOnce(root: string, ...more: string[]): Promise<void> {
  await using sync = startSync(argsFor(root, '--one-time', ...more))
  expect(await sync.exit, sync.stderr()).toBe(0)
}

test.for([
  ['by default the newest commit alone is fetched', [], 1],
  ['--depth 3 fetches three commits', ['--depth', '3'], 3],
  ['--depth 0 fetches all history', ['--depth', '0'], 'all'],
  ['a depth beyond the first commit fetches all history', ['--depth', '1000'], 'all'],
] as const)('%s, and as many after a push', async ([, args, count]) => {
  await using root = await temporaryFolder()
  await using sync = startSync(argsFor(root.path, ...args))
  const link = join(root.path, 'current')
  await publishes(link, await git(repository.clone, ['rev-parse', 'HEAD']), sync)
  expect(await historyOf(root.path)).toBe(count === 'all' ? total : count)
  const next = await repository.commit({ 'a.txt': `${Math.random()}\n` })
  total += 1
  await publishes(link, next, sync)
  expect(await historyOf(root.path)).toBe(count === 'all' ? total : count)
})

test('a restart with another depth takes effect, with nothing new to publish', async () => {
  await using root = await temporaryFolder()
  const commit = await git(repository.clone, ['rev-parse', 'HEAD'])
  for (const [depth, count] of [
    ['1', 1],
    ['2', 2],
    ['1', 1],
    ['0', total],
    ['3', 3],
  ] as const) {
    await syncOnce(root.path, '--depth', depth)
    expect(await historyOf(root.path), `--depth ${depth}`).toBe(count)
    await expectWhole(join(root.path, 'current'), commit)
  }
})

test('a restart with another depth takes effect, with a new commit each time', async () => {
  await using root = await temporaryFolder()
  for (const depth of ['1', '2', '1', '0']) {
    const commit = await repository.commit({ 'a.txt': `${Math.random()}\n` })
    total += 1
    await syncOnce(root.path, '--depth', depth)
    expect(await historyOf(root.path), `--depth ${depth}`).toBe(depth === '0' ? total : Number(depth))
    await expectWhole(join(root.path, 'current'), commit)
  }
})

test('the depth can be given by the variable', async () => {
  await using root = await temporaryFolder()
  await using sync = startSync(argsFor(root.path, '--one-time'), { GITSYNC_DEPTH: '0x2' })
  expect(await sync.exit, sync.stderr()).toBe(0)
  expect(await historyOf(root.path)).toBe(2)
})
