import { expect, test } from 'vitest'
import { ConfigError } from '../../../runtime/errors.ts'
import { createHttpEndpoint } from '../../../sync/http/http-endpoint.ts'

const deps = { isReady: () => true, onSync: () => {} }

test.for(['1234', 'host', ':', ':x', ':70000', '127.0.0.1:'])('%j is no address to bind', (bind) => {
  expect(() => createHttpEndpoint({ ...deps, bind })).toThrow(ConfigError)
})

test('a port that is taken is refused with its address', async () => {
  await using first = createHttpEndpoint({ ...deps, bind: '127.0.0.1:0' })
  const { port } = await first.start()
  const second = createHttpEndpoint({ ...deps, bind: `127.0.0.1:${port}` })
  await expect(second.start()).rejects.toThrow(
    new RegExp(`--http-bind 127.0.0.1:${port} cannot be listened on`),
  )
})

test('only POST /sync asks for a sync', async () => {
  let asked = 0
  await using endpoint = createHttpEndpoint({ ...deps, bind: '[::1]:0', onSync: () => (asked += 1) })
  const { port } = await endpoint.start()
  const url = `http://[::1]:${port}`
  expect((await fetch(`${url}/sync`)).status).toBe(200)
  expect((await fetch(`${url}/other`, { method: 'POST' })).status).toBe(200)
  expect(asked).toBe(0)
  expect((await fetch(`${url}/sync?from=hook`, { method: 'POST', body: 'x' })).status).toBe(202)
  expect(asked).toBe(1)
})
