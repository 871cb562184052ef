import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { CredentialsError } from '../../../runtime/errors.ts'
import { type AskpassServer, serveAskpass, serveGuardedGit } from '../../support/credential-servers.ts'
import { createTestRepository } from '../../support/git-server.ts'
import { temporaryFolder } from '../sync-process.ts'
import { credentialedGit, credentialsFor, noSignal } from './credentialed-git.ts'

const user = { username: 'asker', password: 'pass=word=1' }
const repo = 'https://git.test/x'
let server: AskpassServer
let calls: string[]

beforeEach(async () => {
  server = await serveAskpass(user)
  calls = []
})
afterEach(() => server[Symbol.asyncDispose]())

const credentialsAt = (askpassUrl: string) =>
  credentialsFor({ repo, askpassUrl }, { onAskpass: (status) => calls.push(status) })

test('git gets what the URL answers, anew at each sync', async () => {
  await using repository = await createTestRepository()
  await using git = await serveGuardedGit({ folder: repository.folder, users: { '/': user } })
  await using folder = await temporaryFolder()
  const credentials = await credentialsFor(
    { repo: `${git.origin}/origin.git`, askpassUrl: `${server.origin}/ask` },
    { onAskpass: (status) => calls.push(status) },
  )
  const fetching = await credentialedGit(credentials, folder.path)
  expect((await fetching.run(['ls-remote', credentials.repo])).exitCode).toBe(0)
  const next = { username: 'asker', password: 'next one' }
  git.users['/'] = next
  server.answer = {
    status: 200,
    body: `x=y\nusername=${next.username}\r\nnonsense\npassword=${next.password}\r\n`,
  }
  expect((await fetching.run(['ls-remote', credentials.repo])).exitCode).toBe(0)
  expect(git.seen).toEqual(expect.arrayContaining(['asker:pass=word=1', 'asker:next one']))
  expect(server.requests).toEqual(Array(2).fill({ method: 'GET', url: '/ask', user: undefined }))
  expect(calls).toEqual(['success', 'success'])
  expect(credentials.redact('pass=word=1, next%20one')).toBe('REDACTED, REDACTED')
})

test('user info in the URL is sent as Basic authentication; it and the query stay secret', async () => {
  const url = `${server.origin.replace('//', '//me:my%20secret@')}/ask?v=short&token=query-secret-of-length`
  const credentials = await credentialsAt(url)
  await credentials.environment(noSignal)
  expect(server.requests[0]).toEqual({
    method: 'GET',
    url: '/ask?v=short&token=query-secret-of-length',
    user: { username: 'me', password: 'my secret' },
  })
  server.answer = { status: 500, body: `cannot serve ${url}` }
  const error = await credentials.environment(noSignal).catch((thrown: Error) => thrown)
  expect(credentials.redact(String(error))).not.toMatch(/my.{0,3}secret|query-secret-of-length/)
})

test.for<[string, AskpassServer['answer'], RegExp]>([
  ['another status', { status: 201, body: 'username=a\npassword=leaked-secret' }, /status 201, not 200/],
  [
    'a redirect',
    { status: 302, body: '', headers: { location: '/elsewhere' } },
    /redirects are not followed/,
  ],
  [
    'an answer of another kind',
    { status: 200, body: '<html>log in</html>' },
    /a line username=… and a line password=…/,
  ],
  [
    'an endless answer',
    { status: 200, body: `username=${'x'.repeat(70_000)}` },
    /more than 65536 characters/,
  ],
  ['no answer', 'hang', /no answer within 1000 ms/],
])('%s fails the sync, and the next may succeed', async ([, answer, words]) => {
  const credentials = await credentialsAt(server.origin)
  const right = server.answer
  server.answer = answer
  const error = await credentials.environment(noSignal).catch((thrown: unknown) => thrown)
  expect(error).toBeInstanceOf(CredentialsError)
  expect(String(error)).toMatch(words)
  expect(credentials.redact(String(error))).not.toContain('leaked-secret')
  expect(server.requests).toHaveLength(1)
  server.answer = right
  expect(Object.values(await credentials.environment(noSignal))).toEqual(['asker', 'pass=word=1'])
  expect(calls).toEqual(['error', 'success'])
})

test.for<[string, () => string]>([
  ['a secret that is cut', () => `${'.'.repeat(190)}${user.password}-`],
  ['a secret that nobody told us', () => `error: password=${'leaked'.repeat(50)}`],
  ['one in JSON', () => `{"access_token": "${'leaked'.repeat(50)}"}`],
])('of an answer with another status nothing secret is quoted: %s', async ([, body]) => {
  const credentials = await credentialsAt(server.origin)
  await credentials.environment(noSignal)
  server.answer = { status: 500, body: body() }
  const error = await credentials.environment(noSignal).catch((thrown: unknown) => thrown)
  expect(String(error)).toContain('status 500')
  expect(credentials.redact(String(error))).not.toMatch(/leak|pass=w|pass=/)
})

test.for(['http://me:my/secret@host/', 'http://me:/secret@host/', 'htp://host/?token=secret'])(
  'the URL %s is refused without being quoted',
  async (url) => {
    const error = await credentialsAt(url).catch((thrown: unknown) => thrown)
    expect(String(error)).toContain('--askpass-url must be a URL that begins with http')
    expect(String(error)).not.toContain('secret')
  },
)

test('a server that is not there fails the sync, without the URL’s secrets', async () => {
  const credentials = await credentialsAt('http://me:my-secret@127.0.0.1:1/ask')
  const error = await credentials.environment(noSignal).catch((thrown: unknown) => thrown)
  expect(String(error)).toMatch(/--askpass-url http:\/\/127\.0\.0\.1:1\/ask did not answer: .*ECONNREFUSED/)
  expect(calls).toEqual(['error'])
})

test('the end of the sync ends the request', async () => {
  server.answer = 'hang'
  const credentials = await credentialsAt(server.origin)
  const controller = new AbortController()
  const asking = credentials.environment(controller.signal)
  const failure = expect(asking).rejects.toThrow('sync is stopping')
  controller.abort(new Error('sync is stopping'))
  await failure
})

test('the proxy of the environment is used', async () => {
  const asked: string[] = []
  const proxy = createServer((request, response) => {
    asked.push(request.url!)
    response.end('username=proxied\npassword=through the proxy\n')
  })
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
  try {
    const HTTP_PROXY = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`
    const options = { repo, askpassUrl: 'http://askpass.test/ask' }
    const credentials = await credentialsFor(options, { environment: { HTTP_PROXY } })
    expect(Object.values(await credentials.environment(noSignal))).toEqual(['proxied', 'through the proxy'])
    expect(asked).toEqual(['http://askpass.test/ask'])
  } finally {
    await new Promise((resolve) => proxy.close(resolve))
  }
})
