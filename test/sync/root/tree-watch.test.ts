// What is noticed of a tree that is watched, and that nothing is noticed where nothing happens.
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  chmod,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  unlink,
  writeFile,
} from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { expect, test } from 'vitest'
import { createLogger, type Logger } from '../../../runtime/log.ts'
import { createTreeWatch } from '../../../sync/root/tree-watch.ts'
import { eventually } from '../../support/eventually.ts'
import { temporaryFolder } from '../sync-process.ts'

const silent = createLogger('sync', { level: 'silent' })
const modulePath = resolve(import.meta.dirname, '../../../sync/root/tree-watch.ts')
const logPath = resolve(import.meta.dirname, '../../../runtime/log.ts')

async function fillTree(path: string): Promise<void> {
  await mkdir(join(path, 'folder', 'deep'), { recursive: true })
  await mkdir(join(path, 'empty'))
  for (const name of ['a.txt', 'folder/b.txt', 'folder/deep/c.txt']) await writeFile(join(path, name), name)
  await writeFile(join(path, '.git'), 'gitdir: elsewhere\n')
}

/** A tree in a folder of its own, watched. */
async function watchedTree(log: Logger = silent) {
  const folder = await temporaryFolder()
  const path = join(folder.path, 'tree')
  await fillTree(path)
  const watch = createTreeWatch({ path, log })
  await watch.start()
  return {
    path,
    watch,
    [Symbol.asyncDispose]: async () => {
      await watch.stop()
      await folder[Symbol.asyncDispose]()
    },
  }
}

const changes: Record<string, (path: string) => Promise<unknown>> = {
  'a changed file': (path) => writeFile(join(path, 'a.txt'), 'changed'),
  'a changed file deep below': (path) => writeFile(join(path, 'folder/deep/c.txt'), 'changed'),
  'a removed file': (path) => unlink(join(path, 'folder/b.txt')),
  'a file that was renamed over': async (path) => {
    await writeFile(join(dirname(path), 'new'), 'new')
    await rename(join(dirname(path), 'new'), join(path, 'a.txt'))
  },
  'a file moved out': (path) => rename(join(path, 'a.txt'), join(dirname(path), 'gone')),
  'a mode that was changed': (path) => chmod(join(path, 'a.txt'), 0o755),
  'a new file': (path) => writeFile(join(path, 'empty/new'), ''),
  'a new link': (path) => symlink('a.txt', join(path, 'link')),
  'a removed folder': (path) => rm(join(path, 'folder'), { recursive: true }),
  'the removed tree': (path) => rm(path, { recursive: true }),
}

test.for(Object.entries(changes))('%s makes the tree dirty', async ([, change]) => {
  await using tree = await watchedTree()
  expect(tree.watch.isDirty()).toBe(false)
  await change(tree.path)
  await tree.watch.settle()
  expect(tree.watch.isDirty()).toBe(true)
})

test('a change is noticed without settling', async () => {
  await using tree = await watchedTree()
  await writeFile(join(tree.path, 'folder/b.txt'), 'changed')
  await eventually('the change', () => tree.watch.isDirty() === true)
})

test('reading, and what happens beside the tree or to its .git, leave it clean', async () => {
  await using tree = await watchedTree()
  for (const name of await readdir(tree.path, { recursive: true })) {
    const path = join(tree.path, name)
    if ((await stat(path)).isFile()) await readFile(path)
  }
  execFileSync('cat', [join(tree.path, 'a.txt')])
  await writeFile(join(tree.path, '.git'), 'gitdir: elsewhere\n')
  await writeFile(join(dirname(tree.path), 'beside'), '')
  await tree.watch.settle()
  expect(tree.watch.isDirty()).toBe(false)
})

test('what was changed before settling is forgotten when the tree is marked clean, every time', async () => {
  await using tree = await watchedTree()
  for (let round = 0; round < 50; round += 1) {
    for (const name of ['a.txt', 'folder/b.txt', `new-${round}`]) {
      await writeFile(join(tree.path, name), String(round))
    }
    await mkdir(join(tree.path, `folder-${round}/below`), { recursive: true })
    await writeFile(join(tree.path, `folder-${round}/below/file`), '')
    await tree.watch.settle()
    expect(tree.watch.isDirty()).toBe(true)
    tree.watch.markClean()
    await tree.watch.settle()
    expect(tree.watch.isDirty()).toBe(false)
  }
})

test('a folder that came later is watched too', async () => {
  await using tree = await watchedTree()
  await mkdir(join(tree.path, 'later/deep'), { recursive: true })
  await tree.watch.settle()
  tree.watch.markClean()
  await writeFile(join(tree.path, 'later/deep/file'), '')
  await tree.watch.settle()
  expect(tree.watch.isDirty()).toBe(true)
})

test('a folder that came while the tree was marked clean without settling is watched after the next look', async () => {
  await using tree = await watchedTree()
  await mkdir(join(tree.path, 'later'))
  await eventually('the new folder', () => tree.watch.isDirty() === true)
  tree.watch.markClean()
  // What happened in it before it was watched is not known, so there is one more look.
  await eventually('one more look', () => tree.watch.isDirty() === true)
  tree.watch.markClean()
  await writeFile(join(tree.path, 'later/file'), '')
  await eventually('the file', () => tree.watch.isDirty() === true)
})

