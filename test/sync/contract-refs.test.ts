// --ref and --repo as git-sync has them: what may be named, that the names are followed wherever the remote moves
// them, and that a name that is not there (yet, or any more) takes nothing away.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createTestRepository, git, type TestRepository } from '../support/git-server.ts'
import { createRecordingGit, expectWhole, publishes } from './observers.ts'
import { publishedCommit, type SyncProcess, startSync, temporaryFolder } from './sync-process.ts'

let repository: TestRepository
beforeAll(async () => {
  repository = await createTestRepository()
  await repository.commit({ 'a.txt': 'two\n' })
})
afterAll(() => repository?.close())

function start(root: string, ref: string, ...more: string[]): SyncProcess {
  return startSync([
    ...['--repo', repository.url, '--ref', ref, '--root', root, '--link', 'current', '--period', '50ms'],
    ...more,
  ])
}

const inOrigin = (...args: string[]): Promise<string> => git(repository.path, args)
/** A commit after main's, on no branch. */
const makeCommit = (): Promise<string> =>
  inOrigin('commit-tree', '-p', 'main', '-m', `commit ${Math.random()}`, 'main^{tree}')

describe('what may be named', () => {
  const names: [string, string, string][] = []
  const add = (what: string, ref: string, commit: string): void => void names.push([what, ref, commit])

  beforeAll(async () => {
    const tip = await inOrigin('rev-parse', 'main')
    const first = await inOrigin('rev-parse', 'main~1')
    add('a branch', 'main', tip)
    add('a branch by its full name', 'refs/heads/main', tip)
    add('HEAD', 'HEAD', tip)
    add('a full hash at the tip of a branch', tip, tip)
    add('a full hash behind the tip', first, first)
    await inOrigin('tag', 'light', first)
    add('a tag', 'light', first)
    await inOrigin('tag', '--annotate', '--message', 'release', 'annotated', first)
    add('an annotated tag', 'annotated', first)
    await inOrigin('tag', '--annotate', '--message', 'of a tag', 'nested', 'annotated')
    add('a tag of a tag', 'nested', first)
    const odd = [
      'feature/a/b',
      'größe-测试',
      '@a@b',
      'x#1,2',
      '100%',
      'it\'s;"$HOME"',
      '!{x}&|`b`',
      'deadbeef',
    ]
    for (const branch of odd) {
      const commit = await makeCommit()
      await inOrigin('update-ref', `refs/heads/${branch}`, commit)
      add('a branch', branch, commit)
    }
    await inOrigin('update-ref', 'refs/heads/feature/main', await makeCommit())
    await inOrigin('update-ref', 'refs/heads/both', await makeCommit())
    await inOrigin('update-ref', 'refs/tags/both', await makeCommit())
    add('of a branch and a tag of one name, the tag', 'both', await inOrigin('rev-parse', 'refs/tags/both'))
  })

  test('is published: branches, tags, hashes, HEAD, and names with odd characters', async () => {
    const left = [...names]
    const lane = async (): Promise<void> => {
      await using root = await temporaryFolder()
      for (let next = left.shift(); next !== undefined; next = left.shift()) {
        const [what, ref, commit] = next
        await using sync = start(root.path, ref, '--one-time')
        expect(await sync.exit, `${what}: ${ref}: ${sync.stderr()}`).toBe(0)
        expect(await publishedCommit(join(root.path, 'current')), `${what}: ${ref}`).toBe(commit)
      }
    }
    await Promise.all([lane(), lane()])
  })

  test.for(['main', 'both', 'annotated', 'nested', 'HEAD', 'größe-测试'])(
    'an idle poll of %s finds nothing new',
    async (ref) => {
      await using root = await temporaryFolder()
      await using files = await temporaryFolder()
      const recording = await createRecordingGit(files.path)
      await using sync = start(root.path, ref, '--git', recording.path)
      await sync.logged('updated successfully')
      await recording.polled(6)
      expect(sync.lines().filter(({ msg }) => msg === 'update required')).toHaveLength(1)
      expect((await recording.calls()).filter((line) => line.startsWith('fetch'))).toHaveLength(1)
    },
  )
})

describe('a full hash', () => {
  /** git's older protocol, in which a server hands out what it advertises, unless it is told otherwise. */
  const oldProtocol = { GIT_CONFIG_COUNT: '1', GIT_CONFIG_KEY_0: 'protocol.version', GIT_CONFIG_VALUE_0: '0' }

  test('is fetched in the older protocol where the server allows it, and else fails with its words', async () => {
    await using root = await temporaryFolder()
    const first = await inOrigin('rev-parse', 'main~1')
    await inOrigin('tag', '--delete', 'light', 'annotated', 'nested')
    const args = [
      '--repo',
      repository.url,
      '--ref',
      first,
      '--root',
      root.path,
      '--link',
      'current',
      '--one-time',
    ]
    await using refused = startSync(args, oldProtocol)
    expect(await refused.exit).toBe(1)
    expect((await refused.logged('too many failures, aborting')).error).toMatch(
      /unadvertised object|not our ref/,
    )
    await inOrigin('config', 'uploadpack.allowReachableSHA1InWant', 'true')
    await using allowed = startSync(args, oldProtocol)
    expect(await allowed.exit, allowed.stderr()).toBe(0)
    expect(await publishedCommit(join(root.path, 'current'))).toBe(first)
  })

  test('is published once: nothing is asked for again, and SIGINT then ends with 0', async () => {
    await using root = await temporaryFolder()
    await using files = await temporaryFolder()
    const recording = await createRecordingGit(files.path)
    const commit = await inOrigin('rev-parse', 'main')
    await using sync = start(root.path, commit, '--git', recording.path, '--period', '10ms')
    await sync.logged('ref appears to be a git hash, no further sync needed')
    const before = await recording.calls()
    await using other = start(join(root.path, 'other'), 'main', '--one-time')
    expect(await other.exit, other.stderr()).toBe(0)
    expect(await recording.calls()).toEqual(before)
    process.kill(sync.pid, 'SIGINT')
    expect(await sync.exit).toBe(0)
  })

  test('that is abbreviated fails with a message that asks for all of it', async () => {
    await using root = await temporaryFolder()
    const short = (await inOrigin('rev-parse', 'main')).slice(0, 10)
    await using sync = start(root.path, short, '--error-file', 'error.json')
    expect(await sync.exit).toBe(1)
    const { Err: error } = JSON.parse(await readFile(join(root.path, 'error.json'), 'utf8'))
    expect(error).toContain(`couldn't find remote ref ${short}`)
    expect(error).toMatch(/full/)
  })
})

