// --http-bind of the program as probes see it, from before the first sync on: by the bytes on the wire, so that the
// simplest of clients can read them.
import { once } from 'node:events'
import { connect } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { createTestRepository, git, type TestRepository } from '../support/git-server.ts'
import { type SyncProcess, startSync, temporaryFolder } from './sync-process.ts'

let repository: TestRepository
beforeAll(async () => {
  repository = await createTestRepository()
})
afterAll(() => repository?.close())

function start(root: string, ...more: string[]): SyncProcess {
  const where = ['--repo', repository.url, '--root', root, '--link', 'current', '--period', '20ms']
  return startSync([...where, '--http-bind', '127.0.0.1:0', '--max-failures=-1', ...more])
}

async function portOf(sync: SyncProcess): Promise<number> {
  return ((await sync.logged('serving HTTP')) as { port: number }).port
}

/** The answer to a request of HTTP/1.0, whose end is that of the connection. */
async function ask(port: number, request: string): Promise<{ head: string; body: string }> {
  const socket = connect(port, '127.0.0.1')
  let answer = ''
  socket.setEncoding('utf8').on('data', (chunk: string) => {
    answer += chunk
  })
  socket.write(`${request} HTTP/1.0\r\n\r\n`)
  await once(socket, 'end')
  const [head = '', body = ''] = answer.split(/\r\n\r\n(.*)/s)
  return { head, body }
}

test('every path and method says 503 until the first success and 200 from then on, with its length', async () => {
  await using root = await temporaryFolder()
  await using sync = start(root.path, '--ref', 'later')
  const port = await portOf(sync)
  await sync.logged('error syncing repo, will retry')
  const requests = [
    'GET /',
    'GET /healthz?x',
    'POST /',
    'PUT /a/b',
    'DELETE /',
    'GET /metrics',
    'GET /debug/pprof/',
  ]
  for (const request of requests) {
    const { head, body } = await ask(port, request)
    expect(head, request).toMatch(/^HTTP\/1\.1 503 Service Unavailable\r\n/)
    expect(head, request).toMatch(/\r\ncontent-length: 18(\r\n|$)/)
    expect(body, request).toBe('repo is not ready\n')
  }
  expect(await ask(port, 'HEAD /')).toMatchObject({ body: '' })
  await repository.commit({}, { branch: 'later' })
  await eventually(
    'ready',
    async () => (await ask(port, 'GET /')).head.startsWith('HTTP/1.1 200 OK') || undefined,
  )
  for (const request of requests) {
    const { head, body } = await ask(port, request)
    expect(head, request).toMatch(/^HTTP\/1\.1 200 OK\r\n.*\r\ncontent-length: 0(\r\n|$)/s)
    expect(body, request).toBe('')
  }
})

test('it stays ready while later syncs fail', async () => {
  await using root = await temporaryFolder()
  await repository.commit({}, { branch: 'fleeting' })
  await using sync = start(root.path, '--ref', 'fleeting')
  const port = await portOf(sync)
  await sync.logged('updated successfully')
  await repository.commit({}, { branch: 'kept' })
  await git(repository.path, ['branch', '--delete', '--force', 'fleeting'])
  await sync.logged('error syncing repo, will retry', 2)
  expect((await ask(port, 'GET /')).head).toMatch(/^HTTP\/1\.1 200 OK/)
})

test('metrics and profiles answer where they are asked for, also before the first success', async () => {
  await using root = await temporaryFolder()
  await using sync = start(root.path, '--ref', 'never', '--http-metrics', '--http-pprof')
  const port = await portOf(sync)
  await sync.logged('error syncing repo, will retry')
  const { head, body } = await ask(port, 'GET /metrics')
  expect(head).toMatch(/^HTTP\/1\.1 200 OK\r\n.*content-type: text\/plain; version=0\.0\.4/is)
  expect(body).toMatch(/^git_sync_count_total\{status="error"\} \d+$/m)
  expect((await ask(port, 'GET /debug/pprof/')).head).toMatch(/^HTTP\/1\.1 200 OK/)
  expect((await ask(port, 'GET /')).head).toMatch(/^HTTP\/1\.1 503/)
})

test('it answers on after a commit that was given by its hash is published, and nothing more is synced', async () => {
  await using root = await temporaryFolder()
  const commit = await repository.commit({ 'a.txt': 'pinned' })
  await using sync = start(root.path, '--ref', commit, '--http-metrics')
  const port = await portOf(sync)
  await sync.logged('ref appears to be a git hash, no further sync needed')
  const counts = async () => (await ask(port, 'GET /metrics')).body.match(/^git_sync_count_total.*$/gm)
  expect(await counts()).toEqual(['git_sync_count_total{status="success"} 1'])
  expect((await ask(port, 'GET /')).head).toMatch(/^HTTP\/1\.1 200 OK/)
})
