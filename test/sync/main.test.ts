// The program: exit codes, signals, one sync for a root, its HTTP endpoint and files, and that secrets stay secret.
import { readdirSync, readFileSync } from 'node:fs'
import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { gitProcessesOf } from '../../sync/git/processes.ts'
import { eventually } from '../support/eventually.ts'
import { createTestRepository, serveGitOverHttp, type TestRepository } from '../support/git-server.ts'
import { publishedCommit, startSync, temporaryFolder } from './sync-process.ts'

let repository: TestRepository
beforeAll(async () => {
  repository = await createTestRepository()
})
afterAll(() => repository?.close())

/** What a stop may take at most; the program itself allows 800 ms. */
const stopLimitMs = 1_000

function argsFor(root: string, ...more: string[]): string[] {
  return ['--repo', repository.url, '--ref', 'main', '--root', root, '--link', 'current', ...more]
}

test('one time: publishes, touches the file and exits with 0, leaving no lock', async () => {
  await using root = await temporaryFolder()
  await using sync = startSync(argsFor(root.path, '--one-time', '--touch-file', 'touched/here'))
  expect(await sync.exit).toBe(0)
  expect((await stat(join(root.path, 'touched/here'))).size).toBe(0)
  expect((await readdir(root.path)).sort()).toEqual([
    '.git',
    '.sync-gitconfig',
    '.worktrees',
    'current',
    'touched',
  ])
  expect(sync.lines().map((line) => line.msg)).toContain('exiting after one sync')
})

test('a commit as the ref is published once and not asked for again', async () => {
  await using root = await temporaryFolder()
  const commit = await repository.commit({ 'a.txt': 'pinned' })
  await using sync = startSync(argsFor(root.path, '--period', '10ms', '--ref', commit))
  await sync.logged('ref appears to be a git hash, no further sync needed')
  expect(await publishedCommit(join(root.path, 'current'))).toBe(commit)
})

test.for(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)('%s ends it within a second, with git', async (signal) => {
  await using http = await serveGitOverHttp({ folder: repository.folder, username: 'u', password: 'p' })
  http.hang()
  await using root = await temporaryFolder()
  await using sync = startSync(argsFor(root.path, '--repo', http.urlWithPassword('origin.git')))
  await eventually(
    'git to wait for the server',
    async () => (await gitProcessesOf(root.path)).length > 1 || undefined,
  )
  const start = performance.now()
  process.kill(sync.pid, signal)
  const code = { SIGTERM: 143, SIGINT: 130, SIGHUP: 129 }[signal]
  expect(await sync.exit).toBe(code)
  expect(performance.now() - start).toBeLessThan(stopLimitMs)
  expect(await gitProcessesOf(root.path)).toEqual([])
  expect(await readdir(root.path)).not.toContain('.sync-lock')
})

test('a signal syncs at once where --sync-on-signal names it, and SIGUSR1 is ignored', async () => {
  await using root = await temporaryFolder()
  await using sync = startSync(argsFor(root.path, '--period', '1h', '--sync-on-signal', 'HUP'))
  await sync.logged('updated successfully')
  const commit = await repository.commit({ 'a.txt': 'by signal' })
  process.kill(sync.pid, 'SIGUSR1')
  process.kill(sync.pid, 'SIGHUP')
  await sync.logged('updated successfully', 2)
  expect(await publishedCommit(join(root.path, 'current'))).toBe(commit)
})

test('HTTP tells readiness, and POST /sync syncs at once', async () => {
  await using root = await temporaryFolder()
  await using sync = startSync(argsFor(root.path, '--period', '1h', '--http-bind', '127.0.0.1:0'))
  const { port } = (await sync.logged('serving HTTP')) as { port: number }
  const url = `http://127.0.0.1:${port}`
  await eventually('readiness', async () => (await fetch(url)).status === 200 || undefined)
  const commit = await repository.commit({ 'a.txt': 'by request' })
  const response = await fetch(`${url}/sync`, { method: 'POST' })
  expect(response.status).toBe(202)
  await eventually(
    'the commit',
    async () => (await publishedCommit(join(root.path, 'current'))) === commit || undefined,
  )
})

test('HTTP says 503 as long as nothing is published', async () => {
  await using root = await temporaryFolder()
  await using sync = startSync(
    argsFor(root.path, '--repo', `${repository.url}x`, '--max-failures', '-1', '--http-bind', ':0'),
  )
  const { port } = (await sync.logged('serving HTTP')) as { port: number }
  await sync.logged('error syncing repo, will retry')
  const response = await fetch(`http://127.0.0.1:${port}/any/path`)
  expect(response.status).toBe(503)
  expect(await response.text()).toContain('repo is not ready')
})

