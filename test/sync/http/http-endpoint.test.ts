import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { Agent, request, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, test } from 'vitest'
import { ConfigError } from '../../../runtime/errors.ts'
import { createHttpEndpoint, type SyncStatus } from '../../../sync/http/http-endpoint.ts'
import type { HttpServer } from '../../../sync/http/http-server.ts'
import { captureLog } from '../hooks/hook-fixtures.ts'

const { log, lines } = captureLog()
const deps = { bind: '127.0.0.1:0', isReady: () => true, onSync: () => {}, log }

const status: SyncStatus = {
  ready: true,
  ref: 'main',
  commit_sha: 'a'.repeat(40),
  published_at: '2026-01-01T00:00:00.000Z',
  last_success_at: '2026-01-01T00:00:10.000Z',
  failures: 2,
  last_error: { message: 'error syncing repo, will retry', error: 'refused', at: '2026-01-01T00:00:20.000Z' },
  gate: null,
}

async function startedAt(endpoint: HttpServer): Promise<string> {
  const { address, family, port } = (await endpoint.start()) as AddressInfo
  return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`
}

test.for(['1234', 'host', ':', ':x', ':70000', '127.0.0.1:'])('%j is no address to bind', (bind) => {
  expect(() => createHttpEndpoint({ ...deps, bind })).toThrow(ConfigError)
})

test('a port that is taken is refused with its address', async () => {
  await using first = createHttpEndpoint(deps)
  const { port } = await first.start()
  const second = createHttpEndpoint({ ...deps, bind: `127.0.0.1:${port}` })
  await expect(second.start()).rejects.toThrow(
    new RegExp(`--http-bind 127.0.0.1:${port} cannot be listened on`),
  )
})

test('errors of the server after its start are logged, however many, and it goes on', async () => {
  await using endpoint = createHttpEndpoint(deps)
  const url = await startedAt(endpoint)
  let server: Server | undefined
  const channel = 'http.server.request.start'
  const onRequest = (message: unknown) => {
    server = (message as { server: Server }).server
  }
  subscribe(channel, onRequest)
  await fetch(url)
  unsubscribe(channel, onRequest)
  for (const text of ['first', 'second']) {
    server!.emit('error', new Error(`accept EMFILE: ${text}`))
    expect(lines.at(-1)).toMatchObject({ msg: 'HTTP server failed', error: `accept EMFILE: ${text}` })
  }
  expect((await fetch(url)).status).toBe(200)
})

test('every path and method tells readiness, also those of pages that are not enabled', async () => {
  let isReady = false
  await using endpoint = createHttpEndpoint({ ...deps, isReady: () => isReady })
  const url = await startedAt(endpoint)
  const look = async (path: string, method: string) => {
    const response = await fetch(`${url}${path}`, { method })
    return [response.status, await response.text()]
  }
  const paths = ['/', '/anything?x=1', '/metrics', '/debug/pprof/', '/debug/pprof/profile', '/status']
  for (const path of paths) {
    for (const method of ['GET', 'PUT', 'DELETE', 'POST']) {
      isReady = false
      expect(await look(path, method), `${method} ${path}`).toEqual([503, 'repo is not ready\n'])
      isReady = true
      expect(await look(path, method), `${method} ${path}`).toEqual([200, ''])
    }
  }
})

test('only POST /sync asks for a sync', async () => {
  let asked = 0
  await using endpoint = createHttpEndpoint({ ...deps, bind: '[::1]:0', onSync: () => (asked += 1) })
  const url = await startedAt(endpoint)
  expect((await fetch(`${url}/sync`)).status).toBe(200)
  expect((await fetch(`${url}/other`, { method: 'POST' })).status).toBe(200)
  expect(asked).toBe(0)
  expect((await fetch(`${url}/sync?from=hook`, { method: 'POST', body: 'x' })).status).toBe(202)
  expect(asked).toBe(1)
})

test('GET /status tells what readiness tells, and why, as JSON', async () => {
  let now: SyncStatus = { ...status, ready: false, commit_sha: null }
  await using endpoint = createHttpEndpoint({ ...deps, isReady: () => now.ready, status: () => now })
  const url = await startedAt(endpoint)
  const before = await fetch(`${url}/status`)
  expect(before.status).toBe(503)
  expect(before.headers.get('content-type')).toMatch('application/json')
  expect(await before.json()).toEqual(now)
  now = status
  const after = await fetch(`${url}/status?pretty`)
  expect([after.status, await after.json()]).toEqual([200, status])
  expect((await fetch(`${url}/status`, { method: 'POST' })).headers.get('content-type')).toMatch('text/plain')
})

test('a page that fails answers 500 with the reason, and the endpoint goes on', async () => {
  const metrics = { handle: () => Promise.reject(new Error('no memory')) }
  await using endpoint = createHttpEndpoint({ ...deps, metrics })
  const url = await startedAt(endpoint)
  const response = await fetch(`${url}/metrics`)
  expect([response.status, await response.text()]).toEqual([500, 'no memory\n'])
  expect((await fetch(url)).status).toBe(200)
})

test('clients that keep their connection, and one that is being answered, do not delay the stop', async () => {
  const neverAnswered = { handle: () => new Promise<void>(() => {}) }
  const endpoint = createHttpEndpoint({ ...deps, metrics: neverAnswered })
  const url = await startedAt(endpoint)
  using agent = Object.assign(new Agent({ keepAlive: true }), { [Symbol.dispose]: () => agent.destroy() })
  await new Promise<void>((resolve) => {
    request(url, { agent }, (response) => response.resume().once('end', resolve)).end()
  })
  const hanging = fetch(`${url}/metrics`).then(
    () => 'answered',
    () => 'cut',
  )
  await fetch(url)
  const began = performance.now()
  await endpoint.stop()
  expect(performance.now() - began).toBeLessThan(1_000)
  expect(await hanging).toBe('cut')
  await endpoint.stop()
})