describe('a name is followed', () => {
  const scratch = 'moving'
  /** Starts at one commit, moves the name by `move`, which returns what is to be published then. */
  async function follows(ref: string, first: string, ...moves: (() => Promise<string>)[]): Promise<void> {
    await using root = await temporaryFolder()
    const link = join(root.path, 'current')
    await using sync = start(root.path, ref)
    await publishes(link, first, sync)
    for (const move of moves) {
      const commit = await move()
      await publishes(link, commit, sync)
      await expectWhole(link, commit)
    }
  }
  const toRef =
    (...command: string[]) =>
    async (): Promise<string> => {
      const commit = await makeCommit()
      await inOrigin(...command.map((word) => (word === '<commit>' ? commit : word)))
      return commit
    }

  test('where a tag is moved', async () => {
    const first = await inOrigin('rev-parse', 'main')
    await inOrigin('tag', scratch, first)
    const annotate = ['tag', '--force', '--annotate', '--message', 'moved']
    await follows(
      scratch,
      first,
      toRef('tag', '--force', scratch, '<commit>'),
      toRef(...annotate, scratch, '<commit>'),
      toRef(...annotate, scratch, '<commit>'),
      toRef('tag', '--force', scratch, '<commit>'),
    )
  })

  test('where the remote’s HEAD goes to another branch, and back', async () => {
    const first = await inOrigin('rev-parse', 'main')
    const other = await makeCommit()
    await inOrigin('update-ref', 'refs/heads/other', other)
    const goTo = (branch: string, commit: string) => async () => {
      await inOrigin('symbolic-ref', 'HEAD', `refs/heads/${branch}`)
      return commit
    }
    await follows('HEAD', first, goTo('other', other), goTo('main', first))
  })

  test('where a branch is pushed by force: back, and to another history', async () => {
    const [first, tip] = [await inOrigin('rev-parse', 'main~1'), await inOrigin('rev-parse', 'main')]
    await inOrigin('update-ref', 'refs/heads/forced', tip)
    await follows(
      'forced',
      tip,
      async () => {
        await inOrigin('update-ref', 'refs/heads/forced', first)
        return first
      },
      async () => {
        const commit = await inOrigin('commit-tree', '-m', 'without parents', 'main^{tree}')
        await inOrigin('update-ref', 'refs/heads/forced', commit)
        return commit
      },
    )
  })

  test('where it appears later, is deleted, and is made again', async () => {
    await using root = await temporaryFolder()
    const link = join(root.path, 'current')
    await using sync = start(root.path, 'later', '--max-failures', '-1', '--error-file', 'error.json')
    await sync.logged('error syncing repo, will retry', 2)
    expect(await publishedCommit(link)).toBeUndefined()
    expect(await readFile(join(root.path, 'error.json'), 'utf8')).toContain("couldn't find remote ref later")

    const first = await makeCommit()
    await inOrigin('update-ref', 'refs/heads/later', first)
    await publishes(link, first, sync)

    const failures = sync.lines().filter(({ msg }) => msg === 'error syncing repo, will retry').length
    await inOrigin('update-ref', '-d', 'refs/heads/later')
    await sync.logged('error syncing repo, will retry', failures + 2)
    await expectWhole(link, first)

    const second = await makeCommit()
    await inOrigin('update-ref', 'refs/heads/later', second)
    await publishes(link, second, sync)
  })
})

test('another --ref or --repo at a restart is published in the same root, and the first again', async () => {
  await using root = await temporaryFolder()
  await using other = await createTestRepository({ 'b.txt': 'another history\n' })
  const side = await makeCommit()
  await inOrigin('update-ref', 'refs/heads/side', side)
  const main = await inOrigin('rev-parse', 'main')
  const theirs = await git(other.path, ['rev-parse', 'main'])
  const link = join(root.path, 'current')
  for (const [ref, repo, commit] of [
    ['main', repository.url, main],
    ['side', repository.url, side],
    ['main', other.url, theirs],
    [main, repository.url, main],
    ['HEAD', other.url, theirs],
    ['main', repository.url, main],
  ] as const) {
    await using sync = start(root.path, ref, '--repo', repo, '--one-time')
    expect(await sync.exit, sync.stderr()).toBe(0)
    await expectWhole(link, commit)
    expect(await git(root.path, ['remote', 'get-url', 'origin'])).toBe(repo)
  }
})
