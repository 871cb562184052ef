// What a killed or careless hand can leave in a root, row by row: the next sync heals it, the published tree is
// readable all the while, and the commit after it arrives too.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import {
  lstat,
  mkdir,
  open,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  unlink,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { gitProcessesOf, rootMark, rootMarkOf } from '../../../sync/git/processes.ts'
import { cleanUp, type SyncDeps, syncOnce } from '../../../sync/sync-once.ts'
import { eventually } from '../../support/eventually.ts'
import { createTestRepository, git, type TestRepository } from '../../support/git-server.ts'
import { createSyncDeps } from '../sync-deps.ts'
import { publishedCommit, temporaryFolder } from '../sync-process.ts'

let repository: TestRepository
beforeAll(async () => {
  repository = await createTestRepository({ 'a.txt': 'one\n', 'folder/b.txt': 'b\n' })
})
afterAll(() => repository?.close())

async function sync(deps: SyncDeps): Promise<string> {
  const { commit } = await syncOnce(deps, 'check')
  await cleanUp({ ...deps, staleMs: 0 }, { published: commit!, kept: [], gc: 'always' })
  return commit!
}

/** The link names the newest commit, and its tree is what the commit says. */
async function expectWhole(root: string): Promise<void> {
  const link = join(root, 'current')
  const head = await git(repository.clone, ['rev-parse', 'HEAD'])
  expect(await publishedCommit(link)).toBe(head)
  expect(await git(link, ['rev-parse', 'HEAD'])).toBe(head)
  expect(await git(link, ['status', '--porcelain'])).toBe('')
  await git(root, ['fsck', '--no-progress'])
}

/** Damages to a root that has published `commit` of `deps`. */
const damages: Record<string, (deps: SyncDeps, commit: string) => Promise<void>> = {
  'a left draft of the link': async ({ layout }) => {
    await symlink('.worktrees/nowhere', join(layout.root, '.current.tmp-link'))
  },
  'lock files of dead git processes': async ({ layout }, commit) => {
    const locks = ['index', 'config', 'HEAD', 'packed-refs', 'shallow', 'FETCH_HEAD', 'refs/heads/git-sync']
    for (const name of [...locks, `worktrees/${commit}/index`, `worktrees/${commit}/HEAD`]) {
      await writeFile(join(layout.gitDir, `${name}.lock`), '')
    }
    await writeFile(join(layout.gitDir, 'gc.pid'), '1 somewhere')
  },
  'a link that was removed': ({ layout }) => unlink(layout.linkPath),
  'a directory with files in place of the link': async ({ layout }) => {
    await unlink(layout.linkPath)
    await mkdir(layout.linkPath)
    await writeFile(join(layout.linkPath, 'mine.txt'), 'precious')
  },
  'a file in place of the link': async ({ layout }) => {
    await unlink(layout.linkPath)
    await writeFile(layout.linkPath, 'precious')
  },
  'a link to nowhere': async ({ layout }) => {
    await unlink(layout.linkPath)
    await symlink('nowhere', layout.linkPath)
  },
  'a link of the older layout': async ({ layout }, commit) => {
    await unlink(layout.linkPath)
    await symlink(commit, layout.linkPath)
  },
  'a worktree that lost files': async ({ layout }, commit) => {
    await rm(join(layout.root, '.worktrees', commit, 'folder'), { recursive: true })
    await writeFile(join(layout.root, '.worktrees', commit, 'a.txt'), 'changed by hand')
  },
  'a worktree that was emptied': async ({ layout }, commit) => {
    for (const name of await readdir(join(layout.root, '.worktrees', commit))) {
      await rm(join(layout.root, '.worktrees', commit, name), { recursive: true })
    }
  },
  'a worktree that is gone': async ({ layout }) => {
    await rm(layout.worktreesDir, { recursive: true })
  },
  'a file in place of the worktrees': async ({ layout }) => {
    await rm(layout.worktreesDir, { recursive: true })
    await writeFile(layout.worktreesDir, 'junk')
  },
  "git's folder of the worktree gone": async ({ layout }, commit) => {
    await rm(join(layout.gitDir, 'worktrees', commit), { recursive: true })
  },
  "git's folder of the worktree half written": async ({ layout }, commit) => {
    const folder = join(layout.gitDir, 'worktrees', commit)
    await rm(join(folder, 'commondir'))
    await writeFile(join(folder, 'HEAD'), '')
    await rm(join(folder, 'index'))
  },
  'a repository that is gone': ({ layout }) => rm(layout.gitDir, { recursive: true }),
  'an interrupted clone': async ({ layout }) => {
    await rm(layout.gitDir, { recursive: true })
    await mkdir(join(layout.gitDir, 'objects', 'pack'), { recursive: true })
    await writeFile(join(layout.gitDir, 'objects', 'pack', 'tmp_pack_x'), 'PACK')
  },
  'a HEAD that is garbage': ({ layout }) => writeFile(join(layout.gitDir, 'HEAD'), 'garbage'),
  'objects that are missing': async ({ layout }) => {
    await rm(join(layout.gitDir, 'objects'), { recursive: true })
    await mkdir(join(layout.gitDir, 'objects'))
  },
  'junk beside the repository': async ({ layout }) => {
    await writeFile(join(layout.root, 'junk'), 'junk')
    await mkdir(join(layout.worktreesDir, 'junk'))
  },
}

