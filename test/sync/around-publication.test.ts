// The program with what stands around a publication: gate, hooks, metrics, status, push notifications, touch file.
import { createHmac } from 'node:crypto'
import { existsSync } from 'node:fs'
import { appendFile, chmod, mkdir, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { createTestRepository, git, type TestRepository } from '../support/git-server.ts'
import { expectWhole, publishes } from './observers.ts'
import { publishedCommit, type SyncProcess, startSync, temporaryFolder } from './sync-process.ts'

let repository: TestRepository
beforeAll(async () => {
  repository = await createTestRepository({ 'a.txt': 'one\n', 'b.txt': 'b\n' })
})
afterAll(() => repository?.close())

function argsFor(root: string, ...more: string[]): string[] {
  return [
    ...['--repo', repository.url, '--ref', 'main', '--root', root, '--link', 'current'],
    ...['--period', '30ms', '--error-file', 'error', ...more],
  ]
}

async function script(folder: string, name: string, body: string): Promise<string> {
  const path = join(folder, name)
  await writeFile(path, `#!/bin/sh\n${body}\n`)
  await chmod(path, 0o755)
  return path
}

/** Address of the HTTP endpoint that a process started by `--http-bind 127.0.0.1:0` took. */
async function endpointOf(sync: SyncProcess, message = 'serving HTTP'): Promise<string> {
  const { port } = (await sync.logged(message)) as { port: number }
  return `http://127.0.0.1:${port}`
}

async function metricsOf(url: string): Promise<Map<string, number>> {
  const text = await (await fetch(`${url}/metrics`)).text()
  const rows = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  return new Map(rows.map((row) => [row.slice(0, row.lastIndexOf(' ')), Number(row.split(' ').at(-1))]))
}

test('a gate that refuses keeps the old commit published and says why, until a commit passes', async () => {
  await using root = await temporaryFolder()
  await using files = await temporaryFolder()
  const gate = await script(files.path, 'gate', 'cat a.txt; ! grep -q bad a.txt')
  await using sync = startSync(
    argsFor(
      root.path,
      ...['--gate-command', gate, '--gate-backoff', '1h'],
      ...['--http-bind', '127.0.0.1:0', '--http-metrics'],
    ),
  )
  const link = join(root.path, 'current')
  const url = await endpointOf(sync)
  const good = await repository.commit({ 'a.txt': 'good\n' })
  await publishes(link, good, sync)
  const bad = await repository.commit({ 'a.txt': 'bad\n' })
  const refusal = await sync.logged('commit refused by the gate')
  expect(refusal.error).toContain('exit code 1')
  expect(await publishedCommit(link)).toBe(good)
  const error = JSON.parse(await readFile(join(root.path, 'error'), 'utf8'))
  expect(error).toMatchObject({ Msg: 'commit refused by the gate', Args: { hash: bad } })
  const status = await (await fetch(`${url}/status`)).json()
  expect(status).toMatchObject({
    ready: true,
    commit_sha: good,
    failures: 0,
    gate: { commit_sha: bad, status: 'refused', output_path: join(root.path, '.gate', `${bad}.log`) },
  })
  expect(await readFile(join(root.path, '.gate', `${bad}.log`), 'utf8')).toContain('bad')
  const metrics = await metricsOf(url)
  expect(metrics.get('branchline_sync_gate_runs_total{status="refused"}')).toBe(1)
  // The published files are looked after meanwhile, without another fetch, and without the gate being asked again.
  const fetches = metrics.get('branchline_sync_fetch_duration_seconds_count')
  await rm(join(link, 'b.txt'))
  await eventually('the file', () => existsSync(join(link, 'b.txt')) || undefined)
  const later = await metricsOf(url)
  expect(later.get('branchline_sync_gate_runs_total{status="refused"}')).toBe(1)
  expect(later.get('branchline_sync_fetch_duration_seconds_count')).toBe(fetches)
  expect(later.get('branchline_sync_last_success_timestamp_seconds')).toBe(
    metrics.get('branchline_sync_last_success_timestamp_seconds'),
  )
  expect(existsSync(join(root.path, 'error'))).toBe(true)
  const better = await repository.commit({ 'a.txt': 'better\n' })
  await publishes(link, better, sync)
  await eventually('no error', () => !existsSync(join(root.path, 'error')) || undefined)
})

test('what a gate did to the files of a commit that it refused is not published when it passes', async () => {
  await using root = await temporaryFolder()
  await using files = await temporaryFolder()
  const commit = await repository.commit({ 'a.txt': 'as committed\n' })
  const gate = await script(files.path, 'gate', 'echo spoilt > a.txt; exit 1')
  await using refused = startSync(argsFor(root.path, '--one-time', '--gate-command', gate))
  expect(await refused.exit).toBe(1)
  await script(files.path, 'gate', 'exit 0')
  await using passed = startSync(argsFor(root.path, '--one-time', '--gate-command', gate))
  expect(await passed.exit, passed.stderr()).toBe(0)
  await expectWhole(join(root.path, 'current'), commit)
})

test('a restart puts the published files right though the gate refuses what is newer, or the remote is away', async () => {
  await using root = await temporaryFolder()
  await using own = await createTestRepository({ 'a.txt': 'one\n' })
  const args = argsFor(root.path, '--repo', own.url, '--one-time')
  const link = join(root.path, 'current')
  await using first = startSync(args)
  expect(await first.exit).toBe(0)
  const published = (await publishedCommit(link))!
  await writeFile(join(link, 'a.txt'), 'changed\n')
  await using away = startSync([...args, '--repo', `${own.url}.gone`])
  expect(await away.exit).toBe(1)
  await expectWhole(link, published)
  await own.commit({ 'a.txt': 'two\n' })
  await rm(join(root.path, '.worktrees'), { recursive: true })
  await using refused = startSync([...args, '--gate-command', 'false'])
  expect(await refused.exit).toBe(1)
  await expectWhole(link, published)
})

test('before anything is published, the worktrees of refused commits do not pile up', async () => {
  await using root = await temporaryFolder()
  await using own = await createTestRepository()
  await using sync = startSync(argsFor(root.path, '--repo', own.url, '--gate-command', 'false'))
  await sync.logged('commit refused by the gate')
  for (let round = 2; round < 4; round += 1) {
    await own.commit({ 'a.txt': String(round) })
    await sync.logged('commit refused by the gate', round)
  }
  await eventually('one worktree', async () => {
    return (await readdir(join(root.path, '.worktrees'))).length === 1 || undefined
  })
})

test('an error file that cannot be written or removed keeps neither hooks nor touch file from being done', async () => {
  await using root = await temporaryFolder()
  await mkdir(join(root.path, 'error', 'full'), { recursive: true })
  const seen = join(root.path, 'seen')
  await using files = await temporaryFolder()
  const hook = await script(files.path, 'hook', `echo ran > ${seen}`)
  await using sync = startSync(
    argsFor(root.path, '--one-time', '--exechook-command', hook, '--touch-file', 'touched'),
  )
  expect(await sync.exit).toBe(0)
  expect(existsSync(seen)).toBe(true)
  expect(existsSync(join(root.path, 'touched'))).toBe(true)
})

test('a gate that refuses the one sync ends it with 1, and nothing is published', async () => {
  await using root = await temporaryFolder()
  await using sync = startSync(argsFor(root.path, '--one-time', '--gate-command', 'false'))
  expect(await sync.exit).toBe(1)
  expect(await publishedCommit(join(root.path, 'current'))).toBeUndefined()
  expect(await readFile(join(root.path, 'error'), 'utf8')).toContain('commit refused by the gate')
})

test('hooks are sent for each commit, and once more at a restart', async () => {
  await using root = await temporaryFolder()
  await using files = await temporaryFolder()
  const seen = join(files.path, 'seen')
  const hook = await script(files.path, 'hook', `echo "hook $GITSYNC_HASH $(cat a.txt)" >> ${seen}`)
  const before = await script(files.path, 'before', `echo "before $GITSYNC_HASH" >> ${seen}`)
  const requests: string[] = []
  const server = createServer((request, response) => {
    requests.push(`${request.method} ${request.headers['gitsync-hash']}`)
    response.writeHead(201).end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/told`
  const args = argsFor(
    root.path,
    ...['--exechook-command', hook, '--pre-publish-exechook-command', before],
    ...['--webhook-url', url, '--webhook-success-status', '201'],
  )
  const lines = async () => (await readFile(seen, 'utf8').catch(() => '')).split('\n').filter(Boolean)
  const first = await repository.commit({ 'a.txt': 'first\n' })
  {
    await using sync = startSync(args)
    await eventually('both hooks', async () => (await lines()).length === 2 || undefined)
    const logged = [await sync.logged('exechook succeeded'), await sync.logged('exechook succeeded', 2)]
    expect(logged.map(({ logger }) => logger).sort()).toEqual(['exechook', 'pre-publish-exechook'])
    const second = await repository.commit({ 'a.txt': 'second\n' })
    await eventually(`all\n${sync.stderr()}`, async () => (await lines()).length === 4 || undefined)
    expect((await lines()).sort()).toEqual(
      [`before ${first}`, `before ${second}`, `hook ${first} first`, `hook ${second} second`].sort(),
    )
    await eventually('both requests', () => requests.length === 2 || undefined)
    expect(requests).toEqual([`POST ${first}`, `POST ${second}`])
  }
  await using again = startSync([...args, '--one-time'])
  expect(await again.exit).toBe(0)
  expect(await lines()).toHaveLength(5)
  expect(requests).toHaveLength(3)
  server.close()
})

test('a hook that fails the one sync ends it with 1, though the commit is published', async () => {
  await using root = await temporaryFolder()
  const commit = await git(repository.clone, ['rev-parse', 'HEAD'])
  await using sync = startSync(argsFor(root.path, '--one-time', '--exechook-command', 'false'))
  expect(await sync.exit).toBe(1)
  expect(await publishedCommit(join(root.path, 'current'))).toBe(commit)
})

test('what a hook changes in tracked files stays, what others change is put back, and the hook runs again', async () => {
  await using root = await temporaryFolder()
  await using files = await temporaryFolder()
  const seen = join(files.path, 'seen')
  const hook = await script(files.path, 'hook', `echo built > a.txt; echo run >> ${seen}`)
  const runs = async () => (await readFile(seen, 'utf8').catch(() => '')).split('\n').length - 1
  await using sync = startSync(
    argsFor(root.path, ...['--exechook-command', hook, '--http-bind', '127.0.0.1:0', '--http-metrics']),
  )
  const url = await endpointOf(sync)
  const read = (name: string) => readFile(join(root.path, 'current', name), 'utf8').catch(() => undefined)
  await eventually('the hook', async () => (await runs()) === 1 || undefined)
  const noops = async () => (await metricsOf(url)).get('git_sync_count_total{status="noop"}') ?? 0
  const start = await noops()
  await appendFile(join(root.path, 'current', 'untracked'), 'x')
  await eventually('polls', async () => (await noops()) > start + 3 || undefined)
  expect(await read('a.txt')).toBe('built\n')
  expect(await runs()).toBe(1)
  await rm(join(root.path, 'current', 'b.txt'))
  await eventually(`the file\n${sync.stderr()}`, async () => (await read('b.txt')) === 'b\n' || undefined)
  await eventually('the hook again', async () => (await runs()) === 2 || undefined)
  await eventually('what it builds', async () => (await read('a.txt')) === 'built\n' || undefined)
  expect(await read('untracked')).toBe('x')
})

test('metrics count what git-sync counts, and tell the commit, phases and fetches', async () => {
  await using root = await temporaryFolder()
  await using sync = startSync(
    argsFor(root.path, '--http-bind', '127.0.0.1:0', '--http-metrics', '--touch-file', 'touched'),
  )
  const url = await endpointOf(sync)
  await eventually('the first sync', () => existsSync(join(root.path, 'touched')) || undefined)
  let metrics = await metricsOf(url)
  expect(metrics.get('git_sync_count_total{status="success"}')).toBe(1)
  expect(metrics.get('git_fetch_count_total')).toBe(1)
  await rm(join(root.path, 'touched'))
  const commit = await repository.commit({ 'a.txt': 'counted\n' })
  await eventually('the second sync', () => existsSync(join(root.path, 'touched')) || undefined)
  metrics = await metricsOf(url)
  expect(metrics.get('git_sync_count_total{status="success"}')).toBe(2)
  expect(metrics.get('git_fetch_count_total')).toBe(2)
  expect(metrics.get('git_sync_duration_seconds_count{status="success"}')).toBe(2)
  expect(metrics.get('branchline_sync_fetch_bytes_total')).toBeGreaterThan(0)
  expect(metrics.get('branchline_sync_phase_duration_seconds_count{phase="checkout"}')).toBe(2)
  const committed = Number(await git(repository.clone, ['show', '-s', '--format=%ct', commit]))
  await eventually('the commit', async () => {
    metrics = await metricsOf(url)
    return metrics.get(`branchline_sync_commit_info{commit_sha="${commit}"}`) === 1 || undefined
  })
  expect(metrics.get('branchline_sync_commit_timestamp_seconds')).toBe(committed)
  expect(metrics.get('branchline_sync_last_success_age_seconds')).toBeLessThan(10)
})

test('a signed push notification syncs at once, and an unsigned one does not', async () => {
  await using root = await temporaryFolder()
  await using files = await temporaryFolder()
  const secretFile = join(files.path, 'secret')
  await writeFile(secretFile, 'old secret\nnew secret\n')
  await using sync = startSync(
    argsFor(root.path, ...['--period', '1h', '--listen', '127.0.0.1:0', '--listen-secret-file', secretFile]),
  )
  const url = await endpointOf(sync, 'listening for push notifications')
  await sync.logged('updated successfully')
  const commit = await repository.commit({ 'a.txt': 'notified\n' })
  const body = JSON.stringify({ ref: 'refs/heads/main', after: commit })
  const unsigned = await fetch(url, { method: 'POST', body, headers: { 'x-github-event': 'push' } })
  expect(unsigned.status).toBe(401)
  const signature = createHmac('sha256', 'new secret').update(body).digest('hex')
  const headers = { 'x-github-event': 'push', 'x-hub-signature-256': `sha256=${signature}` }
  expect((await fetch(url, { method: 'POST', body, headers })).status).toBe(202)
  await publishes(join(root.path, 'current'), commit, sync)
})

test('--listen without a secret is refused at the start', async () => {
  await using root = await temporaryFolder()
  await using sync = startSync(argsFor(root.path, '--listen', '127.0.0.1:0'))
  expect(await sync.exit).toBe(1)
  expect(sync.stderr()).toContain('--listen-secret-file')
})

test('until the first success, --init-period and --init-max-failures apply', async () => {
  await using root = await temporaryFolder()
  await using own = await createTestRepository()
  const args = (...more: string[]) =>
    argsFor(root.path, '--repo', own.url, '--ref', 'later', '--init-period', '10ms', ...more)
  await using impatient = startSync(args('--init-max-failures', '3', '--max-failures', '-1'))
  expect(await impatient.exit).toBe(1)
  expect(await impatient.logged('too many failures, aborting')).toMatchObject({ failCount: 3 })
  await using patient = startSync(
    args('--init-max-failures', '-1', '--max-failures', '0', '--period', '20ms'),
  )
  await patient.logged('error syncing repo, will retry', 4)
  const commit = await own.commit({ 'a.txt': 'later' }, { branch: 'later' })
  await publishes(join(root.path, 'current'), commit, patient)
  await git(own.path, ['branch', '-D', 'later'])
  expect(await patient.exit).toBe(1)
})

test('--group-write makes everything writable for the group', async () => {
  await using root = await temporaryFolder()
  await using sync = startSync(argsFor(root.path, '--one-time', '--group-write'))
  expect(await sync.exit).toBe(0)
  const places = ['.git', '.git/objects', '.worktrees', 'current/.', 'current/a.txt', '.git/config']
  for (const place of places) {
    expect((await stat(join(root.path, place))).mode & 0o020, place).toBe(0o020)
  }
})

test('variables of git-sync 3 and older are read, the old name wins, and each is named', async () => {
  await using root = await temporaryFolder()
  await using sync = startSync([], {
    GIT_SYNC_REPO: repository.url,
    GIT_SYNC_BRANCH: 'main',
    GIT_SYNC_REV: 'HEAD',
    GIT_SYNC_ROOT: root.path,
    GIT_SYNC_DEST: 'dest',
    GITSYNC_LINK: 'link',
    GIT_SYNC_ONE_TIME: 'T',
    GIT_SYNC_WAIT: '0.5',
    GIT_SYNC_SERVICE_HOST: '10.0.0.1',
    GIT_SYNC_PORT: 'tcp://10.0.0.1:80',
  })
  expect(await sync.exit, sync.stderr()).toBe(0)
  expect(await publishedCommit(join(root.path, 'dest'))).toMatch(/^[0-9a-f]{40}$/)
  expect(sync.stderr()).toContain('env $GIT_SYNC_REPO has been deprecated, use $GITSYNC_REPO instead')
})

test('an unknown variable stops the start with the nearest name, or warns', async () => {
  await using root = await temporaryFolder()
  await using sync = startSync(argsFor(root.path, '--one-time'), { GITSYNC_PERIDO: '1s' })
  expect(await sync.exit).toBe(1)
  expect(sync.stderr()).toContain('GITSYNC_PERIOD')
  await using warned = startSync(argsFor(root.path, '--one-time', '--unknown-env=warn'), {
    GITSYNC_PERIDO: '1s',
  })
  expect(await warned.exit).toBe(0)
  expect(warned.stderr()).toContain('GITSYNC_PERIDO')
})

test('what is secret in the command line is not on the page that shows it, nor a webhook in the log', async () => {
  await using root = await temporaryFolder()
  const hook = 'http://me:hunter2@127.0.0.1:1/services/T0000000/a-secret-in-a-path'
  await using sync = startSync(
    argsFor(
      root.path,
      ...['--http-bind', '127.0.0.1:0', '--http-pprof', '--webhook-url', hook],
      ...['--git-config=http.extraHeader:X-Token: hunter3', '--password=hunter4', '--username=me'],
    ),
    { GITSYNC_LISTEN_SECRET: 'hunter5' },
  )
  await sync.logged('hook failed')
  const page = await (await fetch(`${await endpointOf(sync)}/debug/pprof/cmdline`)).text()
  expect(page).toContain('--git-config=REDACTED\0--password=REDACTED\0')
  expect(page + sync.stderr()).not.toMatch(/hunter|a-secret-in-a-path/)
  expect(sync.stderr()).toContain('http://127.0.0.1:1')
})

test('a full disk where the output of the gate goes fails the sync, and the gate is asked again', async () => {
  await using root = await temporaryFolder()
  await using files = await temporaryFolder()
  const commit = await repository.commit({ 'a.txt': 'gated\n' })
  await mkdir(join(root.path, '.gate'))
  const output = join(root.path, '.gate', `${commit}.log`)
  await symlink('/dev/full', output)
  const gate = await script(files.path, 'gate', 'echo fine')
  await using sync = startSync(
    argsFor(root.path, '--gate-command', gate, '--gate-backoff', '1h', '--max-failures', '-1'),
  )
  const failure = await sync.logged('error syncing repo, will retry', 2)
  expect(failure.error).toContain('ENOSPC')
  await rm(output)
  await publishes(join(root.path, 'current'), commit, sync)
})

test('--man prints the manual, and git and hooks find the configuration of --git-config', async () => {
  await using manual = startSync(['--man'])
  expect(await manual.exit).toBe(0)
  expect(manual.stdout()).toContain('--stale-worktree-timeout')
  await using root = await temporaryFolder()
  await using files = await temporaryFolder()
  const seen = join(files.path, 'seen')
  const hook = await script(
    files.path,
    'hook',
    `git config sect.k1 >> ${seen}; git config a.b.c.k2 >> ${seen}`,
  )
  const config = 'sect.k1:a val,"a.b.c.k2":"with \\"quotes\\", and a comma"'
  await using sync = startSync(
    argsFor(root.path, '--one-time', '--exechook-command', hook, '--git-config', config),
  )
  expect(await sync.exit, sync.stderr()).toBe(0)
  expect(await readFile(seen, 'utf8')).toBe('a val\nwith "quotes", and a comma\n')
  expect(await readFile(join(root.path, '.sync-gitconfig'), 'utf8')).not.toContain('a val')
})
