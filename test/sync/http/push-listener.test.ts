import { once } from 'node:events'
import { connect } from 'node:net'
import { expect, test } from 'vitest'
import { ConfigError } from '../../../runtime/errors.ts'
import { createLogger } from '../../../runtime/log.ts'
import { createPushListener, type PushDetails } from '../../../sync/http/push-listener.ts'
import type { Notification } from './push-notifications.ts'
import * as sent from './push-notifications.ts'

const secret = 'correct horse battery staple'
const main = 'refs/heads/main'
const other = 'refs/heads/other'

/** A listener of a sync of `ref`, and what it made of the notifications that it got. */
async function listen(
  options: { ref?: string; secrets?: () => Promise<string[]>; requestTimeoutMs?: number } = {},
) {
  const { ref = 'main', secrets = async () => [secret], ...more } = options
  const pushes: PushDetails[] = []
  const lines: Record<string, unknown>[] = []
  const log = createLogger('test', {
    level: 'debug',
    destination: { write: (line) => lines.push(JSON.parse(line)) },
  })
  const listener = createPushListener({
    ...{ bind: '127.0.0.1:0', ref, secrets, log, ...more },
    onPush: (details) => pushes.push(details),
  })
  const { port } = await listener.start()
  return {
    pushes,
    lines,
    port,
    /** Status and text of the answer. */
    send: async ({ headers, body }: Notification, path = '/'): Promise<[number, string]> => {
      const response = await fetch(`http://127.0.0.1:${port}${path}`, { method: 'POST', headers, body })
      return [response.status, await response.text()]
    },
    [Symbol.asyncDispose]: () => listener.stop(),
  }
}

const branch = (name: string) => ({ type: 'branch', name }) as const
const signingToken = sent.newSigningToken()

/** Provider → a push of a ref, signed with a secret. */
const pushes: Record<string, { provider: string; make: (secret: string, ref: string) => Notification }> = {
  GitHub: { provider: 'github', make: sent.gitHubPush },
  'GitHub, as a form': { provider: 'github', make: sent.gitHubForm },
  'GitLab, secret token': { provider: 'gitlab', make: sent.gitLabPush },
  'GitLab, signing token': { provider: 'gitlab', make: sent.gitLabSignedPush },
  'GitLab, system hook': { provider: 'gitlab', make: (key, ref) => sent.gitLabSystemHook(key, [ref]) },
  Gitea: { provider: 'gitea', make: sent.giteaPush },
  'Gitea, as a form': { provider: 'gitea', make: sent.giteaForm },
  Forgejo: { provider: 'forgejo', make: (key, ref) => sent.giteaPush(key, ref, 'forgejo') },
  'Bitbucket Cloud': {
    provider: 'bitbucket',
    make: (key, ref) => {
      const state = branch(ref.replace('refs/heads/', ''))
      return sent.bitbucketCloudPush(key, [{ old: state, new: state }])
    },
  },
  'Bitbucket Data Center': {
    provider: 'bitbucket',
    make: (key, ref) => sent.bitbucketServerPush(key, [ref]),
  },
  'a plain POST': { provider: 'plain', make: (key, ref) => sent.plainPush(key, JSON.stringify({ ref })) },
}
const rows = Object.entries(pushes).map(([name, row]) => ({
  name,
  ...row,
  secret: name.includes('signing') ? signingToken : secret,
}))

test.for(rows)('a push from $name syncs, and one of another branch does not', async (row) => {
  await using sync = await listen({ secrets: async () => [row.secret] })
  expect(await sync.send(row.make(row.secret, main), '/any/path?at=all')).toEqual([202, 'sync requested\n'])
  expect(await sync.send(row.make(row.secret, other))).toEqual([200, 'not for this ref\n'])
  expect(sync.pushes).toEqual([
    {
      provider: row.provider,
      event: expect.any(String),
      delivery: row.provider === 'plain' ? undefined : expect.any(String),
      refs: [main],
    },
  ])
})

test.for(rows)(
  'a push from $name with another secret, another body or no signature is refused',
  async (row) => {
    await using sync = await listen({ secrets: async () => [row.secret] })
    const wrongSecret = row.name.includes('signing') ? sent.newSigningToken() : 'guessed'
    const right = row.make(row.secret, main)
    const unsigned = Object.fromEntries(
      Object.entries(right.headers).filter(([name]) => !/signature|token/i.test(name)),
    )
    const refused = [
      await sync.send(row.make(wrongSecret, main)),
      await sync.send({ ...right, headers: unsigned }),
    ]
    // GitLab's secret token says nothing of the body.
    if (!('x-gitlab-token' in right.headers)) {
      refused.push(await sync.send({ ...right, body: right.body.replace('main', 'xxxx') }))
    }
    for (const [status, text] of refused) {
      expect(status).toBe(401)
      expect(text, 'names the header that is wanted').toMatch(/Wanted.*: x-[a-z0-9-]+: .*/)
    }
    expect(sync.pushes).toEqual([])
    expect(JSON.stringify(sync.lines)).not.toContain(row.secret)
  },
)

