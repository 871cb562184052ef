// No secret anywhere it does not belong: looked for in the arguments of every process on this machine while git
// waits for an answer and in those of every process that git says it starts, in all files of the root, in the log
// at its most talkative and in the error file; while syncs succeed and while they fail.
import { generateKeyPairSync } from 'node:crypto'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { messageOf } from '../../../runtime/errors.ts'
import { createLogger } from '../../../runtime/log.ts'
import { createGit } from '../../../sync/git/git.ts'
import { writeGitConfig } from '../../../sync/git/git-config-file.ts'
import { gitEnvironment } from '../../../sync/git/git-environment.ts'
import { serveAskpass, serveGithub, serveGuardedGit } from '../../support/credential-servers.ts'
import { createTestRepository } from '../../support/git-server.ts'
import { startSync, temporaryFolder } from '../sync-process.ts'
import { credentialsFor, noSignal } from './credentialed-git.ts'

const username = 'reader'
const password = 'Tr0ub4dor/& "3\''

/** Secrets as whoever looks for them would. */
function formsOf(secrets: readonly string[]): string[] {
  return secrets.flatMap((secret) => [
    secret,
    encodeURIComponent(secret),
    encodeURIComponent(secret).replace(/%../g, (hex) => hex.toLowerCase()),
    JSON.stringify(secret).slice(1, -1),
    ...[username, '-'].map((user) => Buffer.from(`${user}:${secret}`).toString('base64').replace(/=+$/, '')),
  ])
}

function findIn(text: string, secrets: readonly string[]): string[] {
  return formsOf(secrets).filter((form) => text.includes(form))
}

/** The arguments of every process that there is. */
async function allArguments(): Promise<string> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  const lines = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')))
  return lines.join('\n')
}

/** Every file below a folder with its name, as one text. */
async function allFiles(folder: string): Promise<string> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
  const texts = await Promise.all(files.map((file) => readFile(file, 'latin1').catch(() => '')))
  return files.map((file, index) => `${file}\n${texts[index]}`).join('\n')
}

test('the search finds what is there', async () => {
  await using folder = await temporaryFolder()
  await writeFile(join(folder.path, 'x'), JSON.stringify({ password }))
  expect(findIn(await allFiles(folder.path), [password])).not.toEqual([])
  expect(findIn(await allArguments(), [process.argv[1]!])).not.toEqual([])
})

type Given = (at: { url: string; file: string; askpass: string }) => {
  args: string[]
  env?: NodeJS.ProcessEnv
}

test.for<[string, Given]>([
  [
    'in the environment',
    ({ url }) => ({ args: ['--repo', url, '--username', username], env: { GITSYNC_PASSWORD: password } }),
  ],
  [
    'in a file',
    ({ url, file }) => ({ args: ['--repo', url, '--username', username, '--password-file', file] }),
  ],
  [
    'in the URL, in the environment',
    ({ url }) => ({
      args: [],
      env: { GITSYNC_REPO: url.replace('//', `//${username}:${encodeURIComponent(password)}@`) },
    }),
  ],
  [
    'in the list of credentials',
    ({ url }) => ({
      args: ['--repo', url],
      env: { GITSYNC_CREDENTIAL: JSON.stringify([{ url, username, password }]) },
    }),
  ],
  ['in an answer', ({ url, askpass }) => ({ args: ['--repo', url, '--askpass-url', askpass] })],
])('a password %s stays secret while a sync succeeds and while it fails', async ([, given]) => {
  const found = new Set<string>()
  let looks = 0
  await using repository = await createTestRepository()
  await using server = await serveGuardedGit({
    folder: repository.folder,
    users: { '/': { username, password } },
    beforeAnswer: async () => {
      for (const form of findIn(await allArguments(), [password])) found.add(form)
      looks += 1
    },
  })
  await using root = await temporaryFolder()
  await using outside = await temporaryFolder()
  const [file, trace] = [join(outside.path, 'password'), join(root.path, 'trace')]
  await writeFile(file, `${password}\n`)
  await using asked = await serveAskpass({ username, password })
  const { args, env } = given({ url: `${server.origin}/origin.git`, file, askpass: asked.origin })
  await using sync = startSync(
    [
      ...['--root', root.path, '--link', 'current', '--ref', 'main', '--error-file', 'error.json'],
      ...['-v', '9', '--period', '50ms', '--max-failures', '-1', ...args],
    ],
    { ...env, GIT_TRACE: trace },
  )
  await sync.logged('updated successfully')
  // The password is wrong now, and the server repeats it to git, which repeats it to us.
  server.users['/'] = { username, password: 'another' }
  await sync.logged('error syncing repo, will retry', 2)
  expect(await readFile(join(root.path, 'error.json'), 'utf8')).toMatch(/who is .*REDACTED/)
  const files = await allFiles(root.path)
  expect(files).toContain('git-remote-http')
  expect(files).toContain('BRANCHLINE_SYNC_PASSWORD_')
  expect(findIn(files, [password])).toEqual([])
  expect(sync.stderr()).toContain('REDACTED')
  expect(findIn(sync.stderr() + sync.stdout(), [password])).toEqual([])
  expect([...found]).toEqual([])
  expect(looks).toBeGreaterThan(2)
})

