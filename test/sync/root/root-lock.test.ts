// Who may write a root, among processes that live, died, or have another's id.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { readdir, readFile, unlink, utimes, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import { ConflictError } from '../../../runtime/errors.ts'
import { createLogger } from '../../../runtime/log.ts'
import { processStartTime } from '../../../runtime/process-start.ts'
import { type RootLock, takeRootLock } from '../../../sync/root/root-lock.ts'
import { eventually } from '../../support/eventually.ts'
import { type FirstProcess, namespacesMissing, startAsFirst } from '../process/pid-namespace.ts'
import { temporaryFolder } from '../sync-process.ts'

const log = createLogger('sync', { level: 'silent' })

function take(path: string, root: string, signal = new AbortController().signal): Promise<RootLock> {
  return takeRootLock(path, root, { log, signal })
}

/** A process that lives until the test ends. */
function startSleeper() {
  const child = spawn('sleep', ['1000'])
  return {
    pid: child.pid!,
    [Symbol.asyncDispose]: async () => {
      const exited = once(child, 'exit')
      child.kill('SIGKILL')
      await exited
    },
  }
}

test('of many that start at once one gets the lock, and when it is released another may', async () => {
  await using folder = await temporaryFolder()
  const path = join(folder.path, 'lock')
  for (const _ of [1, 2]) {
    const taken = await Promise.allSettled(Array.from({ length: 10 }, () => take(path, folder.path)))
    const held = taken.filter((one) => one.status === 'fulfilled')
    expect(held).toHaveLength(1)
    await held[0]!.value.release()
    expect(await readdir(folder.path)).toEqual([])
  }
})

test('a lock of a process that lives is refused with its id', async () => {
  await using folder = await temporaryFolder()
  const path = join(folder.path, 'lock')
  await using sleeper = startSleeper()
  await writeFile(path, JSON.stringify({ pid: sleeper.pid, start: processStartTime(sleeper.pid) }))
  await expect(take(path, folder.path)).rejects.toThrow(ConflictError)
  await expect(take(path, folder.path)).rejects.toThrow(`process ${sleeper.pid}`)
})

test('a lock of a dead process, of one whose id another has by now, and garbage are taken over', async () => {
  await using folder = await temporaryFolder()
  const path = join(folder.path, 'lock')
  await using sleeper = startSleeper()
  const dead = spawn('true')
  await once(dead, 'exit')
  const locks = [
    JSON.stringify({ pid: dead.pid, start: '1' }),
    JSON.stringify({ pid: sleeper.pid, start: '1' }),
    '{"pid":',
    '',
  ]
  for (const text of locks) {
    await writeFile(path, text)
    const lock = await take(path, folder.path)
    await lock.release()
  }
})

test('a lock of another container that is dead is waited for, and an end of this sync ends the waiting', async () => {
  await using folder = await temporaryFolder()
  const path = join(folder.path, 'lock')
  const text = JSON.stringify({ pid: 1, start: '1', pid_namespace: 'pid:[1]@elsewhere' })
  await writeFile(path, text)
  const controller = new AbortController()
  const taking = take(path, folder.path, controller.signal)
  controller.abort(new Error('sync is stopping'))
  await expect(taking).rejects.toThrow('sync is stopping')
  expect(await readdir(folder.path)).toEqual(['lock'])
  expect(await readFile(path, 'utf8')).toBe(text)
})

test('a sync whose lock another has taken is told so, and leaves it to that one', async () => {
  await using folder = await temporaryFolder()
  const path = join(folder.path, 'lock')
  const lock = await take(path, folder.path)
  const text = JSON.stringify({ pid: 1, start: '1', pid_namespace: 'pid:[1]@elsewhere' })
  await writeFile(path, text)
  await expect(lock.lost).rejects.toThrow(ConflictError)
  await lock.release()
  expect(await readFile(path, 'utf8')).toBe(text)
})

test('a lock that was removed by hand is made again', async () => {
  await using folder = await temporaryFolder()
  const path = join(folder.path, 'lock')
  const lock = await take(path, folder.path)
  await unlink(path)
  await eventually('the lock', () => existsSync(path))
  await expect(take(path, folder.path)).rejects.toThrow(`process ${process.pid}`)
  await lock.release()
})

const missing = namespacesMissing()
describe.skipIf(missing !== undefined)('a sync of another container', () => {
  test('that lives is refused with its id', async () => {
    await using folder = await temporaryFolder()
    await using sync = await startHolder(folder.path)
    await expect(take(join(folder.path, 'lock'), folder.path)).rejects.toThrow(
      'another sync (process 1 in another container) works on',
    )
    expect(sync.stderr()).toBe('')
  })

  test('that was killed is taken over when it has given no sign for a while', async () => {
    await using folder = await temporaryFolder()
    const sync = await startHolder(folder.path)
    await sync[Symbol.asyncDispose]()
    const start = performance.now()
    const lock = await take(join(folder.path, 'lock'), folder.path)
    const tookMs = performance.now() - start
    expect(tookMs).toBeGreaterThan(100)
    expect(tookMs).toBeLessThan(8_000)
    await lock.release()
    expect(await readdir(folder.path)).toEqual([])
  })

  test('that died long ago is taken over at once', async () => {
    await using folder = await temporaryFolder()
    const path = join(folder.path, 'lock')
    const sync = await startHolder(folder.path)
    await sync[Symbol.asyncDispose]()
    await utimes(path, new Date(0), new Date(0))
    const start = performance.now()
    await (await take(path, folder.path)).release()
    expect(performance.now() - start).toBeLessThan(1_000)
  })

  test('that stood still and comes back learns that it lost the root', async () => {
    await using folder = await temporaryFolder()
    const path = join(folder.path, 'lock')
    await using sync = await startHolder(folder.path)
    process.kill(sync.pid, 'SIGSTOP')
    const lock = await take(path, folder.path)
    process.kill(sync.pid, 'SIGCONT')
    await eventually('the loss', () => sync.stdout().includes('while this one stood still'))
    await expect(take(path, folder.path)).rejects.toThrow(`process ${process.pid}`)
    await lock.release()
  })
})

/** The only process of a container, which holds the lock in the folder. */
async function startHolder(folder: string): Promise<FirstProcess> {
  const module = (path: string) => JSON.stringify(resolve(import.meta.dirname, '../../..', path))
  const program = `
    import { createLogger } from ${module('runtime/log.ts')}
    import { takeRootLock } from ${module('sync/root/root-lock.ts')}
    const [, folder] = process.argv
    const { signal } = new AbortController()
    const lock = await takeRootLock(folder + '/lock', folder, { log: createLogger('sync'), signal })
    console.log('held')
    setInterval(() => {}, 1_000)
    await lock.lost.catch((error) => console.log(error.message))
  `
  const node = [process.execPath, '--input-type=module', '--eval', program, folder] as const
  const first = await startAsFirst([...node], { PATH: process.env.PATH })
  await eventually('the lock', () => first.stdout().includes('held'))
  return first
}
