import { generateKeyPairSync } from 'node:crypto'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { ConfigError, CredentialsError } from '../../../runtime/errors.ts'
import { type GithubServer, serveGithub, serveGuardedGit } from '../../support/credential-servers.ts'
import { createTestRepository } from '../../support/git-server.ts'
import { temporaryFolder } from '../sync-process.ts'
import { credentialedGit, credentialsFor, noSignal } from './credentialed-git.ts'

const newKey = () =>
  generateKeyPairSync('rsa', { modulusLength: 2048 })
    .privateKey.export({ type: 'pkcs1', format: 'pem' })
    .toString()
const privateKey = newKey()
const installationId = 4711
const start = Date.UTC(2026, 0, 1)
let github: GithubServer
let now: number
let renewals: string[]

beforeEach(async () => {
  github = await serveGithub({ key: privateKey, installationId, path: '/api/v3' })
  github.next = { token: 'ghs_first', expiresAt: start + 3_600_000 }
  now = start
  renewals = []
})
afterEach(() => github[Symbol.asyncDispose]())

const app = (options: Partial<NonNullable<Parameters<typeof credentialsFor>[0]['githubApp']>> = {}) => ({
  baseUrl: `${github.origin}/api/v3/`,
  privateKey,
  privateKeyFile: '',
  applicationId: 12,
  clientId: '',
  installationId,
  ...options,
})

const credentialsOf = (options: Parameters<typeof app>[0] = {}, repo = 'https://github.test/org/x.git') =>
  credentialsFor(
    { repo, githubApp: app(options) },
    { clock: { now: () => now }, onGithubToken: (status) => renewals.push(status) },
  )

test('git gets a token for a signed statement, and the same one until 30 s before it expires', async () => {
  const credentials = await credentialsOf()
  const token = async () => Object.values(await credentials.environment(noSignal))
  expect(await token()).toEqual(['-', 'ghs_first'])
  expect(github.statements).toEqual([{ iss: '12', iat: start / 1_000, exp: start / 1_000 + 600 }])
  github.next = { token: 'ghs_second', expiresAt: start + 2 * 3_600_000 }
  now = start + 3_600_000 - 30_000
  expect(await token()).toEqual(['-', 'ghs_first'])
  now += 1
  expect(await token()).toEqual(['-', 'ghs_second'])
  expect(renewals).toEqual(['success', 'success'])
  expect(credentials.redact(`ghs_first ghs_second ${privateKey}`)).toMatch(
    /^REDACTED REDACTED -----BEGIN RSA PRIVATE KEY-----\n(REDACTED\n)+-----END RSA PRIVATE KEY-----\n$/,
  )
})

test('a fetch from a server that takes only the token succeeds', async () => {
  await using repository = await createTestRepository()
  const users = { '/': { username: '-', password: 'ghs_first' } }
  await using git = await serveGuardedGit({ folder: repository.folder, users })
  await using folder = await temporaryFolder()
  const credentials = await credentialsOf({}, `${git.origin}/origin.git`)
  const fetching = await credentialedGit(credentials, folder.path)
  expect((await fetching.run(['ls-remote', credentials.repo])).exitCode).toBe(0)
  git.users['/'] = { username: '-', password: 'ghs_other' }
  expect((await fetching.run(['ls-remote', credentials.repo])).output).toMatch(/Authentication failed/)
})

test.for([
  ['a base URL without a slash at its end', () => ({ baseUrl: `${github.origin}/api/v3` }), '12'],
  ['a client id', () => ({ applicationId: 0, clientId: 'Iv23abc' }), 'Iv23abc'],
] as const)('%s works', async ([, options, issuer]) => {
  await (await credentialsOf(options())).environment(noSignal)
  expect(github.statements.map(({ iss }) => iss)).toEqual([issuer])
})

test('the key may lie in a file, which is read at each renewal', async () => {
  await using folder = await temporaryFolder()
  const privateKeyFile = join(folder.path, 'key.pem')
  const options = { privateKey: '', privateKeyFile }
  await expect(credentialsOf(options)).rejects.toThrow(ConfigError)
  await expect(credentialsOf(options)).rejects.toThrow(
    `--github-app-private-key-file ${privateKeyFile} cannot be read`,
  )
  await writeFile(privateKeyFile, privateKey)
  const credentials = await credentialsOf(options)
  await credentials.environment(noSignal)
  await rm(privateKeyFile)
  await credentials.environment(noSignal)
  now = start + 3_600_000
  await expect(credentials.environment(noSignal)).rejects.toThrow(ConfigError)
  expect(renewals).toEqual(['success', 'error'])
})

test.for([
  ['no key at all', 'nonsense'],
  [
    'a key of another kind',
    generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  ],
] as const)('%s is refused at the start, without a word of it', async ([, key]) => {
  const error = await credentialsOf({ privateKey: key }).catch((thrown: unknown) => thrown)
  expect(error).toBeInstanceOf(ConfigError)
  expect(String(error)).toMatch(/GITSYNC_GITHUB_APP_PRIVATE_KEY must hold an RSA private key/)
  expect(String(error)).not.toContain(key.split('\n')[key.includes('\n') ? 1 : 0])
})

test.for<[string, () => Parameters<typeof app>[0], GithubServer['failure'], RegExp]>([
  [
    'a key of another app',
    () => ({ privateKey: newKey() }),
    undefined,
    /status 401, "A JSON web token could not be decoded".*clock/,
  ],
  [
    'an installation that is not there',
    () => ({ installationId: 1 }),
    undefined,
    /installation 1 of app 12: status 404, "Not Found".*--github-app-installation-id/,
  ],
  [
    'a status of success that is another',
    () => ({}),
    { status: 200, body: '{"token":"ghs_leaked"}' },
    /status 200, without a message\./,
  ],
  ['an answer without a token', () => ({}), { status: 201, body: '{}' }, /not with token and expires_at/],
  ['an answer that is no JSON', () => ({}), { status: 502, body: '<html>' }, /status 502, without a message/],
  [
    'a server that is not there',
    () => ({ baseUrl: 'http://127.0.0.1:1' }),
    undefined,
    /did not answer.*ECONNREFUSED.*--github-base-url/,
  ],
])('%s fails the sync with status and reason', async ([, options, failure, words]) => {
  const credentials = await credentialsOf(options())
  github.failure = failure
  const error = await credentials.environment(noSignal).catch((thrown: unknown) => thrown)
  expect(error).toBeInstanceOf(CredentialsError)
  expect(String(error)).toMatch(words)
  expect(String(error)).not.toContain('ghs_')
  expect(renewals).toEqual(['error'])
})
