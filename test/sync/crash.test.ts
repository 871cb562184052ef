// kill -9 of sync and all that it started, at random moments of an update or of the start after it, again and again
// on one root. After each: the link is valid and its tree whole before anything is started again; after a start the
// newest commit is there, and the repository sound. BRANCHLINE_CRASH_ROUNDS sets how often, BRANCHLINE_CRASH_SEED
// the moments (both are printed on failure).
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { createTestRepository, git } from '../support/git-server.ts'
import { killGroup, publishedCommit, startSync, temporaryFolder } from './sync-process.ts'

const rounds = Number(process.env.BRANCHLINE_CRASH_ROUNDS ?? 15)
const seed = Number(process.env.BRANCHLINE_CRASH_SEED ?? Math.floor(Math.random() * 2 ** 31))
/** An update of this repository takes about 50 ms from the end of the push, and its clean-up as long again. */
const latestKillMs = 120
/** From the start of the process to the end of its first update. */
const latestStartKillMs = 350
/** Every so many rounds the next process is killed too, while it starts. */
const startKillEvery = 3

/** mulberry32: the same moments for the same seed. */
function createRandom(state: number): () => number {
  let a = state
  return () => {
    a = (a + 0x6d2b79f5) | 0
    let t = Math.imul(a ^ (a >>> 15), 1 | a)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

test(`after ${rounds} kills at random moments of an update nothing is lost (seed ${seed})`, {
  timeout: 30_000 + rounds * 5_000,
}, async () => {
  const random = createRandom(seed)
  await using repository = await createTestRepository(
    Object.fromEntries(Array.from({ length: 200 }, (_, index) => [`folder/${index}.txt`, `${index}\n`])),
  )
  await using root = await temporaryFolder()
  const link = join(root.path, 'current')
  const args = [
    '--repo',
    repository.url,
    '--ref',
    'main',
    '--root',
    root.path,
    '--link',
    'current',
    '--period',
    '10ms',
  ]

  const isNewest = (commit: string) => async () => (await publishedCommit(link)) === commit || undefined
  const expectWhole = async (): Promise<void> => {
    const commit = await publishedCommit(link)
    expect(await git(link, ['rev-parse', 'HEAD'])).toBe(commit)
    expect(await git(link, ['status', '--porcelain'])).toBe('')
  }

  let commit = await git(repository.clone, ['rev-parse', 'HEAD'])
  for (let round = 0; round < rounds; round += 1) {
    await using sync = startSync(args)
    await eventually(`round ${round}: commit ${commit}\n${sync.stderr()}`, isNewest(commit))
    await expectWhole()
    const files = Object.fromEntries(
      Array.from({ length: 50 }, () => [`folder/${Math.floor(random() * 300)}.txt`, `${random()}\n`]),
    )
    commit = await repository.commit(files)
    // Not a wait for something: the moment of the kill.
    await new Promise((resolve) => setTimeout(resolve, random() * latestKillMs))
    killGroup(sync.pid)
    await sync.exit
    await expectWhole()
    await git(root.path, ['fsck', '--no-progress'])
    if (round % startKillEvery !== 0) continue
    const next = startSync(args)
    await new Promise((resolve) => setTimeout(resolve, random() * latestStartKillMs))
    killGroup(next.pid)
    await next.exit
    await expectWhole()
  }

  await using sync = startSync([...args, '--one-time'])
  expect(await sync.exit, sync.stderr()).toBe(0)
  expect(await publishedCommit(link)).toBe(commit)
  await expectWhole()
  await git(root.path, ['fsck', '--no-progress'])
})
