import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { ConfigError, CredentialsError } from '../../../runtime/errors.ts'
import { serveGuardedGit } from '../../support/credential-servers.ts'
import { createTestRepository } from '../../support/git-server.ts'
import { startSync, temporaryFolder } from '../sync-process.ts'
import { credentialedGit, credentialsFor, noSignal } from './credentialed-git.ts'

test.for([
  ['https://u:p@example.com/x.git', 'https://example.com/x.git', 'u', 'p'],
  ['https://u%40x:p%2Fq@example.com:8443/a/b', 'https://example.com:8443/a/b', 'u@x', 'p/q'],
  ['HTTP://token@example.com/x?y@z', 'HTTP://example.com/x?y@z', 'token', ''],
  ['https://u:a@b@example.com/x', 'https://example.com/x', 'u', 'a@b'],
  ['https://u:100%@example.com/x', 'https://example.com/x', 'u', '100%'],
  ['https://u:a:b@[::1]:80/x', 'https://[::1]:80/x', 'u', 'a:b'],
] as const)('user info of %s is split off', async ([repo, bare, username, password]) => {
  const credentials = await credentialsFor({ repo })
  expect(credentials.repo).toBe(bare)
  expect(Object.values(await credentials.environment(noSignal))).toEqual([username, password])
  expect(credentials.gitConfig).toContain('[credential "')
  if (password !== '') expect(credentials.redact(`<${repo}>`)).not.toContain(`:${password}@`)
})

test.for([
  'git@example.com:x/y.git',
  'ssh://git@example.com/x',
  '/a/path@odd',
  'https://example.com/@x',
  'file:///a/b',
])('%s stays as it is, and needs no helper', async (repo) => {
  const credentials = await credentialsFor({ repo })
  expect([credentials.repo, credentials.gitConfig]).toEqual([repo, ''])
  expect(await credentials.environment(noSignal)).toEqual({})
})

test('the password in an SSH URL is kept there, as nothing can be done about it, and hidden', async () => {
  const credentials = await credentialsFor({ repo: 'ssh://git:hunter2@example.com/x' })
  expect(credentials.repo).toBe('ssh://git:hunter2@example.com/x')
  expect(credentials.redact(credentials.repo)).toBe('ssh://git:REDACTED@example.com/x')
})

test('a token that stands as the user without a password is hidden, a name is not', async () => {
  for (const [user, shown] of [
    ['ghp_0123456789abcdefghij', 'REDACTED'],
    ['reader', 'reader'],
  ] as const) {
    const credentials = await credentialsFor({ repo: `https://${user}@e.test/x` })
    expect(Object.values(await credentials.environment(noSignal))).toEqual([user, ''])
    expect(credentials.redact(`as ${user}`)).toBe(`as ${shown}`)
  }
})

test('the password file is read anew each time, to its first line break, and hidden ever after', async () => {
  await using folder = await temporaryFolder()
  const passwordFile = join(folder.path, 'password')
  await writeFile(passwordFile, ' spaces and all \r\nsecond line\n')
  const credentials = await credentialsFor({ repo: 'https://example.com/x', username: 'u', passwordFile })
  expect(Object.values(await credentials.environment(noSignal))).toEqual(['u', ' spaces and all '])
  for (const password of ['first word', 'second/word']) {
    await writeFile(passwordFile, `${password}\n`)
    expect(Object.values(await credentials.environment(noSignal))).toEqual(['u', password])
  }
  expect(credentials.redact('first word, first%20word, second/word, second line')).toBe(
    'REDACTED, REDACTED, REDACTED, REDACTED',
  )
})

test('a password file that is gone or no text ends the start, and later fails one sync only', async () => {
  await using folder = await temporaryFolder()
  const passwordFile = join(folder.path, 'password')
  const options = { repo: 'https://example.com/x', username: 'u', passwordFile }
  await expect(credentialsFor(options)).rejects.toThrow(ConfigError)
  await expect(credentialsFor(options)).rejects.toThrow(
    `--password-file ${passwordFile} cannot be read: ENOENT`,
  )
  await writeFile(passwordFile, 'right')
  const credentials = await credentialsFor(options)
  const read = () => credentials.environment(noSignal)
  for (const spoil of [() => rm(passwordFile), () => writeFile(passwordFile, Buffer.from([0x70, 0, 0x71]))]) {
    await spoil()
    await expect(read()).rejects.toThrow(CredentialsError)
  }
  await writeFile(passwordFile, Buffer.from([0x70, 0xff]))
  await expect(read()).rejects.toThrow('UTF-8')
  await writeFile(passwordFile, 'right again')
  expect(Object.values(await read())).toEqual(['u', 'right again'])
})

