// One sync writes a root. The lock is a file with the holder's process id and start time: after kill -9 the next
// start sees that no such process lives and takes over at once. A holder in another container (another process
// id namespace) cannot be seen; its lock is taken for a dead one's, since refusing would keep a restarted
// container from ever starting again.
import { randomUUID } from 'node:crypto'
import { link, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { ConflictError } from '../../runtime/errors.ts'
import { processStartTime } from '../../runtime/process-start.ts'

interface Holder {
  pid: number
  start: string
}

/** A lock that is held; `release` may be called twice. */
export interface RootLock {
  release(): Promise<void>
}

/** Two that start at once may each find the other's half-taken lock; after so many rounds one has it. */
const maxRounds = 5

/**
 * Takes the lock, from a dead holder too.
 * @throws ConflictError where another live sync has it
 */
export async function takeRootLock(lockPath: string, root: string): Promise<RootLock> {
  const own: Holder = { pid: process.pid, start: processStartTime(process.pid) ?? '' }
  const text = `${JSON.stringify(own)}\n`
  const draft = `${lockPath}.${own.pid}.${randomUUID()}`
  await writeFile(draft, text)
  try {
    for (let round = 0; round < maxRounds; round += 1) {
      try {
        // link() makes the name and the content at once, and only one of two processes can succeed.
        await link(draft, lockPath)
        return { release: () => release(lockPath, text) }
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
      }
      const found = await readFile(lockPath, 'utf8').catch(() => '')
      const holder = parseHolder(found)
      if (holder !== undefined && processStartTime(holder.pid) === holder.start) {
        throw new ConflictError(
          `another sync (process ${holder.pid}) works on ${root}: only one may write a root. End it, or give this one a --root of its own`,
          { details: { root, pid: holder.pid } },
        )
      }
      await discard(lockPath, found)
    }
    throw new ConflictError(
      `${lockPath} is taken again and again by others: start one sync for ${root}, not several`,
    )
  } finally {
    await rm(draft, { force: true })
  }
}

/** Removes a dead holder's lock; where another start was faster and the lock is its by now, puts it back. */
async function discard(lockPath: string, judged: string): Promise<void> {
  const aside = `${lockPath}.${randomUUID()}.dead`
  try {
    await rename(lockPath, aside)
  } catch {
    return
  }
  if ((await readFile(aside, 'utf8').catch(() => judged)) !== judged)
    await link(aside, lockPath).catch(() => {})
  await rm(aside, { force: true })
}

async function release(lockPath: string, text: string): Promise<void> {
  if ((await readFile(lockPath, 'utf8').catch(() => '')) === text) await rm(lockPath, { force: true })
}

function parseHolder(text: string): Holder | undefined {
  try {
    const { pid, start } = JSON.parse(text)
    return Number.isInteger(pid) && pid > 0 && typeof start === 'string' ? { pid, start } : undefined
  } catch {
    return undefined
  }
}
