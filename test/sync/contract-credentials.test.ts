// Users and passwords by the options of the program, over several syncs: sources that change while it runs, that fail
// for a while, and that a wrapper around git asks for.
import { generateKeyPairSync } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { serveAskpass, serveGithub, serveGuardedGit } from '../support/credential-servers.ts'
import { eventually } from '../support/eventually.ts'
import { createTestRepository, type TestRepository } from '../support/git-server.ts'
import { publishedCommit, type SyncProcess, startSync, temporaryFolder } from './sync-process.ts'

let repository: TestRepository
beforeAll(async () => {
  repository = await createTestRepository()
})
afterAll(() => repository?.close())

const user = { username: 'first user', password: 'p@ss/w:rd +%20"\\$' }
const other = { username: 'second', password: 'another' }

function argsFor(root: string, repo: string, ...more: string[]): string[] {
  return ['--repo', repo, '--ref', 'main', '--root', root, '--link', 'current', '--period', '50ms', ...more]
}

/** The end of the log that a failure shows. */
const shownLength = 4_000

async function publishes(sync: SyncProcess, root: string, commit: string): Promise<void> {
  const link = join(root, 'current')
  const isPublished = async () => (await publishedCommit(link)) === commit || undefined
  await eventually(`commit ${commit}`, isPublished).catch((cause) => {
    throw new Error(`${commit} is not published: ${sync.stderr().slice(-shownLength)}`, { cause })
  })
}

test('what --askpass-url answers is asked for anew at each sync, and a failure of it is one of the sync', async () => {
  await using server = await serveGuardedGit({ folder: repository.folder, users: { '/': user } })
  await using askpass = await serveAskpass(user)
  await using root = await temporaryFolder()
  const args = ['--askpass-url', `${askpass.origin}/git_askpass`, '--max-failures=-1', '--error-file=error']
  await using sync = startSync(
    argsFor(root.path, `${server.origin}/origin.git`, ...args, '--http-bind=127.0.0.1:0', '--http-metrics'),
  )
  await publishes(sync, root.path, await repository.commit({ 'a.txt': 'by the first user' }))

  server.users['/'] = other
  askpass.answer = { status: 302, body: '', headers: { location: '/elsewhere' } }
  const commit = await repository.commit({ 'a.txt': 'by the second user' })
  await sync.logged('error syncing repo, will retry', 2)
  const { Err } = JSON.parse(await readFile(join(root.path, 'error'), 'utf8'))
  expect(Err).toContain('/git_askpass answered with status 302')
  askpass.answer = {
    status: 200,
    body: `other=1\nusername=${other.username}\npassword=${other.password}\n`,
  }
  await publishes(sync, root.path, commit)

  const { port } = (await sync.logged('serving HTTP')) as { port: number }
  const metrics = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
  expect(metrics).toMatch(/^git_sync_askpass_calls\{status="success"\} \d+$/m)
  expect(metrics).toMatch(/^git_sync_askpass_calls\{status="error"\} \d+$/m)
  expect(new Set(askpass.requests.map(({ method, url }) => `${method} ${url}`))).toEqual(
    new Set(['GET /git_askpass']),
  )
})

test('a wrapper around git that asks for credentials gets those of --askpass-url, for a repository on disk', async () => {
  await using askpass = await serveAskpass(user)
  await using folder = await temporaryFolder()
  const [wrapper, root] = [join(folder.path, 'git_askpass.sh'), join(folder.path, 'root')]
  const script = [
    '#!/bin/bash',
    `[ "$1" = fetch ] || [ "$1" = ls-remote ] || exec git "$@"`,
    `answer="$(echo "url=${repository.url}" | git credential fill)"`,
    `grep -qx 'username=${user.username}' <<< "$answer" || { echo "wrong user"; exit 1; }`,
    `grep -Fqx 'password=${user.password}' <<< "$answer" || { echo "wrong password"; exit 1; }`,
    'exec git "$@"',
  ]
  await writeFile(wrapper, `${script.join('\n')}\n`, { mode: 0o755 })
  const args = ['--git', wrapper, '--askpass-url', askpass.origin, '--max-failures=-1', '--error-file=error']
  await using sync = startSync(argsFor(root, repository.url, ...args))
  await publishes(sync, root, await repository.commit({ 'a.txt': 'by askpass' }))
  askpass.answer = { status: 200, body: `username=${user.username}\npassword=mistaken` }
  await sync.logged('error syncing repo, will retry', 2)
  expect(await readFile(join(root, 'error'), 'utf8')).toContain('wrong password')
  askpass.answer = { status: 200, body: `username=${user.username}\npassword=${user.password}` }
  await publishes(sync, root, await repository.commit({ 'a.txt': 'by askpass again' }))
})

