// What has its place in the root by name, put out of the way by others: before a start, and while sync runs.
import { execFileSync } from 'node:child_process'
import { mkdir, rename, rm, symlink, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createTestRepository, type TestRepository } from '../support/git-server.ts'
import { becomesWhole, publishes } from './observers.ts'
import { type SyncProcess, startSync, temporaryFolder } from './sync-process.ts'

let repository: TestRepository
beforeAll(async () => {
  repository = await createTestRepository({ 'a.txt': 'one\n' })
})
afterAll(() => repository?.close())

function start(root: string, ...more: string[]): SyncProcess {
  const place = ['--repo', repository.url, '--ref', 'main', '--root', root, '--link', 'current']
  return startSync([...place, '--period', '50ms', ...more])
}

test.for([
  ['.leases', 'file'],
  ['.gate', 'file'],
  ['.worktrees', 'link'],
  ['.leases', 'link'],
  ['.sync-gitconfig', 'folder'],
  ['.sync-lock', 'folder'],
] as const)(
  '%s that is a %s is no hindrance, and what a link leads to is left alone',
  async ([name, kind]) => {
    await using root = await temporaryFolder()
    await using elsewhere = await temporaryFolder()
    await writeFile(join(elsewhere.path, 'mine'), 'mine')
    const place = join(root.path, name)
    if (kind === 'file') await writeFile(place, '')
    else if (kind === 'folder') await mkdir(join(place, 'full'), { recursive: true })
    else await symlink(elsewhere.path, place)
    await using sync = start(root.path, '--max-failures', '1', '--gate-command', 'true')
    const first = await repository.commit({ 'a.txt': `${Math.random()}\n` })
    await publishes(join(root.path, 'current'), first, sync)
    const second = await repository.commit({ 'a.txt': `${Math.random()}\n` })
    await publishes(join(root.path, 'current'), second, sync)
    expect(execFileSync('ls', [elsewhere.path], { encoding: 'utf8' })).toBe('mine\n')
  },
)

test('a root that is removed while it runs is made again, with all that is in it', async () => {
  await using folder = await temporaryFolder()
  const root = join(folder.path, 'root')
  await using sync = start(root)
  const commit = await repository.commit({ 'a.txt': `${Math.random()}\n` })
  await publishes(join(root, 'current'), commit, sync)
  // At once: it would be made again under the hands of whoever removes it file by file.
  await rename(root, join(folder.path, 'gone'))
  await rm(join(folder.path, 'gone'), { recursive: true })
  await becomesWhole(join(root, 'current'), commit, sync)
  const next = await repository.commit({ 'a.txt': `${Math.random()}\n` })
  await publishes(join(root, 'current'), next, sync)
})

test('pipes and folders among the leases hold nothing up for longer than a lease lasts', async () => {
  await using root = await temporaryFolder()
  await using sync = start(root.path)
  const commit = await repository.commit({ 'a.txt': `${Math.random()}\n` })
  await publishes(join(root.path, 'current'), commit, sync)
  const leases = join(root.path, '.leases', commit)
  await mkdir(join(leases, 'folder.json'), { recursive: true })
  for (let number = 0; number < 6; number += 1) {
    const pipe = join(leases, `${number}.json`)
    execFileSync('mkfifo', [pipe])
    await utimes(pipe, new Date(0), new Date(0))
  }
  for (let round = 0; round < 3; round += 1) {
    const next = await repository.commit({ 'a.txt': `${Math.random()}\n` })
    await publishes(join(root.path, 'current'), next, sync)
  }
  process.kill(sync.pid, 'SIGTERM')
  expect(await sync.exit).toBe(143)
})