test('credentials, askpass answers, tokens and keys stay secret too', async () => {
  const key = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const privateKey = key.privateKey.export({ type: 'pkcs1', format: 'pem' }).toString()
  const users = {
    row: { username, password },
    askpass: { username, password: 'asked for/& "this"' },
    app: { username: '-', password: 'ghs_tokenOfTheApp' },
  }
  const keyLines = privateKey.split('\n').filter((line) => line !== '' && !line.startsWith('-----'))
  const secrets = [...Object.values(users).map((user) => user.password), 'url secret', ...keyLines]
  const found = new Set<string>()
  await using repository = await createTestRepository()
  await using server = await serveGuardedGit({
    folder: repository.folder,
    users: {},
    beforeAnswer: async () => {
      for (const form of findIn(await allArguments(), secrets)) found.add(form)
    },
  })
  await using askpass = await serveAskpass(users.askpass)
  await using github = await serveGithub({ key: privateKey, installationId: 1 })
  github.next.token = users.app.password
  const githubApp = { privateKey, privateKeyFile: '', applicationId: 1, clientId: '', installationId: 1 }
  const repo = `${server.origin}/origin.git`
  const askpassUrl = `${askpass.origin.replace('//', `//${username}:${encodeURIComponent('url secret')}@`)}/`

  for (const [user, options] of [
    [users.row, { credential: [{ url: repo, ...users.row }] }],
    [users.askpass, { askpassUrl }],
    [users.app, { githubApp: { ...githubApp, baseUrl: github.origin } }],
  ] as const) {
    await using root = await temporaryFolder()
    let logged = ''
    const destination = {
      write: (line: string) => {
        logged += line
      },
    }
    const log = createLogger('sync', { level: 'trace', destination })
    const credentials = await credentialsFor({ repo, ...options }, { log })
    const [gitConfigPath, GIT_TRACE] = [join(root.path, 'gitconfig'), join(root.path, 'trace')]
    await writeGitConfig(gitConfigPath, credentials.gitConfig)
    const ssh = { keyFiles: [], knownHosts: true, knownHostsFile: '/none', verbosity: 0 }
    const base = { PATH: process.env.PATH, GIT_TRACE }
    const git = createGit({
      binary: 'git',
      root: root.path,
      environment: {
        ...gitEnvironment({ base, withheld: [], root: root.path, gitConfigPath, ssh }),
        ...(await credentials.environment(noSignal)),
      },
      signal: noSignal,
      redact: credentials.redact,
      log,
    })
    server.users['/'] = user
    expect(await git.lsRemote(repo, 'main')).toHaveLength(1)
    server.users['/'] = { username: 'nobody', password: 'at all' }
    const error = await git.lsRemote(repo, 'main').catch((thrown: unknown) => thrown)
    expect(messageOf(error)).toMatch(/who is .*REDACTED/)
    if ('askpassUrl' in options) {
      askpass.answer = { status: 403, body: `no: password=${users.askpass.password} for ${askpassUrl}` }
      const refused = await credentials.environment(noSignal).catch((thrown: unknown) => thrown)
      expect(credentials.redact(messageOf(refused))).toMatch(/status 403.*REDACTED/)
      logged += credentials.redact(messageOf(refused))
    }
    const everything = [logged, messageOf(error), credentials.repo, await allFiles(root.path)].join('\n')
    expect(everything).toContain('git-remote-http')
    expect(findIn(everything, secrets)).toEqual([])
  }
  expect([...found]).toEqual([])
})