test.for(Object.entries(damages))('%s is healed, and the next commit arrives', async ([, damage]) => {
  await using root = await temporaryFolder()
  const deps = await createSyncDeps({ root: root.path, repo: repository.url })
  await damage(deps, await sync(deps))
  await sync(deps)
  await expectWhole(root.path)
  await repository.commit({ 'a.txt': String(Math.random()) })
  await sync(deps)
  await expectWhole(root.path)
})

test('while the repository is made anew and the remote is away, the published tree stays readable', async () => {
  await using root = await temporaryFolder()
  const deps = await createSyncDeps({ root: root.path, repo: repository.url })
  const commit = await sync(deps)
  await rm(join(deps.layout.gitDir, 'objects'), { recursive: true })
  await expect(syncOnce({ ...deps, repo: `${repository.url}-away` }, 'check')).rejects.toThrow(/Check --repo/)
  expect(await publishedCommit(deps.layout.linkPath)).toBe(commit)
  expect(await readFile(join(deps.layout.linkPath, 'folder/b.txt'), 'utf8')).toBe('b\n')
})

test('what stood in the place of the link is moved aside, not lost', async () => {
  await using root = await temporaryFolder()
  const deps = await createSyncDeps({ root: root.path, repo: repository.url })
  await damages['a directory with files in place of the link']!(deps, await sync(deps))
  await sync(deps)
  expect(await readFile(join(root.path, 'current.before-sync', 'mine.txt'), 'utf8')).toBe('precious')
})

test('a .git that is a link is replaced, and what it leads to is left alone', async () => {
  await using root = await temporaryFolder()
  await using elsewhere = await temporaryFolder()
  const deps = await createSyncDeps({ root: root.path, repo: repository.url })
  await sync(deps)
  await git(root.path, ['init', '--quiet', elsewhere.path])
  const lock = join(elsewhere.path, '.git', 'composer.lock')
  await writeFile(lock, '')
  await utimes(lock, 1, 1)
  for (const target of [elsewhere.path, join(elsewhere.path, '.git')]) {
    await rm(deps.layout.gitDir, { recursive: true })
    await symlink(target, deps.layout.gitDir)
    await sync(deps)
    expect((await lstat(deps.layout.gitDir)).isDirectory()).toBe(true)
    expect(existsSync(lock)).toBe(true)
    await expectWhole(root.path)
  }
})

test('a lock file that a living process has open is left to it', async () => {
  await using root = await temporaryFolder()
  const deps = await createSyncDeps({ root: root.path, repo: repository.url })
  await sync(deps)
  const path = join(deps.layout.gitDir, 'config.lock')
  const held = await open(path, 'w')
  try {
    await sync(deps)
    expect(existsSync(path)).toBe(true)
  } finally {
    await held.close()
  }
  await sync(deps)
  expect(existsSync(path)).toBe(false)
})

test('a git process that a killed sync left running is ended before the root is touched', async () => {
  await using root = await temporaryFolder()
  const deps = await createSyncDeps({ root: root.path, repo: repository.url })
  const orphan = spawn('git', ['cat-file', '--batch'], {
    cwd: repository.clone,
    env: { ...process.env, [rootMark]: rootMarkOf(root.path) },
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  const exited = new Promise((resolve) => orphan.once('exit', (_code, signal) => resolve(signal)))
  await eventually(
    'the orphan',
    async () => (await gitProcessesOf(root.path)).includes(orphan.pid!) || undefined,
  )
  await sync(deps)
  expect(await exited).toBe('SIGKILL')
})

test('a root within another repository does not touch that one', async () => {
  await using outer = await temporaryFolder()
  await git(outer.path, ['init', '--quiet', outer.path])
  await writeFile(join(outer.path, 'file'), 'x')
  await git(outer.path, ['add', '--all'])
  await git(outer.path, ['commit', '--quiet', '--message', 'outer'])
  const before = await git(outer.path, ['rev-parse', 'HEAD'])
  const root = join(outer.path, 'root')
  await mkdir(join(root, '.git'), { recursive: true })
  await sync(await createSyncDeps({ root, repo: repository.url }))
  await expectWhole(root)
  expect(await git(outer.path, ['rev-parse', 'HEAD'])).toBe(before)
  expect((await stat(join(outer.path, 'file'))).size).toBe(1)
})
