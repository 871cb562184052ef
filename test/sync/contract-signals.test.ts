// What signals do to the program, whenever they come: while it starts, during a sync, between two, and as pid 1.
import { execFile } from 'node:child_process'
import { constants, existsSync, mkdirSync, symlinkSync } from 'node:fs'
import { type FileHandle, open, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { programPath } from '../../runtime/programs.ts'
import { eventually } from '../support/eventually.ts'
import { createTestRepository, type TestRepository } from '../support/git-server.ts'
import { childrenOf, namespacesMissing, startAsFirst } from './process/pid-namespace.ts'
import { publishedCommit, startSync, temporaryFolder } from './sync-process.ts'

const run = promisify(execFile)
const ignored = ['SIGUSR1', 'SIGUSR2', 'SIGALRM', 'SIGPIPE'] as const

let repository: TestRepository
beforeAll(async () => {
  repository = await createTestRepository()
})
afterAll(() => repository?.close())

function argsFor(root: string, ...more: string[]): string[] {
  return ['--repo', repository.url, '--ref', 'main', '--root', root, '--link', 'current', ...more]
}

async function published(root: string, commit: string): Promise<void> {
  const link = join(root, 'current')
  await eventually('the commit', async () => (await publishedCommit(link)) === commit || undefined)
}

/** A file that holds up whoever reads it until something is written. */
async function makeFifo(folder: string): Promise<string> {
  const path = join(folder, 'fifo')
  await run('mkfifo', [path])
  return path
}

/** Resolves when somebody reads the fifo; the reader waits until the handle is closed. */
async function readerOf(fifo: string): Promise<FileHandle> {
  return eventually('a reader of the fifo', () =>
    open(fifo, constants.O_WRONLY | constants.O_NONBLOCK).catch(() => undefined),
  )
}

test('signals that mean nothing, and the one of --sync-on-signal, do no harm while it starts', async () => {
  await using folder = await temporaryFolder()
  const fifo = await makeFifo(folder.path)
  await using sync = startSync([
    ...argsFor(join(folder.path, 'root'), '--username', 'u', '--password-file', fifo),
    ...['--sync-on-signal', 'SIGHUP', '--one-time'],
  ])
  const starting = await readerOf(fifo)
  for (const signal of [...ignored, 'SIGHUP'] as const) process.kill(sync.pid, signal)
  await starting.writeFile('password\n')
  await starting.close()
  // The sync reads it once more.
  while (sync.child.exitCode === null && sync.child.signalCode === null) {
    const reading = await open(fifo, constants.O_WRONLY | constants.O_NONBLOCK).catch(() => undefined)
    await reading?.writeFile('password\n')
    await reading?.close()
    await delay(10)
  }
  expect(await sync.exit).toBe(0)
  expect(sync.stderr()).not.toContain('Debugger')
})

test.for(ignored)('%s does nothing', async (signal) => {
  await using root = await temporaryFolder()
  await using sync = startSync(argsFor(root.path, '--period', '20ms'))
  await sync.logged('updated successfully')
  process.kill(sync.pid, signal)
  await published(root.path, await repository.commit({ 'a.txt': signal }))
  expect(sync.stderr()).not.toContain('Debugger')
})

test.for([
  ['HUP', 'SIGHUP'],
  ['SIGUSR1', 'SIGUSR1'],
  ['0xc', 'SIGUSR2'],
  ['15', 'SIGTERM'],
] as const)('--sync-on-signal %s has %s sync at once, again and again', async ([text, signal]) => {
  await using root = await temporaryFolder()
  await using sync = startSync(argsFor(root.path, '--period', '1h', '--sync-on-signal', text))
  await sync.logged('updated successfully')
  for (const change of ['first', 'second']) {
    const commit = await repository.commit({ 'a.txt': signal + change })
    process.kill(sync.pid, signal)
    await published(root.path, commit)
  }
  process.kill(sync.pid, 'SIGINT')
  expect(await sync.exit).toBe(130)
})

test('a signal that comes during a sync has another one follow', async () => {
  await using folder = await temporaryFolder()
  const [root, held, fetched, wrapper] = ['root', 'held', 'fetched', 'git'].map((name) =>
    join(folder.path, name),
  ) as [string, string, string, string]
  await writeFile(held, '')
  const script = [
    '#!/bin/sh',
    `[ "$1" = fetch ] || exec git "$@"`,
    `git "$@" || exit $?`,
    `touch '${fetched}'`,
    `while [ -e '${held}' ]; do sleep 0.01; done`,
  ]
  await writeFile(wrapper, script.join('\n'), { mode: 0o755 })
  await using sync = startSync(argsFor(root, '--period', '1h', '--sync-on-signal', 'HUP', '--git', wrapper))
  await eventually('the fetch', () => existsSync(fetched))
  const commit = await repository.commit({ 'a.txt': 'pushed behind the fetch' })
  process.kill(sync.pid, 'SIGHUP')
  process.kill(sync.pid, 'SIGHUP')
  await rm(held)
  await published(root, commit)
})

test('while the last sync failed, a signal retries at once', async () => {
  await using root = await temporaryFolder()
  await using sync = startSync(
    argsFor(root.path, '--period', '1h', '--max-failures=-1', '--sync-on-signal=HUP', '--ref', 'later'),
  )
  await sync.logged('error syncing repo, will retry')
  const commit = await repository.commit({ 'a.txt': 'later' }, { branch: 'later' })
  process.kill(sync.pid, 'SIGHUP')
  await published(root.path, commit)
})

const missing = namespacesMissing()
test.skipIf(missing !== undefined)(
  `as pid 1 the signal of --sync-on-signal reaches the sync${missing === undefined ? '' : ` (skipped: ${missing})`}`,
  async () => {
    await using folder = await temporaryFolder()
    const [root, bin] = [join(folder.path, 'root'), join(folder.path, 'bin')]
    mkdirSync(bin)
    symlinkSync('/bin/sh', join(bin, 'sh'))
    symlinkSync('/usr/bin/git', join(bin, 'git'))
    const args = argsFor(root, '--period', '1h', '--sync-on-signal', 'HUP')
    await using first = await startAsFirst([process.execPath, programPath('sync'), ...args], { PATH: bin })
    await eventually('published', () => existsSync(join(root, 'current/a.txt')) || undefined)
    const commit = await repository.commit({ 'a.txt': 'as pid 1' })
    process.kill(first.pid, 'SIGHUP')
    await published(root, commit)
    expect(childrenOf(first.pid)).toHaveLength(1)
    process.kill(first.pid, 'SIGTERM')
    expect(await first.exit).toBe(143)
  },
)
