import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { lockDevDirectory } from '../../../cli/dev/lock.ts'

let directory: string

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'branchline-lock-'))
})

afterEach(() => rm(directory, { recursive: true, force: true }))

const lockInProcess = `
  const { lockDevDirectory } = await import('${new URL('../../../cli/dev/lock.ts', import.meta.url).href}')
  try {
    await lockDevDirectory(process.argv[1])
    console.log('locked')
    setInterval(() => {}, 1_000)
  } catch (error) {
    console.log(error.code)
  }`

/** A process that takes the lock and holds it; with its first line. */
async function holder() {
  const child = spawn(process.execPath, ['--input-type=module', '-e', lockInProcess, directory], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [line] = (await once(child.stdout, 'data')) as [Buffer]
  return { child, said: line.toString().trim() }
}

test('a second dev on a directory is refused with the process id of the first', async () => {
  const { child, said } = await holder()
  expect(said).toBe('locked')
  await expect(lockDevDirectory(directory)).rejects.toMatchObject({
    code: 'CONFLICT',
    message: expect.stringContaining(`(process ${child.pid}) works on ${directory}`),
  })
  child.kill('SIGKILL')
  await once(child, 'exit')
})

test('the lock of a killed dev is taken over', async () => {
  const { child } = await holder()
  child.kill('SIGKILL')
  await once(child, 'exit')
  const lock = await lockDevDirectory(directory)
  expect(JSON.parse(await readFile(join(directory, 'dev.lock'), 'utf8')).pid).toBe(process.pid)
  await lock.release()
})

test('a lock whose process id now belongs to another program is taken over', async () => {
  await writeFile(join(directory, 'dev.lock'), JSON.stringify({ pid: process.pid, start: 'before' }))
  await using lock = await lockDevDirectory(directory)
  await expect(lockDevDirectory(directory)).rejects.toMatchObject({ code: 'CONFLICT' })
  expect(lock).toBeDefined()
})

test.each(['', '{"pid":', 'null'])('a lock file with %j in it is taken over', async (content) => {
  await writeFile(join(directory, 'dev.lock'), content)
  await using lock = await lockDevDirectory(directory)
  expect(lock).toBeDefined()
})

test('a released lock leaves nothing behind and can be taken again', async () => {
  const lock = await lockDevDirectory(directory)
  await lock.release()
  expect(await readdir(directory)).toEqual([])
  const again = await lockDevDirectory(directory)
  // A second release of the first must not end the second.
  await lock.release()
  expect(await readdir(directory)).toEqual(['dev.lock'])
  await again.release()
})

test('of several that start at once on a stale lock, one gets it', async () => {
  await writeFile(join(directory, 'dev.lock'), JSON.stringify({ pid: 4_000_000, start: 'before' }))
  const holders = await Promise.all(Array.from({ length: 5 }, holder))
  try {
    expect(holders.map(({ said }) => said).sort()).toEqual([...Array(4).fill('CONFLICT'), 'locked'])
  } finally {
    for (const { child } of holders) child.kill('SIGKILL')
  }
})

test('a directory that cannot be one is told with the remedy', async () => {
  const path = join(directory, 'file')
  await writeFile(path, '')
  await expect(lockDevDirectory(path)).rejects.toMatchObject({
    code: 'CONFIG',
    message: expect.stringMatching(/file cannot be used: EEXIST.*--data-dir/s),
  })
})
