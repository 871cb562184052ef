// What the client makes of a network and a server that misbehave, on a server of the test's own: what is said on the
// wire is not Kubernetes here. How a real API server answers is in test/cluster/k8s-client.test.ts.
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { KubernetesClient } from '../../k8s/client/kubernetes-client.ts'
import { connectKubernetes } from '../../k8s/connect.ts'
import { eventually } from '../support/eventually.ts'

let folder: string
const cleanUps: (() => void)[] = []
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'client-'))
})
afterEach(() => {
  for (const cleanUp of cleanUps.splice(0).reverse()) cleanUp()
  rmSync(folder, { recursive: true })
})

async function serve(answer: (request: IncomingMessage, response: ServerResponse) => void) {
  const sockets = new Set<Socket>()
  const server = createServer(answer).on('connection', (socket) => {
    sockets.add(socket.on('close', () => sockets.delete(socket)))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  cleanUps.push(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, sockets }
}

async function connect(
  url: string,
  options: { user?: object; requestTimeoutMs?: number } = {},
): Promise<KubernetesClient> {
  const configFile = join(folder, 'config')
  const config = {
    clusters: [{ name: 'c', cluster: { server: url } }],
    users: [{ name: 'u', user: options.user ?? {} }],
    contexts: [{ name: 'test', context: { cluster: 'c', user: 'u' } }],
    'current-context': 'test',
  }
  writeFileSync(configFile, JSON.stringify(config))
  const { requestTimeoutMs = 5_000 } = options
  const client = await connectKubernetes({
    inCluster: null,
    configFile,
    context: null,
    environment: {},
    requestTimeoutMs,
  })
  cleanUps.push(() => client.close())
  return client
}

const json = (response: ServerResponse, value: unknown, status = 200) =>
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value))

test('a server that cannot be reached is named with context and file', async () => {
  const client = await connect('http://127.0.0.1:1')
  await expect(client.version()).rejects.toMatchObject({
    code: 'KUBERNETES',
    status: null,
    retryable: true,
    message: `read the version: no answer from the API server http://127.0.0.1:1 (context 'test' of ${join(folder, 'config')}): connect ECONNREFUSED 127.0.0.1:1`,
  })
})

test('a server that does not answer is given up after the timeout', async () => {
  const { url } = await serve(() => {})
  const client = await connect(url, { requestTimeoutMs: 100 })
  await expect(client.version()).rejects.toMatchObject({
    status: null,
    message: expect.stringContaining('it took longer than 0.1 s'),
  })
})

test('an answer that stops in the middle is given up after the timeout, and one that is cut at once', async () => {
  let isCut = false
  const { url } = await serve((_request, response) => {
    response.writeHead(200, { 'content-length': 100 }).write('{"git')
    if (isCut) setImmediate(() => response.destroy())
  })
  const client = await connect(url, { requestTimeoutMs: 300 })
  await expect(client.version()).rejects.toThrow('it took longer than 0.3 s')
  isCut = true
  await expect(client.version()).rejects.toMatchObject({
    status: null,
    message: expect.not.stringContaining('longer'),
  })
})