test('a password that git is given by --git-config stays secret, below the root too', async () => {
  const header = `Authorization: Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`
  const found = new Set<string>()
  await using repository = await createTestRepository()
  await using server = await serveGuardedGit({
    folder: repository.folder,
    users: { '/': { username, password } },
    beforeAnswer: async () => {
      for (const form of findIn(await allArguments(), [password])) found.add(form)
    },
  })
  await using root = await temporaryFolder()
  await using sync = startSync(
    [
      ...['--root', root.path, '--link', 'current', '--ref', 'main', '--error-file', 'error.json'],
      ...['--repo', `${server.origin}/origin.git`, '-v', '9', '--period', '50ms', '--max-failures', '-1'],
    ],
    {
      GITSYNC_GIT_CONFIG: `http.extraHeader:${header}`,
      GIT_TRACE: join(root.path, 'trace'),
      GIT_CURL_VERBOSE: '1',
      GIT_TRACE_REDACT: '0',
    },
  )
  await sync.logged('updated successfully')
  await repository.commit({ 'a.txt': 'another' })
  await sync.logged('updated successfully', 2)
  server.users['/'] = { username: 'nobody', password: 'at all' }
  await sync.logged('error syncing repo, will retry', 2)
  const files = await allFiles(root.path)
  expect(files).toContain('git-remote-http')
  expect(findIn(files, [password])).toEqual([])
  expect(sync.stderr()).toContain('REDACTED')
  expect(findIn(sync.stderr() + sync.stdout(), [password])).toEqual([])
  expect([...found]).toEqual([])
})

test.for(['/', '?', '#'])(
  'a password with an unencoded %s in --repo is refused, and nowhere',
  async (reserved) => {
    await using root = await temporaryFolder()
    const secret = 'ssS3cret'
    await using sync = startSync([
      ...['--repo', `http://user:pa${reserved}${secret}@localhost/r`, '--root', root.path],
      ...['--error-file', 'error.json', '-v', '9', '--one-time'],
    ])
    expect(await sync.exit).toBe(1)
    expect(sync.stderr()).toContain('percent-encode')
    const files = await allFiles(root.path)
    expect(files).toContain('percent-encode')
    expect(findIn(files + sync.stderr() + sync.stdout(), [secret, 'user:pa'])).toEqual([])
  },
)

test('gate and exechook that print their environment put no secret into log or file', async () => {
  await using repository = await createTestRepository()
  await using root = await temporaryFolder()
  await using programs = await temporaryFolder()
  const program = join(programs.path, 'prints')
  await writeFile(program, '#!/bin/sh\nenv\nenv >&2\ntest -e "$0.passes"\n', { mode: 0o755 })
  const secrets = {
    GITSYNC_PASSWORD: 'loses-password',
    GIT_SYNC_PASSWORD: 'wins-password',
    GITSYNC_GIT_CONFIG: 'http.extraHeader:loses-header',
    GIT_SYNC_GIT_CONFIG: 'http.extraHeader:wins-header',
    GITSYNC_LISTEN_SECRET: 'listen-secret',
    GITSYNC_CREDENTIAL: '{"url":"https://h","username":"u","password":"row-password"}',
  }
  const words = Object.values(secrets).flatMap((text) => text.match(/\w+-(?:password|header|secret)/g) ?? [])
  await using sync = startSync(
    [
      ...['--root', root.path, '--link', 'current', '--ref', 'main', '--error-file', 'error.json', '-v', '9'],
      ...['--repo', repository.url, '--username', username, '--gate-command', program],
      ...['--gate-backoff', '1s', '--exechook-command', program, '--period', '50ms', '--max-failures', '-1'],
    ],
    secrets,
  )
  await sync.logged('commit refused by the gate')
  await writeFile(`${program}.passes`, '')
  await sync.logged('exechook succeeded')
  const written = (await allFiles(root.path)) + sync.stderr()
  expect(written).toContain('BRANCHLINE_SYNC_PASSWORD_0=REDACTED')
  expect(words).toHaveLength(6)
  expect(findIn(written, words)).toEqual([])
})
