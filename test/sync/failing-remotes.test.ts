// Remotes that fail in every way that we know: what was published stays published and whole, the error file has
// git's own words, no process stays behind, the loop goes on by its failure limits, and it recovers with the remote.
import { randomBytes } from 'node:crypto'
import { readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import {
  createSelfSigned,
  createTestRepository,
  type GitHttpServer,
  git,
  serveGitOverHttp,
  type TestRepository,
} from '../support/git-server.ts'
import { becomesWhole, expectWhole, publishes } from './observers.ts'
import { type SyncProcess, startSync, temporaryFolder } from './sync-process.ts'

const willRetry = 'error syncing repo, will retry'
const account = { username: 'reader', password: 'correct horse' }
const failuresOf = (sync: SyncProcess): number => sync.lines().filter(({ msg }) => msg === willRetry).length
const newest = (repository: TestRepository): Promise<string> => git(repository.clone, ['rev-parse', 'HEAD'])
const bigFile = (): string => randomBytes(3_000_000).toString('base64')

function start(repo: string, root: string, args: string[] = [], env: NodeJS.ProcessEnv = {}): SyncProcess {
  const common = ['--repo', repo, '--ref', 'main', '--root', root, '--link', 'current', '--period', '50ms']
  return startSync([...common, '--max-failures', '-1', ...args], env)
}

/** A remote and what it takes to break it, and to mend it with a commit more; `mend` returns that commit. */
interface Case {
  repository: TestRepository
  server: GitHttpServer
  /** Closes what is opened on the way. */
  stack: AsyncDisposableStack
}

/** Publishes; fails while the remote is broken, changing nothing; publishes again when it is mended. */
async function survives(
  over: 'http' | 'file',
  words: RegExp,
  breakIt: (remote: Case) => unknown,
  mend: (remote: Case) => Promise<string>,
  args: string[] = [],
): Promise<void> {
  await using repository = await createTestRepository({ 'a.txt': 'good\n' })
  await using server = await serveGitOverHttp({ folder: repository.folder, ...account })
  await using files = await temporaryFolder()
  await using root = await temporaryFolder()
  await using stack = new AsyncDisposableStack()
  const remote = { repository, server, stack }
  const link = join(root.path, 'current')
  const errorFile = join(files.path, 'error.json')
  const repo = over === 'http' ? server.urlWithPassword('origin.git') : repository.url
  await using sync = start(repo, root.path, ['--error-file', errorFile, ...args])
  const good = await newest(repository)
  await becomesWhole(link, good, sync)

  await breakIt(remote)
  await sync.logged(willRetry, 3)
  await expectWhole(link, good)
  expect(JSON.parse(await readFile(errorFile, 'utf8')).Err).toMatch(words)
  expect(sync.lines().find(({ msg }) => msg === willRetry)!.error).toMatch(words)
  const objects = await readdir(join(root.path, '.git/objects'), { recursive: true })
  const drafts = objects.filter((name) => basename(name).startsWith('tmp_'))
  expect(drafts.length, 'unfinished packs do not heap up').toBeLessThan(2)

  const next = await mend(remote)
  await publishes(link, next, sync)
  await becomesWhole(link, next, sync)
  await eventually('the error file to go', () =>
    readFile(errorFile).then(
      () => false,
      () => true,
    ),
  )
}

const pushSmall = ({ repository }: Case): Promise<string> => repository.commit({ 'a.txt': 'mended\n' })

describe('the last commit stays published, and the next one comes when the remote is mended, where', () => {
  test('the server refuses connections', async () => {
    await survives(
      'http',
      /Failed to connect|refused/i,
      ({ server }) => server.close(),
      async ({ repository, server, stack }) => {
        const commit = await repository.commit({ 'a.txt': 'mended\n' })
        const { folder } = repository
        stack.use(await serveGitOverHttp({ folder, ...account, port: server.port }))
        return commit
      },
    )
  })

  test('the server does not answer', async () => {
    await survives(
      'http',
      /--sync-timeout/,
      ({ server }) => server.hang(),
      (remote) => {
        remote.server.recover()
        return pushSmall(remote)
      },
      ['--sync-timeout', '700ms'],
    )
  })

  test('the connection breaks in the midst of a pack', async () => {
    await survives(
      'http',
      /early EOF|unexpected disconnect|transfer closed|RPC failed|hung up/i,
      async ({ server, repository }) => {
        server.cutAfter(500_000)
        await repository.commit({ 'big.txt': bigFile() })
      },
      async ({ server, repository }) => {
        server.recover()
        return newest(repository)
      },
    )
  })

  test('the server stops in the midst of a pack', async () => {
    await survives(
      'http',
      /--sync-timeout/,
      async ({ server, repository }) => {
        server.stallAfter(500_000)
        await repository.commit({ 'big.txt': bigFile() })
      },
      async ({ server, repository }) => {
        server.recover()
        return newest(repository)
      },
      ['--sync-timeout', '700ms'],
    )
  })

  test('the repository is gone', async () => {
    await survives(
      'file',
      /does not (exist|appear)/,
      ({ repository }) => rename(repository.path, `${repository.path}.away`),
      async (remote) => {
        await rename(`${remote.repository.path}.away`, remote.repository.path)
        return pushSmall(remote)
      },
    )
  })

  test('the branch is gone', async () => {
    await survives(
      'file',
      /couldn't find remote ref main/,
      ({ repository }) => git(repository.path, ['update-ref', '-d', 'refs/heads/main']),
      pushSmall,
    )
  })

  test('the repository is emptied', async () => {
    await survives(
      'file',
      /couldn't find remote ref main/,
      async ({ repository }) => {
        await rm(repository.path, { recursive: true })
        await git(repository.folder, ['init', '--quiet', '--bare', '--initial-branch=main', repository.path])
      },
      pushSmall,
    )
  })

  test('the remote lacks objects of the newest commit', async () => {
    await survives(
      'http',
      /upload-pack|remote error|early EOF|hung up|not our ref|bad pack|unexpected disconnect/i,
      async ({ repository }) => {
        await repository.commit({ 'lost.txt': 'lost\n' })
        const blob = await git(repository.clone, ['rev-parse', 'HEAD:lost.txt'])
        await rm(join(repository.path, 'objects', blob.slice(0, 2), blob.slice(2)))
      },
      ({ repository }) => repository.commit({ 'lost.txt': null }),
    )
  })

  test.for<[string, RegExp, (repository: TestRepository) => Promise<string>]>([
    ['has a file whose name is too long', /File name too long/, (to) => treeWith(to, 'n'.repeat(300))],
    ['has a file named ..', /invalid path '\.\.'/, (to) => treeWith(to, '..')],
    ['has files in .git', /invalid path '\.git\/config'/, (to) => treeWith(to, '.git', 'config')],
  ])('the newest commit %s', async ([, words, makeTree]) => {
    await survives(
      'file',
      words,
      async ({ repository }) => {
        const tree = await makeTree(repository)
        const commit = await git(repository.path, ['commit-tree', '-p', 'main', '-m', 'bad', tree])
        await git(repository.path, ['update-ref', 'refs/heads/main', commit])
      },
      ({ repository }) => repository.commit({ 'a.txt': 'mended\n' }, { force: true }),
    )
  })
})

/** A tree with one file (in a folder, if two names are given), under names that git would not take from a person. */
async function treeWith(repository: TestRepository, name: string, file?: string): Promise<string> {
  const write = async (type: string, content: Buffer): Promise<string> => {
    const path = join(repository.folder, 'object')
    await writeFile(path, content)
    return git(repository.path, ['hash-object', '-w', '--literally', '-t', type, path])
  }
  const entry = (mode: string, entryName: string, hash: string): Buffer =>
    Buffer.concat([Buffer.from(`${mode} ${entryName}\0`), Buffer.from(hash, 'hex')])
  const blob = await write('blob', Buffer.from('bad\n'))
  if (file === undefined) return write('tree', entry('100644', name, blob))
  return write('tree', entry('40000', name, await write('tree', entry('100644', file, blob))))
}

test('a push that replaces the history is no failure', async () => {
  await using repository = await createTestRepository()
  await using root = await temporaryFolder()
  const link = join(root.path, 'current')
  await using sync = start(repository.url, root.path)
  await becomesWhole(link, await newest(repository), sync)
  await git(repository.clone, ['checkout', '--quiet', '--orphan', 'fresh'])
  const commit = await repository.commit({ 'other.txt': 'another history\n' }, { force: true })
  await becomesWhole(link, commit, sync)
  expect(failuresOf(sync)).toBe(0)
})

test('a repository without a commit fails with git’s words, and its first commit is published', async () => {
  await using repository = await createTestRepository()
  await using root = await temporaryFolder()
  const empty = join(repository.folder, 'empty.git')
  await git(repository.folder, ['init', '--quiet', '--bare', '--initial-branch=main', empty])
  await using sync = start(`file://${empty}`, root.path, ['--ref', 'HEAD'])
  expect((await sync.logged(willRetry, 2)).error).toMatch(/couldn't find remote ref HEAD/)
  const commit = await repository.commit({ 'a.txt': 'first\n' }, { url: empty })
  await becomesWhole(join(root.path, 'current'), commit, sync)
})

test.for([
  'with spaces and "quotes".git',
  "it's $HOME;a&b.git",
  'größe 测试.git',
  '100%25#1?.git',
  '-dash.git',
])('a repository at a path with odd characters is synced, over each transport: %s', async (name) => {
  await using repository = await createTestRepository()
  await using server = await serveGitOverHttp({ folder: repository.folder, ...account })
  await git(repository.folder, [
    'clone',
    '--quiet',
    '--bare',
    '--',
    'origin.git',
    join(repository.folder, name),
  ])
  const path = join(repository.folder, name)
  for (const repo of [path, server.urlWithPassword(encodeURIComponent(name))]) {
    await using root = await temporaryFolder()
    await using sync = start(repo, root.path, ['--one-time', '--max-failures', '0'])
    expect(await sync.exit, sync.stderr()).toBe(0)
    await expectWhole(join(root.path, 'current'), await newest(repository))
  }
})

test('a certificate that nobody vouches for is refused with the words of TLS, until it is vouched for', async () => {
  await using repository = await createTestRepository()
  await using root = await temporaryFolder()
  await using files = await temporaryFolder()
  await using others = await temporaryFolder()
  const trusted = join(files.path, 'trusted.pem')
  const [own, other] = [await createSelfSigned(files.path), await createSelfSigned(others.path)]
  await using server = await serveGitOverHttp({ folder: repository.folder, ...account, tls: own })
  const link = join(root.path, 'current')
  await writeFile(trusted, other.cert)
  await using sync = start(server.urlWithPassword('origin.git'), root.path, [], { GIT_SSL_CAINFO: trusted })
  expect((await sync.logged(willRetry, 2)).error).toMatch(/certificate/i)
  await writeFile(trusted, own.cert)
  const good = await newest(repository)
  await becomesWhole(link, good, sync)
  await writeFile(trusted, other.cert)
  await sync.logged(willRetry, failuresOf(sync) + 2)
  await expectWhole(link, good)
})
