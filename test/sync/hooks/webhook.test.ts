import { describe, expect, test } from 'vitest'
import { HookError } from '../../../runtime/errors.ts'
import { createWebhook } from '../../../sync/hooks/webhook.ts'
import { eventually } from '../../support/eventually.ts'
import { captureLog, commitA, makeFolder, never } from './hook-fixtures.ts'
import { makeCertificate, serve, serveProxy, status } from './http-fixtures.ts'

interface Options {
  method?: string
  successStatus?: number
  timeoutMs?: number
  environment?: Record<string, string>
}

function webhook(url: string, options: Options = {}) {
  const { log, lines, text } = captureLog()
  const run = createWebhook({
    url: new URL(url),
    method: options.method ?? 'POST',
    successStatus: options.successStatus ?? 200,
    timeoutMs: options.timeoutMs ?? 10_000,
    environment: options.environment ?? {},
    redact: (text) => text.replaceAll('echoed', 'REDACTED'),
    log,
  })
  return { send: (signal = never) => run(commitA, signal), lines, text }
}

describe('what the receiver gets', () => {
  test.each(['POST', 'PUT', 'GET', 'DELETE'])(
    'a %s with the commit in a header and no body',
    async (method) => {
      await using receiver = await serve(status(200))
      await webhook(`${receiver.url}/reload?now=1`, { method }).send()
      expect(receiver.received).toMatchObject([
        { method, url: '/reload?now=1', body: '', headers: { 'gitsync-hash': commitA } },
      ])
      const length = receiver.received[0]!.headers['content-length']
      expect(length).toBe(['POST', 'PUT'].includes(method) ? '0' : undefined)
    },
  )

  test('user and password of the URL, as Basic authorization', async () => {
    await using receiver = await serve(status(200))
    await webhook(receiver.url.replace('//', '//me:p%40ss@')).send()
    expect(receiver.received[0]!.headers.authorization).toBe(`Basic ${btoa('me:p@ss')}`)
  })
})

describe('which answer is a success', () => {
  test.each([
    [200, 200, true],
    [204, 204, true],
    [204, 200, false],
    [500, 200, false],
    [500, 0, true],
    [404, -1, true],
  ])('status %i where %i is asked for: %s', async (code, successStatus, isSuccess) => {
    await using receiver = await serve(status(code, code === 204 ? '' : 'the "answer"'))
    const { send, lines } = webhook(receiver.url, { successStatus })
    if (isSuccess) {
      await send()
      expect(lines.at(-1)).toMatchObject({ msg: 'webhook succeeded', hash: commitA, status: code })
    } else {
      const answered = code === 204 ? '""' : String.raw`"the \"answer\""`
      await expect(send()).rejects.toThrow(
        `received response code ${code} expected ${successStatus}, body: ${answered}`,
      )
    }
    expect(lines[0]).toMatchObject({
      level: 'info',
      msg: 'sending webhook',
      hash: commitA,
      url: receiver.url,
      method: 'POST',
      timeout_ms: 10_000,
    })
  })

  test('a long answer is read to its end, and its beginning is kept', async () => {
    let hasEnded = false
    await using receiver = await serve((_request, response) => {
      response.writeHead(500).end(Buffer.alloc(5_000_000, 'x'), () => {
        hasEnded = true
      })
    })
    const failure = await webhook(receiver.url)
      .send()
      .catch((error: Error) => error)
    expect(failure).toBeInstanceOf(HookError)
    expect((failure as Error).message.length).toBeLessThan(5_000)
    await eventually('the end of the answer', () => hasEnded)
  })
})

describe('redirects', () => {
  test.each([
    [301, 'POST', 'GET'],
    [302, 'PUT', 'GET'],
    [303, 'DELETE', 'GET'],
    [302, 'HEAD', 'HEAD'],
    [307, 'POST', 'POST'],
    [308, 'PUT', 'PUT'],
  ])('%i makes a %s a %s', async (code, method, redirected) => {
    await using receiver = await serve((request, response) => {
      if (request.url === '/there') response.end()
      else response.writeHead(code, { Location: '/there' }).end()
    })
    await webhook(`${receiver.url}/here`, { method }).send()
    expect(receiver.received).toMatchObject([
      { method, url: '/here' },
      { method: redirected, url: '/there', headers: { 'gitsync-hash': commitA } },
    ])
  })

  test('nine are followed, a tenth is too many', async () => {
    let left = 9
    await using receiver = await serve((_request, response) => {
      if (left-- === 0) response.end()
      else response.writeHead(302, { Location: '/again' }).end()
    })
    await webhook(receiver.url).send()
    expect(receiver.received).toHaveLength(10)
    left = 10
    await expect(webhook(receiver.url).send()).rejects.toThrow('stopped after 10 redirects')
    expect(receiver.received).toHaveLength(20)
  })

  test('user and password are not taken along to another server', async () => {
    await using other = await serve(status(200))
    await using receiver = await serve((_request, response) =>
      response.writeHead(307, { Location: other.url }).end(),
    )
    await webhook(receiver.url.replace('//', '//me:secret@')).send()
    expect(other.received).toHaveLength(1)
    expect(other.received[0]!.headers.authorization).toBeUndefined()
  })

  test('an answer without a Location is judged as it is', async () => {
    await using receiver = await serve(status(302))
    await webhook(receiver.url, { successStatus: 302 }).send()
  })

  test('a Location that is no web address is refused', async () => {
    await using receiver = await serve((_request, response) =>
      response.writeHead(302, { Location: 'file:///etc/passwd' }).end(),
    )
    await expect(webhook(receiver.url).send()).rejects.toThrow('redirects with status 302 to what is no http')
  })
})

