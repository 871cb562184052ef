// Notices that the source changed: a link that was published anew, or files of a plain directory. Only a hint; the
// loader looks for itself.
import { type FSWatcher, watch } from 'node:fs'
import { lstat, readlink } from 'node:fs/promises'
import { dirname } from 'node:path'
import { messageOf } from '../runtime/errors.ts'
import { createDirectoryWatcher, type DirectoryWatcher } from '../runtime/loader/watch-directory.ts'
import type { Logger } from '../runtime/log.ts'

/** What the kernel does not tell (network volumes, a link that appears later) is found by looking this often. */
const lookEveryMs = 1_000

export interface SourceWatcher {
  start(): Promise<void>
  stop(): Promise<void>
}

/**
 * @param deps.path a link, a directory, or nothing yet: then it is waited for
 * @param deps.ignore directories in it, absolute, that change all the time and hold no sources
 */
export function createSourceWatcher(deps: {
  path: string
  ignore: readonly string[]
  onChange: () => void
  log: Logger
}): SourceWatcher {
  const { path, ignore, onChange, log } = deps
  let linkWatcher: FSWatcher | undefined
  let directoryWatcher: DirectoryWatcher | undefined
  let timer: NodeJS.Timeout | undefined
  let target: string | undefined

  function watchFolder(): void {
    try {
      const watcher = watch(dirname(path), lookSoon)
      linkWatcher = watcher
      watcher.on('error', () => {
        watcher.close()
        linkWatcher = undefined
      })
    } catch {
      // The directory is not there yet, or the system is out of watches: until it can be watched, looking is enough.
    }
  }

  function lookSoon(): void {
    look().catch((error) => log.warn({ error: messageOf(error) }, 'source cannot be watched'))
  }

  async function look(): Promise<void> {
    if (!linkWatcher) watchFolder()
    const found = await lstat(path).catch(() => undefined)
    if (found?.isSymbolicLink()) {
      const now = await readlink(path).catch(() => undefined)
      if (now === target) return
      target = now
      onChange()
    } else if (found?.isDirectory() && !directoryWatcher) {
      directoryWatcher = createDirectoryWatcher({
        path,
        ignore,
        onChange,
        onError: (error) => log.warn({ error: messageOf(error) }, 'directory cannot be watched any more'),
      })
      await directoryWatcher.start()
      onChange()
    }
  }

  return {
    async start() {
      await look()
      timer = setInterval(lookSoon, lookEveryMs)
    },
    async stop() {
      clearInterval(timer)
      linkWatcher?.close()
      await directoryWatcher?.stop()
    },
  }
}
