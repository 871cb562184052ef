// Reads an attempt's log file as it is and, where that is asked for, as it grows. The file is opened by names that
// come from the database, and still only below logs_dir: a link that a task put there leads nowhere.
import { type FileHandle, open, realpath } from 'node:fs/promises'
import { sep } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type AttemptPlace, attemptLogPath } from '../../runtime/log-line.ts'

/** How late a followed line may be. Shorter: more looks at the file, each some microseconds. */
const followIntervalMs = 50

/** Of one read; a log of any size costs this much memory. */
const chunkBytes = 64 * 1024

/**
 * The bytes from `offset` on. A file that does not exist (yet) has none.
 * @param input.hasEnded asked before each look, so that what was written before the end is read after it; not
 *   given: ends with what the file has now
 * @param input.signal ends it early
 */
export async function* readAttemptLog(input: {
  logsDir: string
  place: AttemptPlace
  offset: number
  hasEnded?: () => Promise<boolean>
  signal: AbortSignal
}): AsyncGenerator<Buffer> {
  let file: FileHandle | undefined
  let position = input.offset
  try {
    while (!input.signal.aborted) {
      const hasEnded = (await input.hasEnded?.()) ?? true
      file ??= await openBelow(input.logsDir, attemptLogPath(input.logsDir, input.place))
      if (file !== undefined) {
        for await (const chunk of chunks(file, position)) {
          position += chunk.length
          yield chunk
          if (input.signal.aborted) return
        }
      }
      if (hasEnded) return
      await sleep(followIntervalMs, undefined, { signal: input.signal }).catch(() => {})
    }
  } finally {
    await file?.close()
  }
}

async function* chunks(file: FileHandle, from: number): AsyncGenerator<Buffer> {
  for (let position = from; ; ) {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(chunkBytes), 0, chunkBytes, position)
    if (bytesRead === 0) return
    position += bytesRead
    yield buffer.subarray(0, bytesRead)
  }
}

/** Undefined where there is no such file, or it is elsewhere in truth. */
async function openBelow(directory: string, path: string): Promise<FileHandle | undefined> {
  try {
    const [root, target] = await Promise.all([realpath(directory), realpath(path)])
    return target.startsWith(root + sep) ? await open(target, 'r') : undefined
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined
    throw error
  }
}
