// Scripts around a sync: they wait for the touch file, take it away, push and wait again; they put a wrapper in the
// place of git; they take files away under its hands. What they read at once must be true already.
import { existsSync } from 'node:fs'
import { chmod, readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { createTestRepository, git, type TestRepository } from '../support/git-server.ts'
import { createRecordingGit, expectWhole, publishes } from './observers.ts'
import { type SyncProcess, startSync, temporaryFolder } from './sync-process.ts'

let repository: TestRepository
let root: Awaited<ReturnType<typeof temporaryFolder>>
let files: Awaited<ReturnType<typeof temporaryFolder>>
beforeEach(async () => {
  repository = await createTestRepository()
  root = await temporaryFolder()
  files = await temporaryFolder()
})
afterEach(async () => {
  await repository?.close()
  await root?.[Symbol.asyncDispose]()
  await files?.[Symbol.asyncDispose]()
})

const link = (): string => join(root.path, 'current')
const touched = (): string => join(root.path, 'touched')
const push = (): Promise<string> => repository.commit({ 'a.txt': `${Math.random()}\n` })

function start(...args: string[]): SyncProcess {
  const where = ['--repo', repository.url, '--ref', 'main', '--root', root.path, '--link', 'current']
  return startSync([...where, '--period', '50ms', '--touch-file', 'touched', ...args])
}

/** The touch file was there, and is no more. */
async function takeTouchFile(sync: SyncProcess): Promise<void> {
  await eventually(`the touch file ${sync.stderr()}`, () => existsSync(touched()))
  await rm(touched())
}

async function wrapper(body: string): Promise<string> {
  const path = join(files.path, 'git-wrapper')
  await writeFile(path, `#!/bin/sh\n${body}\nexec git "$@"\n`)
  await chmod(path, 0o755)
  return path
}

test('when the touch file is there, link, files and metrics are those of the commit', async () => {
  const bind = ['--http-bind', '127.0.0.1:0', '--http-metrics']
  await using sync = start(...bind)
  const { port } = (await sync.logged('serving HTTP')) as { port: number }
  const metric = async (row: string): Promise<number> => {
    const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
    return Number(
      text
        .split('\n')
        .find((line) => line.startsWith(`${row} `))
        ?.split(' ')[1] ?? 0,
    )
  }
  for (let count = 1; count <= 10; count += 1) {
    const commit = count === 1 ? await git(repository.clone, ['rev-parse', 'HEAD']) : await push()
    await takeTouchFile(sync)
    expect(await readlink(link())).toBe(`.worktrees/${commit}`)
    await expectWhole(link(), commit)
    expect(await metric('git_sync_count_total{status="success"}')).toBe(count)
    expect(await metric('git_fetch_count_total')).toBe(count)
    expect(await metric('git_sync_duration_seconds_count{status="success"}')).toBe(count)
    expect((await fetch(`http://127.0.0.1:${port}/`)).status).toBe(200)
  }
  expect(await metric('git_sync_count_total{status="error"}')).toBe(0)
})

test('an update that fails after it was found to be required counts as one, at each try', async () => {
  const never = join(files.path, 'never')
  const body = `if test "$1" = reset && ! test -e ${never}; then echo no >&2; exit 1; fi`
  const bind = ['--http-bind', '127.0.0.1:0', '--http-metrics']
  await using sync = start(...bind, '--git', await wrapper(body), '--max-failures', '-1')
  const { port } = (await sync.logged('serving HTTP')) as { port: number }
  await sync.logged('error syncing repo, will retry', 2)
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
  expect(Number(/^git_fetch_count_total (\d+)$/m.exec(text)?.[1] ?? 0)).toBeGreaterThanOrEqual(2)
})

describe('a wrapper in the place of git', () => {
  test('that sleeps in fetch is ended by --sync-timeout, and does its work where there is time', async () => {
    const body = 'if test "$1" = fetch; then sleep 1.2; fi'
    const slow = ['--git', await wrapper(body)]
    await using late = start(...slow, '--sync-timeout', '600ms')
    expect(await late.exit).toBe(1)
    expect(existsSync(link())).toBe(false)
    await using sync = start(...slow, '--sync-timeout', '10s')
    await takeTouchFile(sync)
    const commit = await push()
    await publishes(link(), commit, sync)
  })

  test('sees one fetch with the arguments of git-sync for each commit, and none while nothing is new', async () => {
    const recorder = await createRecordingGit(files.path)
    const fetches = async () => (await recorder.calls()).filter((call) => call.startsWith('fetch'))
    await using sync = start('--git', recorder.path)
    await takeTouchFile(sync)
    await recorder.polled(3)
    expect(await fetches()).toHaveLength(1)
    await push()
    await takeTouchFile(sync)
    await recorder.polled(3)
    const all = await fetches()
    expect(all).toHaveLength(2)
    for (const call of all) {
      expect(call).toContain(`fetch ${repository.url} main --verbose --no-progress --prune --no-auto-gc`)
    }
  })
})

describe('what is taken away while it runs is back with the next poll, and the touch file tells:', () => {
  test.for<[string, () => Promise<void>]>([
    ['the link', () => rm(link())],
    ['the worktree', async () => rm(join(root.path, await readlink(link())), { recursive: true })],
    ['all worktrees', () => rm(join(root.path, '.worktrees'), { recursive: true })],
  ])('%s', async ([, remove]) => {
    await using sync = start()
    const commit = await git(repository.clone, ['rev-parse', 'HEAD'])
    await takeTouchFile(sync)
    process.kill(-sync.pid, 'SIGSTOP')
    await remove()
    process.kill(-sync.pid, 'SIGCONT')
    await takeTouchFile(sync)
    await expectWhole(link(), commit)
  })
})

describe("the repository's configuration", () => {
  test('is made anew where it is gone, at a restart and while it runs', async () => {
    for (const isRunning of [false, true]) {
      await using sync = isRunning ? start() : start('--one-time')
      if (isRunning) await takeTouchFile(sync)
      else expect(await sync.exit).toBe(0)
      await rm(join(root.path, '.git/config'))
      await using after = isRunning ? undefined : start()
      const next = await push()
      await publishes(link(), next, after ?? sync)
      await expectWhole(link(), next)
    }
    await using again = start('--one-time')
    expect(await again.exit, again.stderr()).toBe(0)
    expect(await readFile(join(root.path, '.git/config'), 'utf8')).toContain(repository.url)
    expect(await readdir(join(root.path, '.worktrees'))).toHaveLength(1)
  })
})
