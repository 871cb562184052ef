// One sync against real git: what it publishes for each kind of ref and depth, what it costs, what it removes.
import { existsSync } from 'node:fs'
import { readdir, readFile, readlink, rm, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { holdWorktree } from '../../runtime/worktree-lease.ts'
import { cleanUp, syncOnce } from '../../sync/sync-once.ts'
import { createTestRepository, git, type TestRepository } from '../support/git-server.ts'
import { asCommitSha } from './commit-sha.ts'
import { createSyncDeps } from './sync-deps.ts'
import { publishedCommit, temporaryFolder } from './sync-process.ts'

let repository: TestRepository
beforeAll(async () => {
  repository = await createTestRepository()
})
afterAll(() => repository?.close())

test('the link is relative, names the commit and leads to its files', async () => {
  await using root = await temporaryFolder()
  const deps = await createSyncDeps({ root: root.path, repo: repository.url })
  const { commit, isChanged } = await syncOnce(deps, 'check')
  expect(isChanged).toBe(true)
  expect(await readlink(join(root.path, 'current'))).toBe(`.worktrees/${commit}`)
  expect(await readFile(join(root.path, 'current/.git'), 'utf8')).toBe(
    `gitdir: ../../.git/worktrees/${commit}\n`,
  )
  await cleanUp({ ...deps, staleMs: 0 }, { published: commit!, kept: [], gc: 'always' })
  expect(await git(root.path, ['symbolic-ref', 'HEAD'])).toBe('refs/heads/git-sync')
  expect(await git(root.path, ['rev-parse', 'HEAD'])).toBe(commit)
})

test('a poll without news asks the remote once and runs no other git', async () => {
  await using root = await temporaryFolder()
  const deps = await createSyncDeps({ root: root.path, repo: repository.url })
  await syncOnce(deps, 'check')
  const asked: string[] = []
  const git = new Proxy(deps.git, {
    get: (target, name) => {
      asked.push(String(name))
      return Reflect.get(target, name)
    },
  })
  expect((await syncOnce({ ...deps, git }, 'poll')).isChanged).toBe(false)
  expect(asked).toEqual(['lsRemote'])
})

test('a poll notices that the published worktree is gone', async () => {
  await using root = await temporaryFolder()
  const deps = await createSyncDeps({ root: root.path, repo: repository.url })
  const { commit } = await syncOnce(deps, 'check')
  await rm(join(root.path, '.worktrees', commit!), { recursive: true })
  await syncOnce(deps, 'poll')
  expect(existsSync(join(root.path, 'current', 'a.txt'))).toBe(true)
})

test('branch, lightweight tag, annotated tag, full hash and HEAD are followed to the commit', async () => {
  await using own = await createTestRepository()
  const first = await git(own.clone, ['rev-parse', 'HEAD'])
  await git(own.clone, ['tag', 'light'])
  await git(own.clone, ['tag', '--annotate', '--message', 'x', 'annotated'])
  await git(own.clone, ['push', '--quiet', '--tags', own.path])
  const second = await own.commit({ 'a.txt': 'two' })
  await own.commit({ 'a.txt': 'deeper' }, { branch: 'feature/main' })
  const expected = {
    main: second,
    HEAD: second,
    light: first,
    annotated: first,
    [first]: first,
    'refs/heads/main': second,
  }
  for (const [ref, commit] of Object.entries(expected)) {
    await using root = await temporaryFolder()
    const deps = await createSyncDeps({ root: root.path, repo: own.url, ref })
    expect((await syncOnce(deps, 'check')).commit, ref).toBe(commit)
    expect((await syncOnce(deps, 'poll')).isChanged, ref).toBe(false)
  }
})

test('a tag that is moved and a branch that is pushed with force are followed', async () => {
  await using own = await createTestRepository()
  await using root = await temporaryFolder()
  await git(own.clone, ['push', '--quiet', own.path, 'HEAD:refs/tags/live'])
  const deps = await createSyncDeps({ root: root.path, repo: own.url, ref: 'live' })
  await syncOnce(deps, 'check')
  await git(own.clone, ['commit', '--quiet', '--amend', '--message', 'other'])
  await git(own.clone, ['push', '--quiet', '--force', own.path, 'HEAD:refs/tags/live'])
  expect((await syncOnce(deps, 'poll')).commit).toBe(await git(own.clone, ['rev-parse', 'HEAD']))
})

test('the depth of a root follows the option at the next start', async () => {
  await using own = await createTestRepository()
  for (const text of ['2', '3', '4']) await own.commit({ 'a.txt': text })
  await using root = await temporaryFolder()
  const countAt = async (depth: number): Promise<string> => {
    await syncOnce(await createSyncDeps({ root: root.path, repo: own.url, depth }), 'check')
    return git(join(root.path, 'current'), ['rev-list', '--count', 'HEAD'])
  }
  const counts = []
  for (const depth of [1, 2, 1, 0]) counts.push(await countAt(depth))
  expect(counts).toEqual(['1', '2', '1', '4'])
})

test('a replaced worktree is removed at once, after its timeout, or when its reader lets go', async () => {
  await using own = await createTestRepository()
  await using root = await temporaryFolder()
  const deps = await createSyncDeps({ root: root.path, repo: own.url })
  const worktrees = () => readdir(join(root.path, '.worktrees'))
  const update = async (staleMs: number): Promise<string> => {
    await own.commit({ 'a.txt': String(Math.random()) })
    const { commit } = await syncOnce(deps, existsSync(deps.layout.gitDir) ? 'wake' : 'check')
    await cleanUp({ ...deps, staleMs: staleMs }, { published: commit!, kept: [], gc: 'always' })
    return commit!
  }
  await update(0)
  const second = await update(0)
  expect(await worktrees()).toEqual([second])

  const third = await update(60_000)
  expect((await worktrees()).sort()).toEqual([second, third].sort())
  const longAgo = Date.now() / 1_000 - 61
  await utimes(join(root.path, '.worktrees', second), longAgo, longAgo)
  await cleanUp({ ...deps, staleMs: 60_000 }, { published: asCommitSha(third), kept: [], gc: 'always' })
  expect(await worktrees()).toEqual([third])

  const lease = await holdWorktree({ sourcePath: join(root.path, '.worktrees', third), owner: 'scheduler/1' })
  const fourth = await update(0)
  expect((await worktrees()).sort()).toEqual([third, fourth].sort())
  await lease!.release()
  await cleanUp({ ...deps, staleMs: 0 }, { published: asCommitSha(fourth), kept: [], gc: 'always' })
  expect(await worktrees()).toEqual([fourth])
  expect(await readdir(join(root.path, '.leases'))).toEqual([])
  expect(await publishedCommit(join(root.path, 'current'))).toBe(fourth)
})
