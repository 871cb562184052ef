// What a worktree holds beside the plain files of its commit: submodules, and only some files of them all.
import { existsSync } from 'node:fs'
import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type SyncDeps, syncOnce } from '../../../sync/sync-once.ts'
import { createTestRepository, git, type TestRepository } from '../../support/git-server.ts'
import { createSyncDeps } from '../sync-deps.ts'
import { temporaryFolder } from '../sync-process.ts'

let inner: TestRepository
let middle: TestRepository
let outer: TestRepository
const allowFile = [{ key: 'protocol.file.allow', value: 'always' }]

async function addSubmodule(to: TestRepository, url: string, path: string): Promise<string> {
  await git(to.clone, ['-c', 'protocol.file.allow=always', 'submodule', 'add', '--quiet', url, path])
  return to.commit({})
}

beforeAll(async () => {
  inner = await createTestRepository({ 'inner.txt': 'one\n' })
  await inner.commit({ 'inner.txt': 'two\n' })
  middle = await createTestRepository({ 'middle.txt': 'middle\n' })
  await addSubmodule(middle, inner.url, 'inner')
  outer = await createTestRepository({ 'outer.txt': 'outer\n' })
  await addSubmodule(outer, middle.url, 'middle')
})
afterAll(() => Promise.all([inner?.close(), middle?.close(), outer?.close()]))

async function sync(root: string, deps: Partial<SyncDeps> & { repo: string }): Promise<string> {
  const whole = { ...(await createSyncDeps({ root, repo: deps.repo, gitConfig: allowFile })), ...deps }
  await syncOnce(whole, 'start')
  return join(root, 'current')
}

test('submodules are checked out at every level, with as much history as --depth says', async () => {
  await using root = await temporaryFolder()
  const tree = await sync(root.path, { repo: outer.url })
  expect(await readFile(join(tree, 'middle/inner/inner.txt'), 'utf8')).toBe('two\n')
  expect(await git(join(tree, 'middle/inner'), ['rev-list', '--count', 'HEAD'])).toBe('1')
  expect(await git(tree, ['status', '--porcelain'])).toBe('')
  await using whole = await temporaryFolder()
  const deep = await sync(whole.path, { repo: outer.url, depth: 0 })
  expect(await git(join(deep, 'middle/inner'), ['rev-list', '--count', 'HEAD'])).toBe('2')
})

test('shallow takes the first level of submodules, and off none', async () => {
  await using root = await temporaryFolder()
  const tree = await sync(root.path, { repo: outer.url, submodules: 'shallow' })
  expect(await readdir(join(tree, 'middle'))).toEqual(['.git', '.gitmodules', 'inner', 'middle.txt'])
  expect(await readdir(join(tree, 'middle/inner'))).toEqual([])
  await using other = await temporaryFolder()
  const bare = await sync(other.path, { repo: outer.url, submodules: 'off' })
  expect(await readdir(join(bare, 'middle'))).toEqual([])
})

test('a submodule that is added, moved on, named relatively and removed is followed', async () => {
  await using module = await createTestRepository({ 'm.txt': 'one\n' })
  await using own = await createTestRepository()
  await using root = await temporaryFolder()
  const relative = `../../${module.folder.split('/').at(-1)}/${module.path.split('/').at(-1)}`
  await git(own.clone, ['remote', 'add', 'origin', own.url])
  const deps = { repo: own.url }
  await sync(root.path, deps)
  await addSubmodule(own, relative, 'm')
  expect(await readFile(join(await sync(root.path, deps), 'm/m.txt'), 'utf8')).toBe('one\n')
  const next = await module.commit({ 'm.txt': 'two\n' })
  await git(join(own.clone, 'm'), ['fetch', '--quiet'])
  await git(join(own.clone, 'm'), ['checkout', '--quiet', next])
  await own.commit({})
  expect(await readFile(join(await sync(root.path, deps), 'm/m.txt'), 'utf8')).toBe('two\n')
  await git(own.clone, ['rm', '--quiet', '-f', 'm'])
  await own.commit({})
  expect(existsSync(join(await sync(root.path, deps), 'm'))).toBe(false)
})

test('a sparse-checkout file chooses the files, is read for each worktree, and may go', async () => {
  await using own = await createTestRepository({ 'a/a.txt': 'a', 'b/b.txt': 'b', 'top.txt': 'top' })
  await using root = await temporaryFolder()
  const file = join(root.path, 'sparse')
  await writeFile(file, '!/*\n!/*/\n/a/\n')
  const deps = { repo: own.url, sparseCheckoutFile: file }
  const tree = await sync(root.path, deps)
  expect(await readdir(tree)).toEqual(['.git', 'a'])
  expect(await git(tree, ['status', '--porcelain'])).toBe('')
  await writeFile(file, '/b/\n')
  await own.commit({ 'top.txt': 'changed' })
  expect(await readdir(await sync(root.path, deps))).toEqual(['.git', 'b'])
  expect(await readdir(await sync(root.path, { repo: own.url }))).toEqual(['.git', 'a', 'b', 'top.txt'])
  await rm(file)
  await own.commit({ 'top.txt': 'again' })
  await expect(sync(root.path, deps)).rejects.toThrow(`--sparse-checkout-file ${file} cannot be read`)
})

test('a filter leaves out what is not needed, and the files are whole all the same', async () => {
  await using own = await createTestRepository({ 'a.txt': 'first' })
  await git(own.path, ['config', 'uploadpack.allowFilter', 'true'])
  const first = await git(own.clone, ['rev-parse', 'HEAD:a.txt'])
  await own.commit({ 'a.txt': 'second' })
  await using root = await temporaryFolder()
  const deps = { repo: own.url, depth: 0, filter: 'blob:none' }
  expect(await readFile(join(await sync(root.path, deps), 'a.txt'), 'utf8')).toBe('second')
  const objects = await git(root.path, ['cat-file', '--batch-all-objects', '--batch-check=%(objectname)'])
  expect(objects).not.toContain(first)
  await own.commit({ 'a.txt': 'third' })
  expect(await readFile(join(await sync(root.path, deps), 'a.txt'), 'utf8')).toBe('third')
})
