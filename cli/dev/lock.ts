// One `branchline dev` works on a data directory: two would start two servers on one database directory.
import { mkdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { ConflictError } from '../../runtime/errors.ts'
import { type PidLock, takePidLock } from '../../runtime/pid-lock.ts'

/**
 * Takes the directory for this process, also from a `dev` that was killed; makes the directory where it is
 * missing. Release it last of all.
 * @throws ConflictError naming the live process that has it
 */
export async function lockDevDirectory(directory: string): Promise<PidLock> {
  const path = resolve(directory)
  await mkdir(path, { recursive: true })
  const taken = await takePidLock(join(path, 'dev.lock'))
  if (!('holder' in taken)) return taken
  throw new ConflictError(
    `another 'branchline dev' (process ${taken.holder}) works on ${path}: end it, or give this one a directory of its own with --data-dir`,
    { details: { directory: path, pid: taken.holder } },
  )
}
