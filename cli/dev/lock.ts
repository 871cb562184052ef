// One `branchline dev` works on a data directory: two would start two servers on one database directory.
import { mkdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { ConfigError, ConflictError, messageOf } from '../../runtime/errors.ts'
import { type PidLock, takePidLock } from '../../runtime/pid-lock.ts'

/**
 * Takes the directory for this process, also from a `dev` that was killed; makes the directory where it is
 * missing. Release it last of all.
 * @throws ConflictError naming the live process that has it
 * @throws ConfigError where this user cannot write there
 */
export async function lockDevDirectory(directory: string): Promise<PidLock> {
  const path = resolve(directory)
  const taken = await takeLock(path).catch((cause: unknown) => {
    throw new ConfigError(
      `the data directory ${path} cannot be used: ${messageOf(cause)}. It must be a directory that this user can write to: choose one with --data-dir`,
      { details: { directory: path }, cause },
    )
  })
  if (!('holder' in taken)) return taken
  throw new ConflictError(
    `another 'branchline dev' (process ${taken.holder}) works on ${path}: end it, or give this one a directory of its own with --data-dir`,
    { details: { directory: path, pid: taken.holder } },
  )
}

async function takeLock(directory: string): ReturnType<typeof takePidLock> {
  await mkdir(directory, { recursive: true })
  return await takePidLock(join(directory, 'dev.lock'))
}
