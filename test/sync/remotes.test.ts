// The way of a push through the whole program, over each kind of remote, and what a wrong option gets.
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import {
  createTestRepository,
  type GitHttpServer,
  type GitSshServer,
  git,
  serveGitOverHttp,
  serveGitOverSsh,
  sshdMissing,
  type TestRepository,
} from '../support/git-server.ts'
import { publishedCommit, startSync, temporaryFolder } from './sync-process.ts'

const username = 'reader'
const password = 'p@ss/w:rd +%20'
let repository: TestRepository
let http: GitHttpServer

beforeAll(async () => {
  repository = await createTestRepository()
  http = await serveGitOverHttp({ folder: repository.folder, username, password })
})
afterAll(async () => {
  await http?.close()
  await repository?.close()
})

/** Publishes what is there, then what is pushed while it runs. */
async function followsPushes(args: string[], push: { url?: string; env?: NodeJS.ProcessEnv }, env = {}) {
  await using root = await temporaryFolder()
  const link = join(root.path, 'current')
  await using sync = startSync(
    ['--root', root.path, '--link', 'current', '--ref', 'main', '--period', '100ms', ...args],
    env,
  )
  await sync.logged('updated successfully')
  expect(await publishedCommit(link)).toBe(await git(repository.clone, ['rev-parse', 'HEAD']))
  for (const text of ['two\n', 'three\n']) {
    const commit = await repository.commit({ 'a.txt': text + Math.random() }, push)
    await eventually(`commit ${commit}`, async () => (await publishedCommit(link)) === commit || undefined)
    expect(await readFile(join(link, 'a.txt'), 'utf8')).toContain(text)
  }
  return sync
}

test('a push to a repository on disk is published', async () => {
  await followsPushes(['--repo', repository.url], {})
})

test('a push over HTTP with user and password in variables is published', async () => {
  await followsPushes(
    ['--repo', http.url('origin.git'), '--username', username],
    { url: http.urlWithPassword('origin.git') },
    { GITSYNC_PASSWORD: password },
  )
})

test('a push over HTTP with user and password in the URL is published', async () => {
  await followsPushes(['--repo', http.urlWithPassword('origin.git')], {})
})

describe.skipIf(sshdMissing() !== undefined)('over SSH', () => {
  let ssh: GitSshServer
  beforeAll(async () => {
    ssh = await serveGitOverSsh()
  })
  afterAll(() => ssh?.close())

  test('a push with key and known host is published', async () => {
    await followsPushes(
      [
        ...['--repo', ssh.url(repository.path), '--ssh-key-file', ssh.keyFile],
        ...['--ssh-known-hosts-file', ssh.knownHostsFile],
      ],
      {
        url: ssh.url(repository.path),
        env: {
          GIT_SSH_COMMAND: `ssh -i ${ssh.keyFile} -o UserKnownHostsFile=${ssh.knownHostsFile}`,
        },
      },
    )
  })

  test('any host key is taken where known hosts are switched off', async () => {
    await using root = await temporaryFolder()
    await using sync = startSync([
      ...['--repo', ssh.url(repository.path), '--ssh-key-file', ssh.keyFile, '--ssh-known-hosts=false'],
      ...['--root', root.path, '--link', 'current', '--ref', 'main', '--one-time'],
    ])
    expect(await sync.exit).toBe(0)
  })

  test.for([
    ['a key that may not log in', 'stranger', 'right', /Permission denied/, /--ssh-key-file/],
    [
      'a host key that is not the known one',
      'user',
      'wrong',
      /Host key verification failed/,
      /--ssh-known-hosts-file/,
    ],
  ] as const)('%s fails with the words of ssh and a remedy', async ([, key, hosts, words, remedy]) => {
    await failsWith(
      [
        ...['--repo', ssh.url(repository.path)],
        ...['--ssh-key-file', key === 'user' ? ssh.keyFile : ssh.strangersKeyFile],
        ...['--ssh-known-hosts-file', hosts === 'right' ? ssh.knownHostsFile : ssh.wrongKnownHostsFile],
      ],
      [words, remedy],
    )
  })
})

