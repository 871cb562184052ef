// The way from a manifest to the first sync: environments as charts make them, users that the system does not know,
// and what is told where it ends before it begins.
import { execFile } from 'node:child_process'
import { chmod, chown, mkdir, readdir, readFile, stat } from 'node:fs/promises'
import { createServer } from 'node:net'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { programPath } from '../../runtime/programs.ts'
import { version } from '../../runtime/version.ts'
import { eventually } from '../support/eventually.ts'
import { createTestRepository, type TestRepository } from '../support/git-server.ts'
import { publishedCommit, startSync, temporaryFolder } from './sync-process.ts'

const run = promisify(execFile)
const program = [process.execPath, programPath('sync')]

let repository: TestRepository
let newest: string
beforeAll(async () => {
  repository = await createTestRepository()
  newest = await repository.commit({ 'a.txt': 'newest\n' })
})
afterAll(() => repository?.close())

function argsFor(root: string, ...more: string[]): string[] {
  return ['--repo', repository.url, '--ref', 'main', '--root', root, '--link', 'current', ...more]
}

test('the environment of an Airflow chart, with all names old and new, is all it needs', async () => {
  await using root = await temporaryFolder()
  await using sync = startSync([], {
    GIT_SYNC_REV: 'HEAD',
    GITSYNC_REF: 'not-this-one',
    GIT_SYNC_BRANCH: 'main',
    GIT_SYNC_REPO: repository.url,
    GITSYNC_REPO: repository.url,
    GIT_SYNC_DEPTH: '1',
    GITSYNC_DEPTH: '1',
    GIT_SYNC_ROOT: root.path,
    GITSYNC_ROOT: root.path,
    GIT_SYNC_DEST: 'repo',
    GITSYNC_LINK: 'repo',
    GIT_SYNC_ADD_USER: 'true',
    GITSYNC_ADD_USER: 'true',
    GIT_SYNC_WAIT: '60',
    GITSYNC_PERIOD: '5s',
    GIT_SYNC_MAX_SYNC_FAILURES: '0',
    GITSYNC_MAX_FAILURES: '0',
    GIT_SYNC_ONE_TIME: 'true',
    GITSYNC_ONE_TIME: 'true',
    GIT_SYNC_SUBMODULES: 'recursive',
    GITSYNC_SUBMODULES: 'recursive',
    GIT_SSH_KEY_FILE: '/etc/git-secret/ssh',
    GITSYNC_SSH_KEY_FILE: '/etc/git-secret/ssh',
    GIT_SYNC_SSH: 'true',
    GITSYNC_SSH: 'true',
    GIT_KNOWN_HOSTS: 'false',
    GITSYNC_SSH_KNOWN_HOSTS: 'false',
    GITSYNC_VERBOSE: '0',
  })
  expect(await sync.exit, sync.stderr()).toBe(0)
  expect(await publishedCommit(join(root.path, 'repo'))).toBe(newest)
  expect(sync.stderr()).toContain('setting --ref from deprecated --branch')
  expect(sync.stderr()).toContain('env $GITSYNC_REPO was overridden by $GIT_SYNC_REPO')
})