test('SIGTERM ends it while it waits whether a sync of another container still lives', async () => {
  await using root = await temporaryFolder()
  const lock = JSON.stringify({ pid: 1, start: '1', pid_namespace: 'pid:[1]@elsewhere' })
  await writeFile(join(root.path, '.sync-lock'), lock)
  await using sync = startSync(argsFor(root.path))
  await sync.logged('waiting whether the sync of another container that has the root still lives')
  process.kill(sync.pid, 'SIGTERM')
  expect(await sync.exit).toBe(143)
  expect(await readdir(root.path)).toEqual(['.sync-lock'])
})

test('a second sync on the same root is refused, and the first goes on', async () => {
  await using root = await temporaryFolder()
  await using first = startSync(argsFor(root.path, '--period', '20ms'))
  await first.logged('updated successfully')
  await using second = startSync(argsFor(root.path))
  expect(await second.exit).toBe(1)
  expect(second.stderr()).toContain(`another sync (process ${first.pid}) works on ${root.path}`)
  const commit = await repository.commit({ 'a.txt': 'still there' })
  await eventually(
    'the commit',
    async () => (await publishedCommit(join(root.path, 'current'))) === commit || undefined,
  )
})

test('after kill -9 the root is free at once', async () => {
  await using root = await temporaryFolder()
  const first = startSync(argsFor(root.path))
  await first.logged('updated successfully')
  await first.close()
  expect(await readdir(root.path)).toContain('.sync-lock')
  await using second = startSync(argsFor(root.path, '--one-time'))
  expect(await second.exit).toBe(0)
})

test('an unknown flag ends with 2 and the nearest name, on standard error and output', async () => {
  await using sync = startSync(['--perod', '1s'])
  expect(await sync.exit).toBe(2)
  const text = "unknown flag: --perod. Did you mean '--period'?"
  expect(sync.stderr()).toContain(text)
  expect(sync.stdout()).toContain(text)
})

test('configuration that cannot work ends with 1, and the error file has the bare text', async () => {
  await using root = await temporaryFolder()
  await using sync = startSync(argsFor(root.path, '--depth', '-1', '--error-file', 'error'))
  expect(await sync.exit).toBe(1)
  const text = 'invalid flag: --depth must be greater than or equal to 0, not -1'
  expect(sync.stderr()).toContain(text)
  expect(await readFile(join(root.path, 'error'), 'utf8')).toBe(text)
})

test('a variable that cannot be read ends with 1, even when only help is asked for', async () => {
  await using sync = startSync(['--help'], { GITSYNC_DEPTH: 'deep' })
  expect(await sync.exit).toBe(1)
  expect(sync.stderr()).toContain('FATAL: invalid int env GITSYNC_DEPTH="deep"')
})

test('a git that does not exist is named, with exit code 1', async () => {
  await using root = await temporaryFolder()
  await using sync = startSync(argsFor(root.path, '--git', '/no/such/git'))
  expect(await sync.exit).toBe(1)
  expect(sync.lines().at(-1)?.error).toContain('--git "/no/such/git" cannot be run')
})

test('the password is in no argument, URL, file below the root or log line', async () => {
  const password = 'very:secret/word'
  await using http = await serveGitOverHttp({ folder: repository.folder, username: 'u', password })
  await using root = await temporaryFolder()
  const seen = new Set<string>()
  await using sync = startSync(
    argsFor(
      root.path,
      ...['--repo', http.url('origin.git'), '--username', 'u', '--max-failures', '-1'],
      ...['--period', '10ms', '--error-file', 'error', '-v', '9'],
    ),
    { GITSYNC_PASSWORD: password },
  )
  const look = async (): Promise<void> => {
    for (const pid of await gitProcessesOf(root.path)) seen.add(commandLine(pid))
  }
  await eventually('git processes at work', async () => {
    await look()
    return seen.size > 3 && sync.lines().some((line) => line.msg === 'updated successfully')
      ? true
      : undefined
  })
  http.setPassword('another')
  await sync.logged('error syncing repo, will retry', 2)
  for (const text of [...seen, sync.stderr(), ...textsBelow(root.path)]) {
    expect(text).not.toContain('secret')
  }
  await sync.close()
})

function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8')
  } catch {
    return ''
  }
}

function textsBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => {
      try {
        return readFileSync(join(entry.parentPath, entry.name), 'latin1')
      } catch {
        return ''
      }
    })
}