test.for([
  ['sha1 alone', { 'x-github-event': 'push', 'x-hub-signature': 'sha1=0123' }],
  ['an empty signature', { 'x-gitea-event': 'push', 'x-gitea-signature': '' }],
  ['a signature without its prefix', { 'x-hub-signature-256': sent.hex(secret, '{}') }],
  ['a signature that is no hexadecimal', { 'x-hub-signature-256': 'sha256=zz' }],
  ['more after the signature', { 'x-hub-signature-256': `sha256=${sent.hex(secret, '{}')}00` }],
  ['the header of another provider', { 'x-github-event': 'push', 'x-gitlab-token': secret }],
  [
    'an id without a timestamp',
    { 'x-gitlab-event': 'Push Hook', 'webhook-id': '1', 'webhook-signature': 'v1,aa' },
  ],
] as const)('%s is no signature', async ([, headers]) => {
  await using sync = await listen()
  expect((await sync.send({ headers, body: '{}' }))[0]).toBe(401)
  expect(sync.pushes).toEqual([])
})

test('an empty key is nobody’s: neither an empty secret nor a signing token of nothing lets anyone in', async () => {
  await using sync = await listen({ secrets: async () => ['', 'whsec_'] })
  expect((await sync.send(sent.plainPush('', 'x')))[0]).toBe(401)
  expect((await sync.send(sent.gitLabSignedPush('whsec_', main)))[0]).toBe(401)
})

test('while secrets change, the old and the new hold, and each is read anew', async () => {
  let secrets = ['old']
  await using sync = await listen({ secrets: async () => secrets })
  const status = async (key: string) => (await sync.send(sent.gitHubPush(key, main)))[0]
  expect([await status('old'), await status('new')]).toEqual([202, 401])
  secrets = ['old', 'new']
  expect([await status('old'), await status('new')]).toEqual([202, 202])
  secrets = ['new']
  expect([await status('old'), await status('new')]).toEqual([401, 202])
})

test('several signatures in one header are as good as one that is right', async () => {
  await using sync = await listen({ secrets: async () => [signingToken] })
  const { headers, body } = sent.gitLabSignedPush(signingToken, main)
  const both = `v1a,AAAA v1,${Buffer.alloc(32).toString('base64')} ${headers['webhook-signature']}`
  expect((await sync.send({ headers: { ...headers, 'webhook-signature': both }, body }))[0]).toBe(202)
})

test('a secret that cannot be read is a 503 that the log explains', async () => {
  await using sync = await listen({
    secrets: () => Promise.reject(new ConfigError('--listen-secret-file /s cannot be read')),
  })
  expect((await sync.send(sent.gitHubPush(secret, main)))[0]).toBe(503)
  expect(sync.lines.map((line) => line.error)).toEqual(['--listen-secret-file /s cannot be read'])
})

test.for([
  ['main', ['refs/heads/main'], 202],
  ['main', ['refs/tags/main'], 202],
  ['main', ['refs/heads/x/main'], 200],
  ['refs/heads/main', ['refs/heads/main'], 202],
  ['refs/heads/main', ['refs/tags/main'], 200],
  ['heads/main', ['refs/heads/main'], 202],
  ['v1', ['refs/tags/v1'], 202],
  ['v1', ['refs/heads/main', 'refs/tags/v1'], 202],
  ['v1', ['refs/heads/main', 'refs/tags/v2'], 200],
  ['HEAD', ['refs/heads/anything'], 202],
  ['1'.repeat(40), ['refs/heads/anything'], 202],
] as const)('to a sync of %s a push of %j is answered %i', async ([ref, refs, status]) => {
  await using sync = await listen({ ref })
  expect((await sync.send(sent.bitbucketServerPush(secret, [...refs])))[0]).toBe(status)
  expect(sync.pushes).toHaveLength(status === 202 ? 1 : 0)
})

test('a branch that is made or deleted wakes its sync, and no other', async () => {
  await using sync = await listen()
  const statuses = async (notifications: Notification[]) =>
    Promise.all(notifications.map(async (notification) => (await sync.send(notification))[0]))
  const deleted = { deleted: true, after: '0'.repeat(40) }
  expect(
    await statuses([
      sent.gitHub(secret, 'push', { ref: main, ...deleted }),
      sent.gitHub(secret, 'delete', { ref: 'main', ref_type: 'branch' }),
      sent.gitHub(secret, 'create', { ref: 'main', ref_type: 'tag' }),
      sent.bitbucketCloudPush(secret, [{ old: branch('main'), new: null }]),
      sent.bitbucketCloudPush(secret, [
        { old: null, new: branch('other') },
        { old: null, new: { type: 'tag', name: 'main' } },
      ]),
    ]),
  ).toEqual([202, 202, 202, 202, 202])
  expect(
    await statuses([
      sent.gitHub(secret, 'push', { ref: other, ...deleted }),
      sent.gitHub(secret, 'delete', { ref: 'other', ref_type: 'branch' }),
      sent.bitbucketCloudPush(secret, [{ old: branch('other'), new: null }]),
    ]),
  ).toEqual([200, 200, 200])
})

