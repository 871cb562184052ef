// The directory in which this start of the program keeps everything until the server has it: the attempt's log, the
// bundle, the runner's files. Each start has its own, so that a container that was started again finds nothing half.
import { closeSync, mkdtempSync, openSync, rmSync, statfsSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { ConfigError, messageOf } from '../errors.ts'
import { workerVariables } from '../execution-api.ts'

export interface Spool {
  /** File that the runner appends the attempt's lines to; it is there, and empty. */
  logPath: string
  bundlePath(hash: string): string
  runnerDirectory: string
  /** What there is to say where the disk is full; null where it is not. */
  fullDisk(): string | null
}

/** @throws ConfigError where nothing can be written there */
export function makeSpool(path: string): Spool {
  let directory: string
  try {
    directory = mkdtempSync(join(path, 'attempt-'))
    closeSync(openSync(join(directory, 'log'), 'a'))
  } catch (cause) {
    throw new ConfigError(
      `nothing can be written in ${path} (${workerVariables.spoolPath}): ${messageOf(cause)}. It is to be a volume of the pod (emptyDir) that the container's user may write to`,
      { cause },
    )
  }
  return {
    logPath: join(directory, 'log'),
    bundlePath: (hash) => join(directory, `${hash}.mjs`),
    runnerDirectory: join(directory, 'runner'),
    fullDisk: () => fullDisk(path, join(directory, 'probe')),
  }
}

/** More than a line of a log or a report needs: less room than this may have made a write fail. */
const probeBytes = 64 * 1024

/** By writing: quotas and limits of volumes are not in the numbers of the file system. */
function fullDisk(path: string, probePath: string): string | null {
  let fd: number | undefined
  try {
    fd = openSync(probePath, 'w')
    writeSync(fd, Buffer.alloc(probeBytes))
    return null
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'ENOSPC' && code !== 'EDQUOT') return null
    return `no space is left on the disk of ${path} (${code}, ${sizeOf(path)}): the task's log and files are more than the volume holds`
  } finally {
    if (fd !== undefined) closeSync(fd)
    rmSync(probePath, { force: true })
  }
}

function sizeOf(path: string): string {
  const { blocks, bavail, bsize } = statfsSync(path)
  return `${bavail * bsize} of ${blocks * bsize} bytes free`
}
