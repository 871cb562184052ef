// What all requests have in common; what webhooks alone ask for is in ../hooks/webhook.test.ts.
import { expect, test } from 'vitest'
import { type OutgoingRequest, request } from '../../../sync/outgoing/request.ts'
import { makeFolder, never } from '../hooks/hook-fixtures.ts'
import { makeCertificate, serve, serveProxy, status } from '../hooks/http-fixtures.ts'

const ask = (url: string, more: Partial<OutgoingRequest> = {}) =>
  request({ url: new URL(url), method: 'GET', redirectLimit: 0, environment: {}, signal: never, ...more })

test('with a limit of 0 a redirect is an answer as any other', async () => {
  await using server = await serve((_request, response) =>
    response.writeHead(302, { Location: 'file:///etc/passwd' }).end('over there'),
  )
  expect(await ask(server.url)).toEqual({ status: 302, body: 'over there', isWhole: true })
  expect(server.received).toHaveLength(1)
})

test('64 KiB of an answer are kept, and it is said whether that is all', async () => {
  let size = 64 * 1024
  await using server = await serve((_request, response) => response.end(Buffer.alloc(size, 'x')))
  expect(await ask(server.url)).toEqual({ status: 200, body: 'x'.repeat(size), isWhole: true })
  size += 1
  expect(await ask(server.url)).toEqual({ status: 200, body: 'x'.repeat(size - 1), isWhole: false })
})

test('the authorities of SSL_CERT_FILE are believed, and a file that is none says so', async () => {
  await using folder = await makeFolder()
  const tls = await makeCertificate(folder.path, 'localhost')
  await using server = await serve(status(200, 'secured'), tls)
  const url = `https://localhost:${server.port}/`
  expect(await ask(url, { environment: { SSL_CERT_FILE: tls.certFile } })).toMatchObject({ body: 'secured' })
  await expect(ask(url)).rejects.toThrow('self-signed certificate')
  const absent = ask(url, { environment: { SSL_CERT_FILE: '/absent' } })
  await expect(absent).rejects.toThrow('authorities of SSL_CERT_FILE cannot be read: ENOENT')
})

test('a network in NO_PROXY is asked directly', async () => {
  await using proxy = await serveProxy()
  const environment = { HTTP_PROXY: proxy.url, NO_PROXY: '192.0.2.0/24' }
  await using server = await serve(status(204))
  await ask(`http://somewhere.test:${server.port}/`, { environment })
  expect(proxy.asked).toHaveLength(1)
  // An address that nobody has: by the proxy it would be answered.
  await expect(ask('http://192.0.2.1/', { environment, timeoutMs: 50 })).rejects.toThrow()
  expect(proxy.asked).toHaveLength(1)
})

test('the time is that of all redirects together, and the signal ends with its own reason', async () => {
  await using server = await serve((_request, response) => {
    setTimeout(() => response.writeHead(302, { Location: '/again' }).end(), 40)
  })
  const late = ask(server.url, { redirectLimit: 10, timeoutMs: 100 })
  await expect(late).rejects.toThrow('no answer within 100 ms')
  expect(server.received.length).toBeLessThan(10)
  const reason = new Error('sync is stopping')
  await expect(ask(server.url, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
})
