// One sync writes a root, also where several containers have the volume: runtime/pid-lock.ts in sync's words.
import { lstat, rm } from 'node:fs/promises'
import { ConflictError } from '../../runtime/errors.ts'
import type { Logger } from '../../runtime/log.ts'
import { takePidLock } from '../../runtime/pid-lock.ts'

/** A root that is held for this sync. */
export interface RootLock {
  /** Rejects with a ConflictError, `is_lost` in its details, when another sync has taken the root; otherwise never settles. */
  lost: Promise<never>
  /** May be called twice. */
  release(): Promise<void>
}

/**
 * Takes the lock, from a dead holder too; from one that died in another container within 1.5 s.
 * @param deps.signal ends the waiting for that
 * @throws ConflictError where another live sync has it
 * @throws the signal's reason, where that came first
 */
export async function takeRootLock(
  lockPath: string,
  root: string,
  { log, signal }: { log: Logger; signal: AbortSignal },
): Promise<RootLock> {
  // Nobody's lock is a folder.
  const found = await lstat(lockPath).catch(() => undefined)
  if (found?.isDirectory()) await rm(lockPath, { recursive: true, force: true })
  const onWait = () =>
    log.info(
      { path: lockPath },
      'waiting whether the sync of another container that has the root still lives',
    )
  const taken = await takePidLock(lockPath, { onWait, signal })
  if ('holder' in taken) throw conflict(root, taken.holder, taken.isElsewhere ? ' in another container' : '')
  const lost = new Promise<never>((_, reject) => {
    taken.lost.addEventListener('abort', () =>
      reject(
        new ConflictError(
          `another sync took ${root} while this one stood still: only one may write a root. End one of them, or give it a --root of its own`,
          { details: { root, is_lost: true } },
        ),
      ),
    )
  })
  // Whoever does not ask need not be told.
  lost.catch(() => {})
  return { lost, release: taken.release }
}

function conflict(root: string, pid: number, where: string): ConflictError {
  return new ConflictError(
    `another sync (process ${pid}${where}) works on ${root}: only one may write a root. End it, or give this one a --root of its own`,
    { details: { root, pid } },
  )
}