test.for([
  ['an event that names no ref', sent.gitHub(secret, 'pull_request', { ref: other, action: 'closed' })],
  ['a payload without its ref', sent.gitHub(secret, 'push', {})],
  ['a push with no changes listed', sent.bitbucketServerPush(secret, [])],
  ['a body that is no JSON', sent.plainPush(secret, 'now, please')],
  ['an empty body', sent.plainPush(secret)],
  ['JSON that is no object', sent.plainPush(secret, '[null, 1]')],
  ['null', sent.plainPush(secret, 'null')],
  ['a short name where a full one is due', sent.plainPush(secret, '{"ref":"other"}')],
] as const)('%s syncs, because nobody can tell', async ([, notification]) => {
  await using sync = await listen()
  expect((await sync.send(notification))[0]).toBe(202)
  expect(sync.pushes[0]!.refs).toBeUndefined()
})

test('a body that is too large to keep is checked all the same, and syncs', async () => {
  await using sync = await listen()
  const large = JSON.stringify({ ref: other, commits: 'x'.repeat(5_000_000) })
  expect(await sync.send(sent.plainPush(secret, large))).toEqual([202, 'sync requested\n'])
  const { headers } = sent.plainPush('guessed', large)
  expect((await sync.send({ headers, body: large }))[0]).toBe(401)
})

test('a body of more than 25 MiB is refused, whether its length is told or not', async () => {
  await using sync = await listen()
  const tooMuch = 'x'.repeat(25 * 1_024 * 1_024 + 1)
  const { headers } = sent.plainPush(secret, tooMuch)
  const post = (more: RequestInit) =>
    fetch(`http://127.0.0.1:${sync.port}`, { method: 'POST', headers, ...more }).then(
      (response) => response.status,
    )
  expect(await post({ body: tooMuch })).toBe(413)
  const stream = new Blob([tooMuch]).stream()
  expect(await post({ body: stream, duplex: 'half' } as RequestInit)).toBe(413)
  expect(sync.pushes).toEqual([])
})

test('pings are answered and wake nobody', async () => {
  await using sync = await listen()
  const ping = sent.gitHub(secret, 'ping', { zen: 'Design for failure.', hook_id: 1 })
  expect(await sync.send(ping)).toEqual([200, 'pong\n'])
  expect((await sync.send(sent.gitHub('guessed', 'ping', {})))[0]).toBe(401)
  const unsigned = { headers: { 'x-event-key': 'diagnostics:ping' }, body: '{"test":true}' }
  expect((await sync.send(unsigned))[0]).toBe(200)
  expect(sync.pushes).toEqual([])
})

test('who asks by GET learns that it listens; other methods are refused', async () => {
  await using sync = await listen()
  const url = `http://127.0.0.1:${sync.port}/healthz`
  const got = await fetch(url)
  expect([got.status, await got.text()]).toEqual([
    200,
    'listening for push notifications: send them here by POST, signed\n',
  ])
  for (const method of ['PUT', 'DELETE', 'PATCH', 'OPTIONS']) {
    const response = await fetch(url, { method })
    expect([response.status, response.headers.get('allow')]).toEqual([405, 'GET, HEAD, POST'])
  }
})

test('the same notification sent again asks once more, which does no harm', async () => {
  await using sync = await listen()
  const push = sent.gitHubPush(secret, main)
  expect([await sync.send(push), await sync.send(push)].map(([status]) => status)).toEqual([202, 202])
  expect(sync.pushes).toHaveLength(2)
})

test('a sender that does not finish gets a 408, and others are answered meanwhile', async () => {
  await using sync = await listen({ requestTimeoutMs: 300 })
  const socket = connect(sync.port, '127.0.0.1')
  let answer = ''
  socket.on('data', (chunk) => {
    answer += chunk
  })
  const { 'x-hub-signature-256': signature } = sent.plainPush(secret, '{}').headers
  socket.write(
    `POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\nx-hub-signature-256: ${signature}\r\n\r\n{`,
  )
  expect((await sync.send(sent.gitHubPush(secret, main)))[0]).toBe(202)
  await once(socket, 'close')
  expect(answer).toMatch(/^HTTP\/1\.1 408 /)
  expect(sync.pushes).toHaveLength(1)
})

test('a thousand pushes in a row are each answered', async () => {
  await using sync = await listen()
  const push = sent.gitHubPush(secret, main)
  for (let batch = 0; batch < 20; batch += 1) {
    const answers = await Promise.all(Array.from({ length: 50 }, () => sync.send(push)))
    expect(answers.every(([status]) => status === 202)).toBe(true)
  }
  expect(sync.pushes).toHaveLength(1_000)
})

test('an address that cannot be is refused by the name of its option', async () => {
  const deps = { secrets: async () => [], ref: 'main', log: createLogger('test'), onPush: () => {} }
  expect(() => createPushListener({ ...deps, bind: '1234' })).toThrow(
    'invalid flag: --listen must be :port or address:port, not "1234"',
  )
})
