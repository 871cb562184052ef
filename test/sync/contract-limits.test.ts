// What ends a sync that fails: the failure limit, the timeout with all that git started, and a disk that is full.
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { createTestRepository, git, serveGitOverHttp, type TestRepository } from '../support/git-server.ts'
import { becomesWhole, expectWhole, processesWith, publishes } from './observers.ts'
import { type SyncProcess, startSync, temporaryFolder } from './sync-process.ts'

const willRetry = 'error syncing repo, will retry'
const aborting = 'too many failures, aborting'
let repository: TestRepository
beforeAll(async () => {
  repository = await createTestRepository()
})
afterAll(() => repository?.close())

const countOf = (sync: SyncProcess, message: string): number =>
  sync.lines().filter(({ msg }) => msg === message).length
function start(repo: string, root: string, ...args: string[]): SyncProcess {
  const common = ['--repo', repo, '--ref', 'main', '--root', root, '--link', 'current', '--period', '20ms']
  return startSync([...common, ...args])
}

describe('the failure limit', () => {
  test.for([
    ['by default', [], 1],
    ['--max-failures 0', ['--max-failures', '0'], 1],
    ['--max-failures 1', ['--max-failures', '1'], 1],
    ['--max-failures 3', ['--max-failures', '3'], 3],
    ['--max-failures 3 with --one-time', ['--max-failures', '3', '--one-time'], 3],
  ] as const)('%s ends it with 1 at the failure of that number', async ([, args, number]) => {
    await using root = await temporaryFolder()
    await using sync = start(`${repository.url}x`, root.path, ...args, '--error-file', 'error.json')
    expect(await sync.exit).toBe(1)
    expect(countOf(sync, willRetry)).toBe(number - 1)
    expect(countOf(sync, aborting)).toBe(1)
    expect(JSON.parse(await readFile(join(root.path, 'error.json'), 'utf8')).Msg).toBe(aborting)
  })

  test('--max-failures -1 never ends it', async () => {
    await using root = await temporaryFolder()
    await using sync = start(`${repository.url}x`, root.path, '--max-failures', '-1')
    await sync.logged(willRetry, 10)
    expect(sync.child.exitCode).toBeNull()
  })

  test('counts failures one after the other: a success begins anew', async () => {
    await using moving = await createTestRepository()
    await using root = await temporaryFolder()
    const args = ['--max-failures', '3', '--period', '1h', '--sync-on-signal', 'HUP']
    await using sync = start(moving.url, root.path, ...args)
    await sync.logged('updated successfully')
    const syncNow = (): boolean => process.kill(sync.pid, 'SIGHUP')
    const away = `${moving.path}.away`
    for (let round = 0; round < 3; round += 1) {
      await rename(moving.path, away)
      for (let failure = 1; failure <= 2; failure += 1) {
        const before = countOf(sync, willRetry)
        syncNow()
        await sync.logged(willRetry, before + 1)
      }
      await rename(away, moving.path)
      const commit = await moving.commit({ 'a.txt': `${round}\n` })
      syncNow()
      await publishes(join(root.path, 'current'), commit, sync)
    }
    await rename(moving.path, away)
    for (let failure = 1; failure <= 2; failure += 1) {
      const before = countOf(sync, willRetry)
      syncNow()
      await sync.logged(willRetry, before + 1)
    }
    syncNow()
    expect(await sync.exit).toBe(1)
  })
})

describe('--sync-timeout', () => {
  test('ends git and its helper for HTTP, while sync goes on', async () => {
    await using server = await serveGitOverHttp({
      folder: repository.folder,
      username: 'u',
      password: 'secret',
    })
    server.hang()
    await using root = await temporaryFolder()
    const url = server.urlWithPassword('origin.git')
    await using sync = start(
      url,
      root.path,
      '--sync-timeout',
      '800ms',
      '--max-failures',
      '-1',
      '--period',
      '1h',
    )
    const helpers = async (): Promise<string[]> =>
      (await processesWith(`127.0.0.1:${server.port}`)).filter((line) => /^\S*git\b/.test(line))
    await eventually('git and its helper', async () => (await helpers()).length >= 2)
    expect((await sync.logged(willRetry)).error).toMatch(/--sync-timeout/)
    expect(await helpers()).toEqual([])
    expect(sync.child.exitCode).toBeNull()
  })

  test('ends what a git command left in the background with its output open', async () => {
    await using root = await temporaryFolder()
    await using files = await temporaryFolder()
    const wrapper = join(files.path, 'git')
    const nap = `${40_000 + process.pid}.5`
    const script = `#!/bin/sh\ncase "$*" in *fetch*) sleep ${nap} & setsid sleep ${nap} & sleep ${nap};; esac\nexec git "$@"\n`
    await writeFile(wrapper, script, { mode: 0o755 })
    const args = ['--git', wrapper, '--sync-timeout', '800ms', '--max-failures', '-1', '--period', '1h']
    await using sync = start(repository.url, root.path, ...args)
    await eventually('the sleepers', async () => (await processesWith(`sleep ${nap}`)).length >= 3)
    await sync.logged(willRetry)
    expect(await processesWith(`sleep ${nap}`)).toEqual([])
  })
})

/** The fill of a commit; for git, the one does not become smaller, and the other becomes next to nothing. */
const fills = [
  ['in the fetch', () => randomBytes(4_500_000).toString('base64')],
  ['in the checkout', () => 'fill\n'.repeat(2_000_000)],
] as const

describe.skipIf(userInfo().uid !== 0 || process.platform !== 'linux')('a disk that is full', () => {
  test.for(fills)('%s: the last commit stays published, and room brings the next one', async ([, fill]) => {
    await using small = await createTestRepository()
    await using folder = await temporaryFolder()
    const root = join(folder.path, 'small-disk')
    const link = join(root, 'current')
    await mkdir(root)
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'none', root])
    await using stack = new AsyncDisposableStack()
    stack.defer(() => void execFileSync('umount', ['--lazy', root]))
    const errorFile = join(folder.path, 'error.json')
    await using sync = start(small.url, root, '--max-failures', '-1', '--error-file', errorFile)
    const good = await git(small.clone, ['rev-parse', 'HEAD'])
    await becomesWhole(link, good, sync)

    await small.commit({ 'big.txt': fill() })
    await sync.logged(willRetry, 3)
    await expectWhole(link, good)
    expect(JSON.parse(await readFile(errorFile, 'utf8')).Err).toMatch(
      /No space left on device|unable to write/,
    )

    const next = await small.commit({ 'big.txt': null })
    await publishes(link, next, sync)
    await becomesWhole(link, next, sync)
  })
})

test.runIf(userInfo().uid !== 0)('a full disk needs root to be made', ({ skip }) => {
  skip('the test mounts a small volume, which only root may do')
})