test('passwords of several files are rotated while git fetches, each with its server', async () => {
  await using repository = await createTestRepository()
  await using folder = await temporaryFolder()
  await using server = await serveGuardedGit({ folder: repository.folder, users: {} })
  const files = { one: join(folder.path, 'one'), two: join(folder.path, 'two') }
  const setPasswords = async (round: number): Promise<void> => {
    for (const [username, file] of Object.entries(files)) {
      await writeFile(file, `${username} ${round}\n`)
      server.users[`/${username}`] = { username, password: `${username} ${round}` }
    }
    server.users['/origin.git'] = server.users['/one']!
  }
  await setPasswords(0)
  const credentials = await credentialsFor({
    repo: `${server.origin}/origin.git`,
    username: 'one',
    passwordFile: files.one,
    credential: [{ url: `${server.origin}/two`, username: 'two', passwordFile: files.two }],
  })
  const fetching = await credentialedGit(credentials, folder.path)
  for (const round of [1, 2, 3]) {
    expect((await fetching.run(['ls-remote', credentials.repo])).exitCode).toBe(0)
    await setPasswords(round)
    expect((await fetching.run(['ls-remote', credentials.repo])).exitCode).toBe(0)
    expect(await fetching.fill(`${server.origin}/two`)).toBe(`two:two ${round}`)
  }
})

test.for<[string, Parameters<typeof credentialsFor>[0], string]>([
  [
    'a password for what is no URL',
    { repo: 'git@example.com:x', username: 'v', password: 'hunter2' },
    'must be a URL like https://host/path',
  ],
  [
    'a credential for a host without a scheme',
    { repo: 'https://e.test/x', credential: [{ url: 'v:hunter2@host', username: 'v', password: 'hunter2' }] },
    '"host"',
  ],
  [
    'an askpass URL that is none',
    { repo: 'https://e.test/x', askpassUrl: 'ftp://v:hunter2@host/' },
    '--askpass-url',
  ],
  [
    'a user name of two lines',
    { repo: 'https://e.test/x', username: 'v\npassword=w', password: 'hunter2' },
    '--username has a line break',
  ],
  [
    'cookies that are not there',
    { repo: 'https://e.test/x', cookieFile: true },
    '/etc/git-secret/cookie_file',
  ],
])('%s is refused at the start', async ([, options, text]) => {
  const error = await credentialsFor(options).catch((thrown: unknown) => thrown)
  expect(error).toBeInstanceOf(ConfigError)
  expect(String(error)).toContain(text)
  expect(String(error)).not.toContain('hunter2')
})

test('git sends the cookies of the cookie file', async () => {
  await using repository = await createTestRepository()
  await using folder = await temporaryFolder()
  await using server = await serveGuardedGit({ folder: repository.folder, users: {} })
  const cookiePath = join(folder.path, 'it"s a cookie file')
  await writeFile(cookiePath, '127.0.0.1\tFALSE\t/\tFALSE\t0\tsession\tcookie-value\n')
  const repo = `${server.origin}/origin.git`
  const credentials = await credentialsFor({ repo, cookieFile: true }, { cookiePath })
  await (await credentialedGit(credentials, folder.path)).run(['ls-remote', repo])
  expect(server.cookies).toContain('session=cookie-value')
})

test('a wrapper around git gets the credential by git credential fill, for a repository on disk too', async () => {
  await using repository = await createTestRepository()
  await using folder = await temporaryFolder()
  await using root = await temporaryFolder()
  const [wrapper, asked] = [join(folder.path, 'git-wrapper'), join(folder.path, 'asked')]
  const script = [
    '#!/bin/sh',
    `if test "$1" = fetch; then printf 'url=%s\\n\\n' '${repository.url}' | git credential fill > '${asked}'; fi`,
    'exec git "$@"',
  ]
  await writeFile(wrapper, `${script.join('\n')}\n`, { mode: 0o755 })
  await using sync = startSync(
    [
      ...['--repo', repository.url, '--username', 'u', '--git', wrapper],
      ...['--root', root.path, '--ref', 'main', '--one-time'],
    ],
    { GITSYNC_PASSWORD: 'on disk' },
  )
  expect(await sync.exit).toBe(0)
  expect(await readFile(asked, 'utf8')).toMatch(/^username=u\npassword=on disk$/m)
})
