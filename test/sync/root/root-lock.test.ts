// Who may write a root, among processes that live, died, or have another's id.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { ConflictError } from '../../../runtime/errors.ts'
import { processStartTime } from '../../../runtime/process-start.ts'
import { descendantsOf } from '../../../sync/git/processes.ts'
import { takeRootLock } from '../../../sync/root/root-lock.ts'
import { eventually } from '../../support/eventually.ts'
import { temporaryFolder } from '../sync-process.ts'

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
    const taken = await Promise.allSettled(Array.from({ length: 10 }, () => takeRootLock(path, folder.path)))
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
  await expect(takeRootLock(path, folder.path)).rejects.toThrow(ConflictError)
  await expect(takeRootLock(path, folder.path)).rejects.toThrow(`process ${sleeper.pid}`)
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
    const lock = await takeRootLock(path, folder.path)
    await lock.release()
  }
})

test('the descendants of a process are found by ps', async () => {
  const shell = spawn('sh', ['-c', 'sleep 1000 & wait'])
  let grandchild: number | undefined
  try {
    grandchild = await eventually('the grandchild', async () => (await descendantsOf(shell.pid!))[0])
    expect(await descendantsOf(process.pid)).toEqual([shell.pid, grandchild])
  } finally {
    shell.kill('SIGKILL')
    if (grandchild !== undefined) process.kill(grandchild, 'SIGKILL')
  }
})