test.runIf(sshdMissing() !== undefined)('sshd is needed for the tests of SSH', ({ skip }) => {
  console.warn(sshdMissing())
  skip(sshdMissing())
})

/** Ends at the first failure with exit code 1; log and error file say why. */
async function failsWith(args: string[], patterns: RegExp[], env = {}): Promise<void> {
  await using root = await temporaryFolder()
  await using sync = startSync(
    ['--root', root.path, '--link', 'current', '--ref', 'main', '--error-file', 'error.json', ...args],
    env,
  )
  expect(await sync.exit).toBe(1)
  const line = await sync.logged('too many failures, aborting')
  const file = JSON.parse(await readFile(join(root.path, 'error.json'), 'utf8'))
  expect(file.Msg).toBe('too many failures, aborting')
  for (const pattern of patterns) {
    expect(line.error).toMatch(pattern)
    expect(file.Err).toMatch(pattern)
  }
}

test.for([
  [
    'a repository that does not exist',
    () => ['--repo', `${repository.url}x`],
    /does not (exist|appear)/,
    /Check --repo/,
  ],
  [
    'a port where nobody listens',
    () => ['--repo', 'http://127.0.0.1:1/x.git'],
    /Failed to connect|refused/i,
    /host and port/,
  ],
  [
    'a branch that does not exist',
    () => ['--repo', repository.url, '--ref', 'nope'],
    /couldn't find remote ref nope/,
    /Check --ref/,
  ],
  ['no password', () => ['--repo', http.url('origin.git')], /Authentication failed/, /--username/],
  [
    'a wrong password',
    () => ['--repo', http.url('origin.git').replace('//', '//reader:wrong@')],
    /Authentication failed/,
    /--password-file/,
  ],
] as const)("%s fails with git's own words and a remedy", async ([, args, words, remedy]) => {
  await failsWith(args(), [words, remedy])
})

test('while the remote fails the last commit stays published, and the loop goes on', async () => {
  await using root = await temporaryFolder()
  await using files = await temporaryFolder()
  const link = join(root.path, 'current')
  const passwordFile = join(files.path, 'password')
  const errorFile = join(root.path, 'error.json')
  await writeFile(passwordFile, `${password}\n`)
  await using sync = startSync([
    ...['--repo', http.url('origin.git'), '--username', username, '--password-file', passwordFile],
    ...['--root', root.path, '--link', 'current', '--ref', 'main', '--period', '50ms'],
    ...['--max-failures', '-1', '--error-file', 'error.json'],
  ])
  await sync.logged('updated successfully')
  const before = await publishedCommit(link)

  http.setPassword('changed')
  await sync.logged('error syncing repo, will retry', 3)
  expect(await publishedCommit(link)).toBe(before)
  expect(await readFile(join(link, 'a.txt'), 'utf8')).not.toBe('')
  expect(await readFile(errorFile, 'utf8')).toMatch(/Authentication failed/)

  const commit = await repository.commit({ 'a.txt': 'after' })
  await writeFile(passwordFile, 'changed\n')
  await eventually('the new commit', async () => (await publishedCommit(link)) === commit || undefined)
  await eventually('the error file to go', () =>
    readFile(errorFile).then(
      () => undefined,
      () => true,
    ),
  )
  http.setPassword(password)
})

test('a server that does not answer is given up after the timeout, and no git process stays', async () => {
  await using slow = await serveGitOverHttp({ folder: repository.folder, username, password })
  slow.hang()
  await using root = await temporaryFolder()
  await using sync = startSync([
    ...['--repo', slow.urlWithPassword('origin.git'), '--root', root.path, '--link', 'current'],
    ...['--sync-timeout', '400ms'],
  ])
  expect(await sync.exit).toBe(1)
  expect((await sync.logged('too many failures, aborting')).error).toMatch(/--sync-timeout/)
  const { gitProcessesOf } = await import('../../sync/git/processes.ts')
  expect(await gitProcessesOf(root.path)).toEqual([])
})