test('a folder that another took the place of is watched as the other', async () => {
  await using tree = await watchedTree()
  await rename(join(tree.path, 'folder'), join(tree.path, 'empty/moved'))
  await mkdir(join(tree.path, 'folder/deep'), { recursive: true })
  for (const name of ['folder/deep/new', 'empty/moved/deep/c.txt']) {
    await tree.watch.settle()
    tree.watch.markClean()
    expect(tree.watch.isDirty()).toBe(false)
    await writeFile(join(tree.path, name), 'changed')
    await tree.watch.settle()
    expect(tree.watch.isDirty()).toBe(true)
  }
})

test('a tree that was removed stays dirty until it is back, and is then watched again', async () => {
  await using tree = await watchedTree()
  await rm(tree.path, { recursive: true })
  await tree.watch.settle()
  tree.watch.markClean()
  await tree.watch.settle()
  expect(tree.watch.isDirty()).toBe(true)
  await fillTree(tree.path)
  tree.watch.markClean()
  await tree.watch.settle()
  expect(tree.watch.isDirty()).toBe(true)
  tree.watch.markClean()
  expect(tree.watch.isDirty()).toBe(false)
  await writeFile(join(tree.path, 'folder/deep/c.txt'), 'changed')
  await tree.watch.settle()
  expect(tree.watch.isDirty()).toBe(true)
})

test('more changes at once than the kernel keeps are noticed, and the folders among them are watched', async () => {
  await using tree = await watchedTree()
  const limit = Number(await readFile('/proc/sys/fs/inotify/max_queued_events', 'utf8'))
  // This process stands still while another one writes, so that nobody empties the queue.
  const script = 'i=0; while [ $i -lt $2 ]; do : > $1/f$i; i=$((i+1)); done; mkdir -p $1/late/deep'
  execFileSync('sh', ['-c', script, 'sh', tree.path, String(Math.ceil(limit / 2) + 100)])
  await tree.watch.settle()
  expect(tree.watch.isDirty()).toBe(true)
  tree.watch.markClean()
  await writeFile(join(tree.path, 'late/deep/file'), '')
  await tree.watch.settle()
  expect(tree.watch.isDirty()).toBe(true)
})

test('before the start and after the end it says that it does not know', async () => {
  await using folder = await temporaryFolder()
  const path = join(folder.path, 'tree')
  await fillTree(path)
  const watch = createTreeWatch({ path, log: silent })
  expect(watch.isDirty()).toBe('unknown')
  await watch.start()
  expect(watch.isDirty()).toBe(false)
  expect(await readdir(folder.path)).toEqual(['tree'])
  const settled = watch.settle()
  await watch.stop()
  await settled
  await watch.stop()
  expect(watch.isDirty()).toBe('unknown')
  expect((await readdir(folder.path)).filter((name) => name !== 'tree')).toEqual([])
})

/** A program that watches a tree and then has nothing more to do. */
const program = `
  import { createTreeWatch } from ${JSON.stringify(modulePath)}
  import { createLogger } from ${JSON.stringify(logPath)}
  const watch = createTreeWatch({ path: process.argv[1], log: createLogger('sync') })
  await watch.start()
  await watch.settle()
  console.log(watch.isDirty())
`
const nodeArgs = ['--input-type=module', '--eval', program]

test('a program with nothing left to do ends, though it watches', async () => {
  await using folder = await temporaryFolder()
  const path = join(folder.path, 'tree')
  await fillTree(path)
  const child = spawn(process.execPath, [...nodeArgs, path], { stdio: ['ignore', 'pipe', 'inherit'] })
  let said = ''
  child.stdout.on('data', (chunk) => {
    said += chunk
  })
  const [code] = await once(child, 'close')
  expect({ code, said }).toEqual({ code: 0, said: 'false\n' })
})

/** A user namespace has a limit of its own, so that nobody else runs out of watches. */
const limited = [
  '--user',
  '--map-root-user',
  'sh',
  '-c',
  'echo 3 > /proc/sys/user/max_inotify_watches && "$@"',
]
const canLimit = spawnSync('unshare', [...limited, 'sh', 'true']).status === 0

test.skipIf(!canLimit)(
  'where the kernel allows too few watches it says so once, and does not know',
  async () => {
    await using folder = await temporaryFolder()
    const path = join(folder.path, 'tree')
    await fillTree(path)
    const { stdout, stderr, status } = spawnSync(
      'unshare',
      [...limited, 'sh', process.execPath, ...nodeArgs, path],
      { encoding: 'utf8' },
    )
    expect({ status, stdout }).toEqual({ status: 0, stdout: 'unknown\n' })
    const lines = stderr.trim().split('\n')
    expect(lines).toHaveLength(1)
    expect(JSON.parse(lines[0]!)).toMatchObject({
      level: 'warn',
      path,
      reason: 'the kernel allows no more watches: raise fs.inotify.max_user_watches',
    })
  },
)
