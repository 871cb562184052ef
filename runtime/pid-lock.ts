// A lock file that one live process holds: it has the holder's process id and start time, so that after kill -9
// the next start sees that no such process lives and takes over at once. It guards against starting twice by
// mistake on one machine; processes in other containers cannot be seen, and theirs count as dead.
import { randomUUID } from 'node:crypto'
import { link, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { processStartTime } from './process-start.ts'

export interface PidLock extends AsyncDisposable {
  /** May be called twice. */
  release(): Promise<void>
}

/** Two that start at once may each find the other's half-taken lock; after so many rounds one has it. */
const maxRounds = 5

/**
 * Takes the lock, from a dead holder too.
 * @returns the lock, or the process id of the live holder (which may be this very process)
 */
export async function takePidLock(path: string): Promise<PidLock | { holder: number }> {
  const text = `${JSON.stringify({ pid: process.pid, start: processStartTime(process.pid) })}\n`
  const draft = `${path}.${randomUUID()}`
  await writeFile(draft, text)
  try {
    for (let round = 1; ; round += 1) {
      // link() makes name and content at once, and only one of two processes can succeed.
      const isTaken = await link(draft, path).then(
        () => true,
        (error: NodeJS.ErrnoException) => {
          if (error.code === 'EEXIST') return false
          throw error
        },
      )
      if (isTaken) {
        let released: Promise<void> | undefined
        const release = () => (released ??= releaseLock(path, text))
        return { release, [Symbol.asyncDispose]: release }
      }
      const found = await readFile(path, 'utf8').catch(() => '')
      const holder = parseHolder(found)
      const isAlive = holder !== undefined && processStartTime(holder.pid) === holder.start
      if (isAlive || round === maxRounds) return { holder: holder?.pid ?? 0 }
      await discard(path, found)
    }
  } finally {
    await rm(draft, { force: true })
  }
}

/** Removes a dead holder's lock; where another start was faster and the lock is its by now, puts it back. */
async function discard(path: string, judged: string): Promise<void> {
  const aside = `${path}.${randomUUID()}`
  try {
    await rename(path, aside)
  } catch {
    return
  }
  if ((await readFile(aside, 'utf8').catch(() => judged)) !== judged) await link(aside, path).catch(() => {})
  await rm(aside, { force: true })
}

async function releaseLock(path: string, text: string): Promise<void> {
  if ((await readFile(path, 'utf8').catch(() => '')) === text) await rm(path, { force: true })
}

function parseHolder(text: string): { pid: number; start: string } | undefined {
  try {
    const { pid, start } = JSON.parse(text)
    return Number.isSafeInteger(pid) && typeof start === 'string' ? { pid, start } : undefined
  } catch {
    return undefined
  }
}
