// --sparse-checkout-file by the whole program: when the file is read, what it may hold, and its end.
import { readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { createTestRepository, git, type TestRepository } from '../support/git-server.ts'
import { publishes } from './observers.ts'
import { publishedCommit, type SyncProcess, startSync, temporaryFolder } from './sync-process.ts'

let repository: TestRepository
let files: Awaited<ReturnType<typeof temporaryFolder>>
/** The sparse-checkout file. */
let file: string
beforeAll(async () => {
  repository = await createTestRepository({
    'a/a.txt': 'a',
    'b/b.txt': 'b',
    'b/c/c.txt': 'c',
    'top.txt': 'top',
  })
})
afterAll(() => repository?.close())
beforeEach(async () => {
  files = await temporaryFolder()
  file = join(files.path, 'sparse')
})
afterEach(() => files?.[Symbol.asyncDispose]())

const linkOf = (root: string): string => join(root, 'current')
const push = (): Promise<string> => repository.commit({ 'top.txt': `${Math.random()}` })

function start(root: string, ...more: string[]): SyncProcess {
  const where = ['--repo', repository.url, '--ref', 'main', '--root', root, '--link', 'current']
  return startSync([...where, '--period', '30ms', ...more])
}

async function once(root: string, ...more: string[]): Promise<void> {
  await using sync = start(root, '--one-time', ...more)
  expect(await sync.exit, sync.stderr()).toBe(0)
}

/** Every file that is published, but git's. */
async function published(root: string): Promise<string[]> {
  const entries = await readdir(linkOf(root), { recursive: true, withFileTypes: true })
  const folder = `${join(entries[0]?.parentPath ?? linkOf(root))}`
  return entries
    .filter((entry) => entry.isFile() && entry.name !== '.git')
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort()
}

test.for<[name: string, text: string, files: string[]]>([
  [
    'folders, as its cone mode writes them',
    '/*\n!/*/\n/b/\n!/b/*/\n/b/c/\n',
    ['b/b.txt', 'b/c/c.txt', 'top.txt'],
  ],
  ['single files', '/a/a.txt\n/top.txt\n', ['a/a.txt', 'top.txt']],
  ['wildcards and exceptions', '*.txt\n!/b/**\n', ['a/a.txt', 'top.txt']],
  ['comments, blank lines and no line break at the end', '# mine\n\n/a/', ['a/a.txt']],
  ['everything', '/*\n', ['a/a.txt', 'b/b.txt', 'b/c/c.txt', 'top.txt']],
])('the file may hold %s', async ([, text, expected]) => {
  await writeFile(file, text)
  await using root = await temporaryFolder()
  await once(root.path, '--sparse-checkout-file', file)
  expect(await published(root.path)).toEqual(expected)
  expect(await git(linkOf(root.path), ['status', '--porcelain'])).toBe('')
})

test('a changed file takes effect at a restart with nothing new, and while it runs with the next commit', async () => {
  await writeFile(file, '/a/\n')
  await using root = await temporaryFolder()
  await once(root.path, '--sparse-checkout-file', file)
  await writeFile(file, '/b/\n')
  await using sync = start(root.path, '--sparse-checkout-file', file)
  await eventually('the other files', async () => {
    return (await published(root.path)).join() === 'b/b.txt,b/c/c.txt'
  })
  await writeFile(file, '/top.txt\n')
  const next = await push()
  await publishes(linkOf(root.path), next, sync)
  expect(await published(root.path)).toEqual(['top.txt'])
})

test('without the option all files are back at a restart, and with it again only some', async () => {
  await writeFile(file, '/a/\n')
  await using root = await temporaryFolder()
  await once(root.path, '--sparse-checkout-file', file)
  await once(root.path)
  expect(await published(root.path)).toEqual(['a/a.txt', 'b/b.txt', 'b/c/c.txt', 'top.txt'])
  await once(root.path, '--sparse-checkout-file', file)
  expect(await published(root.path)).toEqual(['a/a.txt'])
})

test('a file that is gone fails the sync with its path, the old commit stays, and it is read again', async () => {
  await writeFile(file, '/a/\n')
  await using root = await temporaryFolder()
  await using sync = start(root.path, '--sparse-checkout-file', file, '--max-failures', '-1')
  await sync.logged('updated successfully')
  const before = await publishedCommit(linkOf(root.path))
  await rm(file)
  const next = await push()
  expect((await sync.logged('error syncing repo, will retry')).error).toContain(file)
  expect(await publishedCommit(linkOf(root.path))).toBe(before)
  await writeFile(file, '/b/\n')
  await publishes(linkOf(root.path), next, sync)
  expect(await published(root.path)).toEqual(['b/b.txt', 'b/c/c.txt'])
})

test('the file is taken relative to where the program was started, not to the root', async () => {
  await writeFile(file, '/a/\n')
  await using root = await temporaryFolder()
  const depth = process.cwd().split('/').length - 1
  await once(root.path, '--sparse-checkout-file', `${'../'.repeat(depth)}${file.slice(1)}`)
  expect(await published(root.path)).toEqual(['a/a.txt'])
})