test.for([
  ['$GITSYNC_CREDENTIAL alone', []],
  [
    'a --credential of another user for another server beside it',
    ['{"url":"https://x.test","username":"u","password":"p"}'],
  ],
] as const)('the credential of the repository may come by %s', async ([, flags]) => {
  await using server = await serveGuardedGit({ folder: repository.folder, users: { '/': user } })
  await using root = await temporaryFolder()
  await using sync = startSync(
    argsFor(
      root.path,
      `${server.origin}/origin.git`,
      '--one-time',
      ...flags.flatMap((f) => ['--credential', f]),
    ),
    { GITSYNC_CREDENTIAL: JSON.stringify([{ url: server.origin, ...user }]) },
  )
  expect(await sync.exit, sync.stderr()).toBe(0)
})

test('old names of user and password win over the newer, and --password over both', async () => {
  await using server = await serveGuardedGit({ folder: repository.folder, users: { '/': user } })
  await using root = await temporaryFolder()
  const env = {
    GITSYNC_USERNAME: 'nobody',
    GIT_SYNC_USERNAME: user.username,
    GITSYNC_PASSWORD: 'nothing',
    GIT_SYNC_PASSWORD: user.password,
  }
  const args = argsFor(root.path, `${server.origin}/origin.git`, '--one-time')
  await using sync = startSync(args, env)
  expect(await sync.exit, sync.stderr()).toBe(0)
  server.users['/'] = { ...user, password: 'by flag' }
  await using deprecated = startSync([...args, '--password', 'by flag'], env)
  expect(await deprecated.exit, deprecated.stderr()).toBe(0)
  expect(deprecated.stderr()).not.toContain('by flag')
  expect(deprecated.stderr()).toContain('Flag --password has been deprecated')
})

test('a token that --github-app-client-id gets is the password, and a new one when it is about to expire', async () => {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const key = String(privateKey.export({ type: 'pkcs1', format: 'pem' }))
  await using github = await serveGithub({ key, installationId: 77 })
  await using server = await serveGuardedGit({
    folder: repository.folder,
    users: { '/': { username: '-', password: 'ghs_one' } },
  })
  github.next = { token: 'ghs_one', expiresAt: Date.now() + 31_000 }
  await using root = await temporaryFolder()
  await using sync = startSync(
    argsFor(
      root.path,
      `${server.origin}/origin.git`,
      ...['--github-base-url', `${github.origin}/`, '--github-app-client-id', 'Iv1.abc', '--max-failures=-1'],
      ...['--github-app-installation-id', '77', '--http-bind=127.0.0.1:0', '--http-metrics'],
    ),
    { GITSYNC_GITHUB_APP_PRIVATE_KEY: key },
  )
  await publishes(sync, root.path, await repository.commit({ 'a.txt': 'by the app' }))
  github.next = { token: 'ghs_two', expiresAt: Date.now() + 3_600_000 }
  server.users['/'] = { username: '-', password: 'ghs_two' }
  await publishes(sync, root.path, await repository.commit({ 'a.txt': 'by the app again' }))
  expect(github.statements.map(({ iss }) => iss)).toEqual(['Iv1.abc', 'Iv1.abc'])
  const { port } = (await sync.logged('serving HTTP')) as { port: number }
  const metrics = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
  expect(metrics).toContain('git_sync_refresh_github_app_token_count{status="success"} 2')
})