test('a call ends with the reason of its signal, before and while it waits', async () => {
  const { url } = await serve(() => {})
  const client = await connect(url)
  const reason = new Error('enough')
  await expect(client.version({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
  const controller = new AbortController()
  const call = client.version({ signal: controller.signal })
  setImmediate(() => controller.abort(reason))
  await expect(call).rejects.toBe(reason)
})

test('calls one after another use one connection', async () => {
  let connections = 0
  const { url } = await serve((request, response) => {
    if (request.socket.bytesRead < 500) connections += 1
    json(response, { gitVersion: 'v1' })
  })
  const client = await connect(url)
  for (let index = 0; index < 10; index += 1) await client.version()
  expect(connections).toBeLessThan(4)
})

test('an idle connection that the server has closed meanwhile does not fail the next call', async () => {
  const { url, sockets } = await serve((_request, response) => json(response, { gitVersion: 'v1' }))
  const client = await connect(url)
  for (let index = 0; index < 20; index += 1) {
    expect(await client.version()).toBe('v1')
    // As late as it can be: the client may have taken the connection for its next call.
    for (const socket of sockets) socket.resetAndDestroy()
  }
})

test('a token file is read again when the server does not know the token any more', async () => {
  let good = 'first'
  const seen: (string | undefined)[] = []
  const { url } = await serve((request, response) => {
    seen.push(request.headers.authorization)
    if (request.headers.authorization === `Bearer ${good}`) json(response, { gitVersion: 'v1' })
    else json(response, { kind: 'Status', message: 'Unauthorized', reason: 'Unauthorized', code: 401 }, 401)
  })
  const rotate = (token: string): void => {
    writeFileSync(join(folder, 'new'), `${token}\n`)
    renameSync(join(folder, 'new'), join(folder, 'token'))
  }
  rotate('first')
  const client = await connect(url, { user: { tokenFile: 'token' } })
  expect(await client.version()).toBe('v1')
  rotate('second')
  good = 'second'
  expect(await client.version()).toBe('v1')
  expect(seen).toEqual(['Bearer first', 'Bearer first', 'Bearer second'])
  good = 'third'
  await expect(client.version()).rejects.toMatchObject({
    status: 401,
    message: expect.stringMatching(
      /^read the version: Unauthorized\. the API server \S+ \(context 'test' of \S+\) does not accept the credentials; renew them$/,
    ),
  })
})

test('a program that has the credentials is asked again when the server refuses them', async () => {
  const script = `n=$(cat ${join(folder, 'count')} 2>/dev/null || echo 0); echo $((n + 1)) > ${join(folder, 'count')}
    echo '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"t'$((n + 1))'"}}'`
  const seen: (string | undefined)[] = []
  const { url } = await serve((request, response) => {
    seen.push(request.headers.authorization)
    if (seen.length === 2) json(response, { kind: 'Status', message: 'Unauthorized', code: 401 }, 401)
    else json(response, { gitVersion: 'v1' })
  })
  const client = await connect(url, {
    user: { exec: { apiVersion: 'client.authentication.k8s.io/v1', command: 'sh', args: ['-c', script] } },
  })
  await client.version()
  await client.version()
  expect(seen).toEqual(['Bearer t1', 'Bearer t1', 'Bearer t2'])
})

test('a name and a password go as Basic', async () => {
  const seen: (string | undefined)[] = []
  const { url } = await serve((request, response) => {
    seen.push(request.headers.authorization)
    json(response, { gitVersion: 'v1' })
  })
  await (await connect(url, { user: { username: 'me', password: 'pass' } })).version()
  expect(seen).toEqual([`Basic ${Buffer.from('me:pass').toString('base64')}`])
})

test('a stream that is silent for too long is dropped, also where it never began', async () => {
  const { url, sockets } = await serve((_request, response) => response.writeHead(200).flushHeaders())
  const client = await connect(url)
  const watch = await client.watchPods('n', { resourceVersion: '1', timeoutSeconds: 1, idleMs: 100 })
  await expect(async () => {
    for await (const _ of watch) expect.unreachable()
  }).rejects.toMatchObject({ status: null, message: expect.stringContaining('nothing came for 0.1 s') })
  await eventually('the connection is gone', () => sockets.size === 0)
})

test('a stream ends with the reason of its signal, and with its reader', async () => {
  const { url, sockets } = await serve((_request, response) =>
    response.writeHead(200).write('2026-01-01T00:00:00Z x\n'),
  )
  const client = await connect(url)
  const controller = new AbortController()
  const reason = new Error('enough')
  await expect(async () => {
    for await (const _ of client.podLog('n', 'p', {
      container: 'base',
      follow: true,
      signal: controller.signal,
    }))
      controller.abort(reason)
  }).rejects.toBe(reason)
  for await (const _ of client.podLog('n', 'p', { container: 'base', follow: true })) break
  await eventually('the connections are gone', () => sockets.size === 0)
  // A signal that fires between the beginning of a stream and its first reading.
  const watch = await client
    .watchPods('n', { resourceVersion: '1', timeoutSeconds: 9, idleMs: 9_000, signal: controller.signal })
    .catch((error: unknown) => error)
  expect(watch).toBe(reason)
})

test('events that come in pieces are put together, and groups keep what came together', async () => {
  const event = (version: number) =>
    `${JSON.stringify({ type: 'MODIFIED', object: { metadata: { resourceVersion: String(version), name: 'ä' } } })}\n`
  const text = Buffer.from(event(1) + event(2) + event(3))
  const { url } = await serve((_request, response) => {
    response.writeHead(200).flushHeaders()
    const half = text.indexOf('ä') + 1
    response.write(text.subarray(0, half), () => setImmediate(() => response.end(text.subarray(half))))
  })
  const client = await connect(url)
  const versions: (string | undefined)[] = []
  for await (const group of await client.watchPods('n', {
    resourceVersion: '0',
    timeoutSeconds: 9,
    idleMs: 9_000,
  })) {
    for (const one of group) if (one.type !== 'ERROR') versions.push(one.object.metadata?.resourceVersion)
  }
  expect(versions).toEqual(['1', '2', '3'])
})