describe('proxies', () => {
  test('HTTP goes through the proxy, with its password', async () => {
    await using proxy = await serveProxy()
    await using receiver = await serve(status(200))
    const url = `http://hook.example.test:${receiver.port}/x`
    await webhook(url, { environment: { HTTP_PROXY: proxy.url.replace('//', '//us:er@') } }).send()
    expect(proxy.asked).toEqual([{ line: `POST ${url}`, authorization: `Basic ${btoa('us:er')}` }])
    expect(receiver.received).toMatchObject([{ method: 'POST', url: '/x' }])
  })

  test('HTTPS goes through a tunnel, and the certificate is that of the receiver', async () => {
    await using folder = await makeFolder()
    const tls = await makeCertificate(folder.path, 'hook.example.test')
    await using proxy = await serveProxy()
    await using receiver = await serve(status(200), tls)
    const [url, other] = ['hook', 'other'].map((name) => `https://${name}.example.test:${receiver.port}/x`)
    const environment = { https_proxy: proxy.url, SSL_CERT_FILE: tls.certFile }
    await webhook(url!, { environment }).send()
    expect(proxy.asked).toEqual([
      { line: `CONNECT hook.example.test:${receiver.port}`, authorization: undefined },
    ])
    expect(receiver.received).toMatchObject([{ method: 'POST', headers: { 'gitsync-hash': commitA } }])
    await expect(webhook(other!, { environment }).send()).rejects.toThrow(/does not match certificate/)
    await expect(webhook(url!, { environment: { HTTPS_PROXY: proxy.url } }).send()).rejects.toThrow(
      /self-signed certificate/,
    )
    expect(receiver.received).toHaveLength(1)
  })

  test('each redirect asks anew which proxy is to be used', async () => {
    await using proxy = await serveProxy()
    await using receiver = await serve((request, response) => {
      if (request.url === '/direct') response.end()
      else response.writeHead(307, { Location: `${receiver.url}/direct` }).end()
    })
    await webhook(`http://hook.example.test:${receiver.port}/`, {
      environment: { HTTP_PROXY: proxy.url },
    }).send()
    expect(proxy.asked).toHaveLength(1)
    expect(receiver.received.map(({ url }) => url)).toEqual(['/', '/direct'])
  })
})

describe('a webhook that fails', () => {
  test('by its timeout, whether the answer does not begin or does not end', async () => {
    for (const begin of [
      () => {},
      (response: { write(text: string): void }) => response.write('beginning'),
    ]) {
      await using receiver = await serve((_request, response) => begin(response))
      await expect(webhook(receiver.url, { timeoutMs: 200 }).send()).rejects.toThrow(
        /: no answer within 200 ms\. Check/,
      )
      expect(receiver.received).toHaveLength(1)
    }
  })

  test('where nothing listens, with the address', async () => {
    const receiver = await serve(status(200))
    await receiver[Symbol.asyncDispose]()
    for (const host of ['127.0.0.1', 'localhost']) {
      await expect(webhook(`http://${host}:${receiver.port}/`).send()).rejects.toThrow(
        `ECONNREFUSED 127.0.0.1:${receiver.port}`,
      )
    }
  })

  test('by an abort, with its reason', async () => {
    const controller = new AbortController()
    await using receiver = await serve(() => controller.abort(new Error('sync is stopping')))
    await expect(webhook(receiver.url).send(controller.signal)).rejects.toThrow('sync is stopping')
  })
})

test('what is secret in a URL is in no log line and no error, whatever happens', async () => {
  await using receiver = await serve((request, response) => {
    if (request.url?.startsWith('/loop')) response.writeHead(307, { Location: request.url }).end()
    else response.writeHead(request.url?.startsWith('/fails') ? 500 : 200).end('this is echoed')
  })
  const secrets = ['hunter2', 'tok3n', '/path', 'echoed']
  const closed = await serve(status(200))
  await closed[Symbol.asyncDispose]()
  const [works, fails, loop] = ['works', 'fails', 'loop'].map((name) => `${receiver.url}/${name}/path`)
  const bases = [works!, fails!, loop!, `${closed.url}/path`]
  for (const base of bases) {
    const url = `${base.replace('//', '//hunter2:hunter2@')}?token=tok3n&token=tok3n`
    const { send, lines, text } = webhook(url)
    const failure = (await send().catch((error: unknown) => error)) as HookError | undefined
    const shown = JSON.stringify([failure?.message, failure?.details, text()])
    for (const secret of secrets) expect(shown, base).not.toContain(secret)
    expect(lines[0]!.url).toBe(new URL(base).origin)
  }
  expect(receiver.received.length).toBe(12)
})
