// --git-gc: what a replaced commit leaves in the repository goes by the mode, and no root grows for ever.
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { createTestRepository, git, type TestRepository } from '../support/git-server.ts'
import { createRecordingGit, expectWhole, publishes } from './observers.ts'
import { type SyncProcess, startSync, temporaryFolder } from './sync-process.ts'

/** More than git waits for with `auto`, which packs when there are more than fifty packs. */
const commits = Number(process.env.BRANCHLINE_TEST_GC_COMMITS ?? 60)

let repository: TestRepository
beforeAll(async () => {
  repository = await createTestRepository({ 'a.txt': 'one\n', 'b.txt': 'never changed\n' })
})
afterAll(() => repository?.close())

const push = (): Promise<string> => repository.commit({ 'a.txt': `${Math.random()}\n`.repeat(500) })
const linkOf = (root: string): string => join(root, 'current')
const objectsOf = async (root: string): Promise<string[]> =>
  (await git(root, ['cat-file', '--batch-all-objects', '--batch-check=%(objectname)'])).split('\n')
const packsOf = async (root: string): Promise<number> =>
  (await readdir(join(root, '.git/objects/pack'))).filter((name) => name.endsWith('.pack')).length

function start(root: string, ...more: string[]): SyncProcess {
  const where = ['--repo', repository.url, '--ref', 'main', '--root', root, '--link', 'current']
  return startSync([...where, '--period', '10ms', ...more])
}

async function once(root: string, ...more: string[]): Promise<void> {
  await using sync = start(root, '--one-time', ...more)
  expect(await sync.exit, sync.stderr()).toBe(0)
}

test.for<[mode: string, packs: number]>([
  ['always', 1],
  ['aggressive', 1],
  ['auto', 51],
])(
  '--git-gc=%s: after many commits the root is no larger than after a few',
  {
    timeout: 180_000,
  },
  async ([mode, packs]) => {
    await using root = await temporaryFolder()
    await using sync = start(root.path, '--git-gc', mode, '--stale-worktree-timeout', '0s')
    for (let count = 0; count < commits; count += 1) await publishes(linkOf(root.path), await push(), sync)
    const last = await push()
    await publishes(linkOf(root.path), last, sync)
    // A commit, its tree and two files; `auto` lets the latest fifty be.
    const kept = packs === 1 ? 4 : packs * 3 + 1
    await eventually(`no more than ${packs} packs, with ${kept} objects`, async () => {
      const left = await readdir(join(root.path, '.git/worktrees'))
      if (left.join() !== last) return false
      return (await packsOf(root.path)) <= packs && (await objectsOf(root.path)).length <= kept
    })
    expect(sync.stderr()).not.toContain('cleanup failed')
    expect(await readdir(join(root.path, '.leases')).catch(() => [])).toEqual([])
    expect(existsSync(join(root.path, '.git/logs'))).toBe(false)
    await git(root.path, ['fsck', '--connectivity-only'])
    await expectWhole(linkOf(root.path), last)
  },
)

test('--git-gc=off runs no gc and keeps every object, and another mode prunes them later', async () => {
  await using root = await temporaryFolder()
  await using files = await temporaryFolder()
  const recorder = await createRecordingGit(files.path)
  const seen: string[] = []
  for (let count = 0; count < 3; count += 1) {
    seen.push(await push())
    await once(root.path, '--git', recorder.path, '--git-gc', 'off')
  }
  expect((await recorder.calls()).filter((call) => /^(gc|reflog|repack|prune)/.test(call))).toEqual([])
  expect(await objectsOf(root.path)).toEqual(expect.arrayContaining(seen))
  seen.push(await push())
  await once(root.path, '--git', recorder.path)
  expect((await recorder.calls()).filter((call) => call.startsWith('gc'))).toEqual(['gc'])
  const left = await objectsOf(root.path)
  expect(seen.filter((commit) => left.includes(commit))).toEqual(seen.slice(-1))
})

