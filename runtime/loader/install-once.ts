// A directory that is made once, by one process at a time, and is either complete or not there. The maker works
// in a temporary directory beside it and renames that at the end. The lock is a directory whose time its holder
// renews; one that is not renewed belonged to a process that died, and whoever waits takes it away. Should two
// work at once all the same, the second rename fails, and the first one's result is as good.
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, utimesSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

const renewMs = 1_000
/** Smaller: the lock of a process that is merely slow is taken. Larger: after a crash the next waits for as long. */
const staleMs = 15_000
const pollMs = 100

let attempts = 0

/** @throws what `make` throws, and the signal's reason when it fires while waiting */
export async function installOnce(
  directory: string,
  signal: AbortSignal,
  make: (temporaryDirectory: string) => Promise<void>,
): Promise<void> {
  mkdirSync(dirname(directory), { recursive: true })
  const lock = `${directory}.lock`
  while (!tryLock(lock)) {
    await sleep(pollMs, undefined, { signal })
    if (existsSync(directory)) return
  }
  const renewal = setInterval(() => renew(lock), renewMs)
  const temporaryDirectory = `${directory}.tmp-${process.pid}-${attempts++}`
  try {
    if (existsSync(directory)) return
    removeLeftovers(directory)
    mkdirSync(temporaryDirectory)
    await make(temporaryDirectory)
    publish(temporaryDirectory, directory)
  } finally {
    clearInterval(renewal)
    rmSync(temporaryDirectory, { recursive: true, force: true })
    rmSync(lock, { recursive: true, force: true })
  }
}

function tryLock(lock: string): boolean {
  try {
    mkdirSync(lock)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
  const renewed = statSync(lock, { throwIfNoEntry: false })?.mtimeMs
  if (renewed !== undefined && Date.now() - renewed > staleMs) rmSync(lock, { recursive: true, force: true })
  return false
}

function renew(lock: string): void {
  try {
    const now = new Date()
    utimesSync(lock, now, now)
  } catch {
    // Somebody took us for dead; the rename at the end settles it.
  }
}

/** What processes left that were killed while they made it; the lock is ours, so nobody makes it now. */
function removeLeftovers(directory: string): void {
  for (const name of readdirSync(dirname(directory))) {
    if (!name.startsWith(`${basename(directory)}.tmp-`)) continue
    rmSync(join(dirname(directory), name), { recursive: true, force: true })
  }
}

function publish(temporaryDirectory: string, directory: string): void {
  try {
    renameSync(temporaryDirectory, directory)
  } catch (error) {
    if (!['ENOTEMPTY', 'EEXIST'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error
  }
}
