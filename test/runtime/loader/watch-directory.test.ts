import { once } from 'node:events'
import { watch } from 'node:fs'
import { mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { createDirectoryWatcher } from '../../../runtime/loader/watch-directory.ts'
import { eventually } from '../../support/eventually.ts'
import { temporaryFolder } from '../../sync/sync-process.ts'

test('each kind of change is told, and many at once are told once', async () => {
  await using folder = await temporaryFolder()
  await mkdir(join(folder.path, 'dags'))
  let told = 0
  await using watcher = createDirectoryWatcher({
    path: folder.path,
    onChange: () => (told += 1),
    onError: (error) => {
      throw error
    },
  })
  await watcher.start()
  const file = join(folder.path, 'dags/a.ts')
  const changes = [
    () => writeFile(file, '1'),
    () => writeFile(file, '22'),
    () => rename(file, `${file}x`),
    () => rm(`${file}x`),
    () =>
      Promise.all(
        Array.from({ length: 30 }, (_, index) => writeFile(join(folder.path, `dags/${index}.ts`), 'x')),
      ),
  ]
  for (const [index, change] of changes.entries()) {
    await change()
    await eventually(`change ${index}`, () => told > index || undefined)
  }
  expect(told).toBe(changes.length)
})

test('packages and files of Git are not watched', async () => {
  await using folder = await temporaryFolder()
  const silent = [join(folder.path, 'node_modules/x'), join(folder.path, 'dags/.git')]
  for (const path of silent) await mkdir(path, { recursive: true })
  const told: string[] = []
  let latest = ''
  await using watcher = createDirectoryWatcher({
    path: folder.path,
    onChange: () => told.push(latest),
    onError: () => {},
    debounceMs: 0,
  })
  await watcher.start()
  latest = 'silent'
  // Without a debounce a change would be told at once: when the system has reported it to another watcher, it is
  // either told or ignored.
  for (const path of silent) {
    const reported = once(watch(path), 'change')
    await writeFile(join(path, 'file'), 'x')
    const [, name] = await reported
    expect(name).toBe('file')
  }
  latest = 'watched'
  await writeFile(join(folder.path, 'dags/a.ts'), 'x')
  await eventually('the watched change', () => told.length > 0 || undefined)
  expect(new Set(told)).toEqual(new Set(['watched']))
})

test('a directory that does not exist is refused', async () => {
  const watcher = createDirectoryWatcher({ path: '/no/such/folder', onChange: () => {}, onError: () => {} })
  await expect(watcher.start()).rejects.toThrow('/no/such/folder cannot be watched')
})
