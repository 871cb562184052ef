// --link, --touch-file and --error-file as git-sync has them: where they may be, and what a reader of them may rely
// on while commits come and go.
import { mkdir, readdir, readFile, readlink, realpath, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { isAbsolute, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { createTestRepository, git, type TestRepository } from '../support/git-server.ts'
import { createRecordingGit, expectWhole, publishes, startReader } from './observers.ts'
import { type SyncProcess, startSync, temporaryFolder } from './sync-process.ts'

let repository: TestRepository
beforeAll(async () => {
  repository = await createTestRepository()
})
afterAll(() => repository?.close())

const newest = (): Promise<string> => git(repository.clone, ['rev-parse', 'HEAD'])
const push = (): Promise<string> => repository.commit({ 'a.txt': `${Math.random()}\n` })
function start(root: string, ...more: string[]): SyncProcess {
  return startSync(['--repo', repository.url, '--ref', 'main', '--root', root, '--period', '50ms', ...more])
}
const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  )

describe('the link', () => {
  test.for<[string, (folder: string) => [option: string, path: string]]>([
    ['relative', (folder) => ['current', join(folder, 'root/current')]],
    ['in a folder below', (folder) => ['sub/current', join(folder, 'root/sub/current')]],
    ['several folders below', (folder) => ['a/b/c/current', join(folder, 'root/a/b/c/current')]],
    ['absolute below the root', (folder) => [join(folder, 'root/x/abs'), join(folder, 'root/x/abs')]],
    ['absolute elsewhere', (folder) => [join(folder, 'web/x/abs'), join(folder, 'web/x/abs')]],
    ['relative and beside the root', (folder) => ['../beside/current', join(folder, 'beside/current')]],
    ['with dots and doubled slashes', (folder) => ['./a//../b/./current', join(folder, 'root/b/current')]],
    ['with odd characters', (folder) => ["it's ö\n$x", join(folder, "root/it's ö\n$x")]],
  ])('may be %s; it is itself relative and names the commit', async ([, place]) => {
    await using folder = await temporaryFolder()
    const [option, path] = place(folder.path)
    await using sync = start(join(folder.path, 'root'), '--link', option)
    for (const newCommit of [newest, push]) {
      const commit = await newCommit()
      await publishes(path, commit, sync)
      await expectWhole(path, commit)
      expect(isAbsolute(await readlink(path))).toBe(false)
      expect(await realpath(path)).toBe(await realpath(join(folder.path, 'root/.worktrees', commit)))
    }
  })

  test('may be in a folder that is reached by a symbolic link', async () => {
    await using folder = await temporaryFolder()
    await mkdir(join(folder.path, 'far/away'), { recursive: true })
    await mkdir(join(folder.path, 'root'))
    await symlink('../far/away', join(folder.path, 'root/sub'))
    await using sync = start(join(folder.path, 'root'), '--link', 'sub/current')
    for (const newCommit of [newest, push]) {
      const commit = await newCommit()
      await publishes(join(folder.path, 'far/away/current'), commit, sync)
      await expectWhole(join(folder.path, 'root/sub/current'), commit)
    }
  })

  test('at another place after a restart publishes there at once', async () => {
    await using root = await temporaryFolder()
    for (const link of ['first', 'second/below', 'first']) {
      await using sync = start(root.path, '--link', link, '--one-time')
      expect(await sync.exit, sync.stderr()).toBe(0)
      await expectWhole(join(root.path, link), await newest())
    }
  })

  test('is named by the last part of --repo where it is not given', async () => {
    await using folder = await temporaryFolder()
    await git(folder.path, ['clone', '--quiet', '--bare', repository.path, 'plain'])
    // Stands for ssh: runs what it is asked to run here, in the folder of the repositories.
    const ssh = join(folder.path, 'ssh')
    await writeFile(ssh, `#!/bin/sh\ncd '${repository.folder}'\nfor last; do :; done\nexec sh -c "$last"\n`, {
      mode: 0o755,
    })
    for (const [repo, name] of [
      [repository.url, 'origin.git'],
      [repository.path, 'origin.git'],
      [`${repository.url}/`, 'origin.git'],
      [`${folder.path}/plain`, 'plain'],
      [`file://${folder.path}/plain//`, 'plain'],
      [`git@host:${repository.path}`, 'origin.git'],
      ['host:origin.git', 'origin.git'],
      [`ssh://git@host:2222${repository.path}/`, 'origin.git'],
    ] as const) {
      const root = join(folder.path, 'root')
      await rm(root, { recursive: true, force: true })
      const args = ['--repo', repo, '--ref', 'main', '--root', root, '--one-time']
      await using sync = startSync(args, { GIT_SSH_COMMAND: ssh })
      expect(await sync.exit, `${repo}: ${sync.stderr()}`).toBe(0)
      const links = (await readdir(root)).filter((entry) => !entry.startsWith('.'))
      expect(links, repo).toEqual([name])
    }
  })
})

test('readers always find a whole commit, through thirty updates', async () => {
  await using updated = await createTestRepository({ 'one.txt': '0', 'z/two.txt': '0' })
  await using keeping = await temporaryFolder()
  await using removing = await temporaryFolder()
  const numbers = new Map([[await git(updated.clone, ['rev-parse', 'HEAD']), '0']])
  const args = ['--repo', updated.url, '--ref', 'main', '--link', 'current', '--period', '10ms']
  await using first = startSync([...args, '--root', keeping.path, '--stale-worktree-timeout', '1h'])
  await using second = startSync([...args, '--root', removing.path])
  await Promise.all([first.logged('updated successfully'), second.logged('updated successfully')])
  const links = [join(keeping.path, 'current'), join(removing.path, 'current')]

  const seen: [commit: string, number: string][] = []
  const judge = (commit: string, number: string): void => void seen.push([commit, number])
  const readers = [
    startReader({ link: links[0]!, file: 'one.txt', pinned: true, judge }),
    startReader({ link: links[0]!, file: 'z/two.txt', pinned: true, judge }),
    // Through the link alone: the folder behind it may be another one's by the next read.
    startReader({ link: links[1]!, file: 'z/two.txt' }),
  ]
  for (let number = 1; number <= 30; number += 1) {
    const commit = await updated.commit({ 'one.txt': `${number}`, 'z/two.txt': `${number}` })
    numbers.set(commit, `${number}`)
    await Promise.all(links.map((link) => publishes(link, commit)))
  }
  for (const reader of readers) await reader.stop()
  expect(seen.filter(([commit, number]) => numbers.get(commit) !== number)).toEqual([])
  expect(new Set(seen.map(([commit]) => commit)).size).toBeGreaterThan(20)
})

describe('touch file and error file', () => {
  test.for<[string, (folder: string, name: string) => [option: string, path: string]]>([
    ['relative', (folder, name) => [name, join(folder, 'root', name)]],
    ['in folders below', (folder, name) => [`a/b/${name}`, join(folder, 'root/a/b', name)]],
    ['absolute', (folder, name) => [join(folder, 'status', name), join(folder, 'status', name)]],
  ])('may be %s', async ([, place]) => {
    await using folder = await temporaryFolder()
    const [touch, touched] = place(folder.path, 'touch')
    const [error, errorFile] = place(folder.path, 'error')
    const root = join(folder.path, 'root')
    const files = ['--link', 'current', '--touch-file', touch, '--error-file', error, '--max-failures', '-1']
    await using sync = start(root, '--ref', 'not-yet', ...files)
    await sync.logged('error syncing repo, will retry', 2)
    const failure = JSON.parse(await readFile(errorFile, 'utf8'))
    expect(failure).toMatchObject({ Msg: 'error syncing repo, will retry' })
    expect(failure.Err).toContain("couldn't find remote ref not-yet")
    expect((await stat(errorFile)).mode & 0o777).toBe(0o644)
    expect(await exists(touched)).toBe(false)

    await git(repository.path, ['branch', 'not-yet', 'main'])
    await eventually('the touch file', () => exists(touched))
    expect((await stat(touched)).size).toBe(0)
    await eventually('the error file to go', async () => !(await exists(errorFile)))
    await git(repository.path, ['branch', '--delete', '--force', 'not-yet'])
  })

  test('the touch file comes with the first success and each change, and not with an idle poll', async () => {
    await using root = await temporaryFolder()
    await using files = await temporaryFolder()
    const recording = await createRecordingGit(files.path)
    const touched = join(root.path, 'touch')
    const args = ['--link', 'current', '--touch-file', 'touch', '--git', recording.path]
    for (const what of ['at the first start', 'at a start with nothing new']) {
      await using sync = start(root.path, ...args)
      await eventually(`the touch file ${what}`, () => exists(touched))
      await recording.polled(4)
      await rm(touched)
      await recording.polled(8)
      expect(await exists(touched), what).toBe(false)
      const commit = await push()
      await publishes(join(root.path, 'current'), commit, sync)
      await eventually('the touch file after a push', () => exists(touched))
      await rm(touched)
    }
  })

  test('the time of a touch file that a consumer leaves is set anew', async () => {
    await using root = await temporaryFolder()
    const touched = join(root.path, 'touch')
    await using sync = start(root.path, '--link', 'current', '--touch-file', 'touch')
    const first = await eventually('the touch file', () => stat(touched).catch(() => undefined))
    await push()
    await eventually('a later time', async () => (await stat(touched)).mtimeMs > first.mtimeMs)
    expect(sync.child.exitCode).toBeNull()
  })
})