test.for([
  ['auto', 'gc --auto'],
  ['aggressive', 'gc --aggressive'],
])('--git-gc=%s is %s, and only after a worktree was removed', async ([mode, command]) => {
  await using root = await temporaryFolder()
  await using files = await temporaryFolder()
  const recorder = await createRecordingGit(files.path)
  const collections = async () => (await recorder.calls()).filter((call) => call.startsWith('gc'))
  await using sync = start(root.path, '--git', recorder.path, '--git-gc', mode!)
  await sync.logged('updated successfully')
  await recorder.polled(3)
  expect(await collections()).toEqual([])
  await push()
  await eventually('gc', async () => (await collections()).length === 1)
  await recorder.polled(3)
  expect(await collections()).toEqual([command])
})

test('starts with nothing new leave no more and more behind', async () => {
  await using root = await temporaryFolder()
  for (let count = 0; count < 5; count += 1) await once(root.path)
  expect(await packsOf(root.path)).toBeLessThanOrEqual(2)
})

test('loose objects that nothing names are pruned at once', async () => {
  await using root = await temporaryFolder()
  await once(root.path)
  await writeFile(join(root.path, 'loose'), 'nobody needs it')
  const loose = await git(root.path, ['hash-object', '-w', 'loose'])
  await push()
  await once(root.path)
  expect(await objectsOf(root.path)).not.toContain(loose)
})

test('worktrees of others in the repository are kept with what they need', async () => {
  await using root = await temporaryFolder()
  await using elsewhere = await temporaryFolder()
  const first = await push()
  await once(root.path)
  const theirs = join(elsewhere.path, 'theirs')
  await git(root.path, ['worktree', 'add', '--quiet', '--detach', theirs, first])
  await push()
  await once(root.path)
  expect(await git(theirs, ['rev-parse', 'HEAD'])).toBe(first)
  expect(await git(theirs, ['status', '--porcelain'])).toBe('')
  await rm(theirs, { recursive: true })
  await push()
  await once(root.path)
  expect(await objectsOf(root.path)).not.toContain(first)
})

test('the stale timeout counts from the replacement, through restarts, and keeps what a worktree needs', async () => {
  await using root = await temporaryFolder()
  const first = await push()
  await once(root.path, '--stale-worktree-timeout', '1h')
  const second = await push()
  await once(root.path, '--stale-worktree-timeout', '1h')
  await mkdir(join(root.path, '.worktrees/theirs'))
  await symlink('nowhere', join(root.path, '.worktrees/dangling'))
  const old = join(root.path, '.worktrees', first)
  expect(Date.now() - (await stat(old)).mtimeMs).toBeLessThan(60_000)
  await once(root.path, '--stale-worktree-timeout', '1h')
  expect(await readFile(join(old, 'b.txt'), 'utf8')).toBe('never changed\n')
  expect(await git(old, ['show', '--no-patch', '--format=%H', 'HEAD'])).toBe(first)
  expect(existsSync(join(root.path, '.worktrees/theirs'))).toBe(true)
  const twoHoursAgo = Date.now() / 1_000 - 7_200
  await utimes(old, twoHoursAgo, twoHoursAgo)
  await once(root.path, '--stale-worktree-timeout', '1h')
  expect((await readdir(join(root.path, '.worktrees'))).filter((name) => name !== 'dangling').sort()).toEqual(
    [second, 'theirs'].sort(),
  )
  expect(await objectsOf(root.path)).not.toContain(first)
})

test('a replaced worktree goes while sync runs, when its stale timeout is over and nothing is new', async () => {
  await using root = await temporaryFolder()
  const first = await push()
  await using sync = start(root.path, '--stale-worktree-timeout', '1s')
  await publishes(linkOf(root.path), first, sync)
  const second = await push()
  await publishes(linkOf(root.path), second, sync)
  expect(existsSync(join(root.path, '.worktrees', first))).toBe(true)
  await eventually('only the new one', async () => {
    return (await readdir(join(root.path, '.worktrees'))).join() === second
  })
})
