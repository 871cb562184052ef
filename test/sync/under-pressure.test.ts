// Surroundings that take from a sync what it needs: file descriptors, memory, a reader of its log, its time. It goes
// on, or says what is wrong, and it always ends.
import { spawn } from 'node:child_process'
import { closeSync, constants, openSync, readSync, writeSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { isRunning } from '../../runtime/process-start.ts'
import { programPath } from '../../runtime/programs.ts'
import { gitProcessesOf } from '../../sync/git/processes.ts'
import { eventually } from '../support/eventually.ts'
import { createTestRepository, git, type TestRepository } from '../support/git-server.ts'
import { publishedCommit, startSync, temporaryFolder } from './sync-process.ts'

/** What a stop may take at most. */
const stopLimitMs = 1_000

let repository: TestRepository
beforeAll(async () => {
  repository = await createTestRepository()
})
afterAll(() => repository?.close())

function argsFor(root: string, ...more: string[]): string[] {
  return ['--repo', repository.url, '--ref', 'main', '--root', root, '--link', 'current', ...more]
}

async function publishes(root: string, commit: string): Promise<void> {
  const link = join(root, 'current')
  await eventually(`publication of ${commit}`, async () => (await publishedCommit(link)) === commit)
}

/** A git that does something else where the first argument that is no option is `command`. */
async function writeGit(folder: string, command: string, script: string): Promise<string> {
  const path = join(folder, 'git-wrapper')
  await writeFile(
    path,
    `#!/bin/sh\nfor arg in "$@"; do case "$arg" in -*) ;; *) break ;; esac; done\nif [ "$arg" = ${command} ]; then\n${script}\nfi\nexec git "$@"\n`,
    { mode: 0o755 },
  )
  return path
}

/** From now on the process may have no more than so many files open; the limit may be raised again. */
async function limitFiles(pid: number, limit: number): Promise<void> {
  const child = spawn('prlimit', ['--pid', String(pid), `--nofile=${limit}:`])
  await new Promise((resolve) => child.once('close', resolve))
  expect(child.exitCode).toBe(0)
}

test('idle connections leave enough files for git', async () => {
  await using root = await temporaryFolder()
  const args = argsFor(root.path, '--period', '50ms', '--http-bind', '127.0.0.1:0')
  await using sync = startSync(args, {}, ['prlimit', '--nofile=64:64'])
  const { port } = (await sync.logged('serving HTTP')) as { port: number }
  await sync.logged('updated successfully')
  const sockets: Socket[] = []
  try {
    for (let count = 0; count < 100; count += 1) {
      const socket = connect(port, '127.0.0.1')
      sockets.push(socket)
      await new Promise<void>((resolve) => socket.on('connect', resolve).on('error', () => resolve()))
    }
    await publishes(root.path, await repository.commit({ 'a.txt': 'under load' }))
    expect(sync.child.exitCode).toBe(null)
  } finally {
    for (const socket of sockets) socket.destroy()
  }
})

test('a git that cannot be started for want of files is a failed sync, and the next one is made', async () => {
  await using root = await temporaryFolder()
  await using sync = startSync(argsFor(root.path, '--period', '50ms', '--max-failures', '-1'))
  await sync.logged('updated successfully')
  await limitFiles(sync.pid, 1)
  const { error } = await sync.logged('error syncing repo, will retry', 2)
  expect(error).toMatch(/could not be started: .*EMFILE[\s\S]*ulimit -n/)
  await limitFiles(sync.pid, 1_024)
  await publishes(root.path, await repository.commit({ 'a.txt': 'files again' }))
})

test('a git that prints without end is ended', async () => {
  await using root = await temporaryFolder()
  await using folder = await temporaryFolder()
  const wrapper = await writeGit(folder.path, 'fetch', 'exec yes "remote: word after word after word" >&2')
  await using sync = startSync(argsFor(root.path, '--git', wrapper, '--max-failures', '1'))
  expect(await sync.exit).toBe(1)
  expect(sync.stderr()).toContain('it printed more than 64 MiB and was ended')
  expect(await gitProcessesOf(root.path)).toEqual([])
})

test('what a git printed before it failed is told by its end', async () => {
  await using root = await temporaryFolder()
  await using folder = await temporaryFolder()
  const script = 'yes "remote: chatter" | head -c 8000000 >&2; echo "fatal: the very reason" >&2; exit 128'
  const wrapper = await writeGit(folder.path, 'fetch', script)
  await using sync = startSync(argsFor(root.path, '--git', wrapper, '--max-failures', '1'))
  expect(await sync.exit).toBe(1)
  expect(sync.stderr()).toContain('fatal: the very reason')
  expect(sync.stderr().length).toBeLessThan(50_000)
})

test('with -v 6 the log has what git says of a success', async () => {
  await using root = await temporaryFolder()
  await using sync = startSync(argsFor(root.path, '--one-time', '-v', '6'))
  expect(await sync.exit).toBe(0)
  expect(sync.stderr()).toMatch(/main +-> FETCH_HEAD/)
})

test('a log that nobody reads holds up neither publication nor the end', async () => {
  await using root = await temporaryFolder()
  await using pipe = await fullPipe()
  const child = spawn(
    process.execPath,
    [programPath('sync'), ...argsFor(root.path, '--period', '20ms', '-v', '9')],
    { stdio: ['ignore', 'ignore', pipe.writer] },
  )
  try {
    await publishes(root.path, await repository.commit({ 'a.txt': 'unheard' }))
    await publishes(root.path, await repository.commit({ 'a.txt': 'unheard too' }))
    const exited = new Promise<number | null>((resolve) => child.once('exit', resolve))
    const start = performance.now()
    child.kill('SIGTERM')
    expect(await exited).toBe(143)
    expect(performance.now() - start).toBeLessThan(stopLimitMs)
  } finally {
    child.kill('SIGKILL')
  }
})

test('lines that are kept for a reader are written when it is back, and before the exit', async () => {
  await using root = await temporaryFolder()
  await using pipe = await fullPipe()
  const child = spawn(process.execPath, [programPath('sync'), ...argsFor(root.path, '--one-time')], {
    stdio: ['ignore', 'ignore', pipe.writer],
  })
  const exited = new Promise<number | null>((resolve) => child.once('exit', resolve))
  const commit = await git(repository.clone, ['rev-parse', 'HEAD'])
  await publishes(root.path, commit)
  let text = ''
  await eventually('the last line', () => {
    text += pipe.read()
    return text.includes('exiting after one sync')
  })
  expect(await exited).toBe(0)
})

test.for(['at the start', 'after a sync'])(
  'SIGTERM ends a git that does not tell its version, %s',
  async (when) => {
    await using root = await temporaryFolder()
    await using folder = await temporaryFolder()
    const pidFile = join(folder.path, 'pid')
    // Its child is asked for by name: a process that lost its marks would be found by nobody else.
    const script = `sleep 1000 & echo $! > ${pidFile}.new; mv ${pidFile}.new ${pidFile}; wait; exit 1`
    const wrapper = await writeGit(folder.path, 'version', script)
    await using sync = startSync(argsFor(root.path, '--git', wrapper))
    if (when === 'after a sync') await sync.logged('updated successfully')
    const child = await eventually('the version to be asked', () =>
      readFile(pidFile, 'utf8').catch(() => false as const),
    )
    const start = performance.now()
    process.kill(sync.pid, 'SIGTERM')
    expect(await sync.exit).toBe(143)
    expect(performance.now() - start).toBeLessThan(stopLimitMs)
    expect(isRunning(Number(child))).toBe(false)
    expect(await gitProcessesOf(root.path)).toEqual([])
  },
)

test.runIf(process.platform === 'linux')('a root below /proc is refused', async () => {
  await using sync = startSync(argsFor('/proc/branchline-root'))
  expect(await sync.exit).toBe(1)
  expect(sync.lines().at(-1)).toMatchObject({
    msg: 'cannot start',
    code: 'CONFIG',
    error: expect.stringContaining('--root /proc/branchline-root cannot be used'),
  })
})

test('a root that another sync took while this one stood still is told as lost', async () => {
  await using root = await temporaryFolder()
  await using sync = startSync(argsFor(root.path, '--period', '1h'))
  await sync.logged('updated successfully')
  const lock = JSON.stringify({ pid: 1, start: '1', pid_namespace: 'pid:[1]@elsewhere' })
  await writeFile(join(root.path, '.sync-lock'), lock)
  expect(await sync.exit).toBe(1)
  expect(sync.lines().at(-1)).toMatchObject({ msg: 'lost the root to another sync', code: 'CONFLICT' })
})

/** A pipe that takes nothing until `read` has made room. */
async function fullPipe(): Promise<AsyncDisposable & { writer: number; read(): string }> {
  const folder = await temporaryFolder()
  const path = join(folder.path, 'pipe')
  const making = spawn('mkfifo', [path])
  await new Promise((resolve) => making.once('close', resolve))
  const { O_RDWR, O_NONBLOCK, O_WRONLY } = constants
  const reader = openSync(path, O_RDWR | O_NONBLOCK)
  const filler = openSync(path, O_WRONLY | O_NONBLOCK)
  for (const size of [4_096, 1]) {
    try {
      for (;;) writeSync(filler, '-'.repeat(size))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error
    }
  }
  const writer = openSync(path, O_WRONLY)
  return {
    writer,
    read: () => {
      const room = Buffer.alloc(65_536)
      try {
        return room.toString('utf8', 0, readSync(reader, room))
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error
        return ''
      }
    },
    [Symbol.asyncDispose]: async () => {
      for (const fd of [reader, filler, writer]) closeSync(fd)
      await folder[Symbol.asyncDispose]()
    },
  }
}