test('everything that can be switched on works together', async () => {
  await using root = await temporaryFolder()
  const passwd = await readFile('/etc/passwd', 'utf8')
  const all = ['-v=6', '--add-user', '--group-write', '--http-metrics', '--http-pprof', '--period=100ms']
  await using sync = startSync(argsFor(root.path, ...all, '--http-bind', ':0', 'positional', 'arguments'))
  const { port } = (await sync.logged('serving HTTP')) as { port: number }
  await sync.logged('updated successfully')
  const get = async (path: string) => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`)
    return `${response.status} ${await response.text()}`
  }
  await eventually('ready', async () => (await get('/')) === '200 ' || undefined)
  const noops = /git_sync_count_total\{status="noop"\} [2-9]/
  await eventually('idle polls', async () => noops.test(await get('/metrics')) || undefined)
  expect(await get('/debug/pprof/cmdline')).toContain('--http-pprof')
  expect(
    sync.lines().find(({ msg, args }) => msg === 'running git' && String(args).includes('fetch')),
  ).toBeDefined()
  expect((await stat(join(root.path, 'current', 'a.txt'))).mode & 0o777).toBe(0o664)
  expect(await readFile('/etc/passwd', 'utf8')).toBe(passwd)
})

test.for([
  ['--version', `${version}\n`],
  ['--help', /^Usage: .*--stale-worktree-timeout/s],
  ['-?', /^Usage: .*--stale-worktree-timeout/s],
] as const)('%s prints to standard output and needs no other option', async ([flag, text]) => {
  await using sync = startSync([flag])
  expect(await sync.exit).toBe(0)
  expect(sync.stdout()).toMatch(text)
  expect(sync.stderr()).toBe('')
})

test('-v=-1 is silence but for errors', async () => {
  await using root = await temporaryFolder()
  await using silent = startSync(argsFor(root.path, '--one-time', '-v=-1'))
  expect(await silent.exit).toBe(0)
  expect(silent.stderr()).toBe('')
  await using failing = startSync(argsFor(root.path, '--one-time', '--ref=none'), { GITSYNC_VERBOSE: '-1' })
  expect(await failing.exit).toBe(1)
  expect(failing.lines().map(({ msg }) => msg)).toEqual(['too many failures, aborting'])
})

test('a stale timeout below zero is none', async () => {
  await using root = await temporaryFolder()
  await using sync = startSync(argsFor(root.path, '--stale-worktree-timeout=-1s', '--period', '20ms'))
  await sync.logged('updated successfully')
  newest = await repository.commit({ 'a.txt': 'newer\n' })
  const worktrees = () => readdir(join(root.path, '.worktrees'))
  await eventually('only the new one', async () => (await worktrees()).join() === newest || undefined)
})

test("git's own variables in the environment are git's, whatever they configure", async () => {
  await using root = await temporaryFolder()
  const config = {
    [`url.${repository.url}.insteadOf`]: 'https://alias.test/repo.git',
    'credential.helper': 'cache',
    'core.sshCommand': 'ssh -4',
    'core.fsmonitor': 'false',
    'core.hooksPath': '/dev/null',
    'core.pager': 'cat',
    'filter.lfs.smudge': 'cat',
    'filter.lfs.clean': 'cat',
    'protocol.file.allow': 'always',
    'include.path': '/dev/null',
  }
  const pairs = Object.entries(config).flatMap(([key, value], n) => [
    [`GIT_CONFIG_KEY_${n}`, key],
    [`GIT_CONFIG_VALUE_${n}`, value],
  ])
  await using sync = startSync(argsFor(root.path, '--repo', 'https://alias.test/repo.git', '--one-time'), {
    ...Object.fromEntries(pairs),
    GIT_CONFIG_COUNT: String(Object.keys(config).length),
    GIT_EDITOR: 'true',
    GIT_PAGER: 'cat',
    GIT_SSH: '/usr/bin/ssh',
    GIT_TRACE: '0',
  })
  expect(await sync.exit, sync.stderr()).toBe(0)
  expect(await publishedCommit(join(root.path, 'current'))).toBe(newest)
})

describe('who runs it:', () => {
  test("the caller's umask is of no matter, and neither home nor temporary folder gets anything", async () => {
    await using folder = await temporaryFolder()
    const [root, home] = [join(folder.path, 'root'), join(folder.path, 'home')]
    await mkdir(home)
    await run('sh', ['-c', 'umask 077 && exec "$@"', 'sh', ...program, ...argsFor(root, '--one-time')], {
      env: { PATH: process.env.PATH, HOME: home, TMPDIR: home },
    })
    for (const path of ['', 'current/', '.git']) {
      expect((await stat(join(root, path))).mode & 0o777, path).toBe(0o755)
    }
    expect((await stat(join(root, 'current', 'a.txt'))).mode & 0o777).toBe(0o644)
    expect(await readdir(home)).toEqual([])
  })

  test.skipIf(userInfo().uid !== 0)(
    'a user that the system does not know, without home or rights, in a volume that belongs to another',
    async () => {
      await using folder = await temporaryFolder()
      const root = join(folder.path, 'root')
      await mkdir(root)
      for (const path of [folder.path, repository.folder]) await chmod(path, 0o755)
      await chown(root, 0, 4_000)
      await chmod(root, 0o2775)
      const user = [
        '--reuid=12345',
        '--regid=12345',
        '--groups=4000',
        '--no-new-privs',
        '--bounding-set=-all',
      ]
      const asUser = [...user, ...program, ...argsFor(root, '--one-time')]
      const env = { PATH: process.env.PATH, HOME: '/nowhere', TMPDIR: '/nowhere' }
      await run('setpriv', asUser, { env })
      expect(await publishedCommit(join(root, 'current'))).toBe(newest)
      // The next one goes on with what the first has left.
      newest = await repository.commit({ 'a.txt': 'by the other\n' })
      await run('setpriv', asUser, { env })
      expect(await readFile(join(root, 'current', 'a.txt'), 'utf8')).toBe('by the other\n')
    },
  )
})

describe('what keeps it from starting is one line of JSON in the log, and JSON in the error file:', () => {
  test.for<[string, string[], RegExp]>([
    ['no git', ['--git', 'no-such-git'], /--git "no-such-git" cannot be run/],
    ['no password file', ['--username=u', '--password-file=/no/such'], /--password-file \/no\/such/],
    ['no cookie file', ['--cookie-file'], /--cookie-file needs \/etc\/git-secret\/cookie_file/],
    ['a key that git does not take', ['--git-config', 'foo:bar'], /--git-config has "foo" as a key/],
    ['an address of another machine', ['--http-bind', '192.0.2.1:80'], /--http-bind 192\.0\.2\.1:80/],
  ])('%s', async ([, args, pattern]) => {
    await using root = await temporaryFolder()
    await using sync = startSync(argsFor(root.path, '--error-file', 'error', ...args))
    await endsWith(sync, root.path, pattern)
  })

  test('a port that another has', async () => {
    await using root = await temporaryFolder()
    const taken = createServer()
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve))
    const bind = `127.0.0.1:${(taken.address() as { port: number }).port}`
    await using sync = startSync(argsFor(root.path, '--error-file', 'error', '--http-bind', bind))
    await endsWith(sync, root.path, /--http-bind .*EADDRINUSE/)
    taken.close()
  })

  async function endsWith(sync: ReturnType<typeof startSync>, root: string, pattern: RegExp): Promise<void> {
    expect(await sync.exit).toBe(1)
    expect(sync.stdout()).toBe('')
    const lines = sync.stderr().trimEnd().split('\n')
    expect(lines.map((line) => JSON.parse(line)).at(-1)).toMatchObject({
      msg: 'cannot start',
      error: expect.stringMatching(pattern),
    })
    expect(JSON.parse(await readFile(join(root, 'error'), 'utf8'))).toEqual({
      Msg: 'cannot start',
      Err: expect.stringMatching(pattern),
      Args: {},
    })
  }
})
