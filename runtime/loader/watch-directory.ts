// Watches a plain directory, for Dags that are not in Git: where `sync` would publish a commit, this says that
// something changed. It says only that: whoever is told looks at the directory as it then is.
import { stat } from 'node:fs/promises'
import { relative, sep } from 'node:path'
import { type FSWatcher, watch } from 'chokidar'
import { ConfigError } from '../errors.ts'

/**
 * Quiet time after a change before it is told. Shorter: an editor that writes a file in several steps, or a
 * `git checkout` of many, is told in the middle of it. Longer: a save takes that much longer to be live.
 */
const defaultDebounceMs = 50

/** Told at the latest after so many debounces, so that a directory that never rests is still told. */
const maxDebounces = 20

/** Folders whose contents are not ours to watch: packages by the ten thousand, and Git's own files. */
const ignoredFolders: readonly string[] = ['node_modules', '.git']

export interface DirectoryWatcher {
  /** Resolves when every change from then on will be told. @throws ConfigError where there is no such directory */
  start(): Promise<void>
  stop(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/**
 * @param deps.path the directory; not followed into node_modules and .git
 * @param deps.ignore directories that are not watched either, absolute: what a program writes there all the time
 * @param deps.onChange told once for changes that come together
 * @param deps.onError told when the system refuses to watch (out of watches): changes may be missed from then on
 */
export function createDirectoryWatcher(deps: {
  path: string
  onChange: () => void
  onError: (error: unknown) => void
  debounceMs?: number
  ignore?: readonly string[]
}): DirectoryWatcher {
  const { path, onChange, onError, debounceMs = defaultDebounceMs, ignore = [] } = deps
  let watcher: FSWatcher | undefined
  let timer: NodeJS.Timeout | undefined
  let firstAt: number | undefined

  const tell = (): void => {
    timer = undefined
    firstAt = undefined
    onChange()
  }
  const noteChange = (): void => {
    const now = performance.now()
    firstAt ??= now
    clearTimeout(timer)
    timer = setTimeout(tell, Math.max(0, Math.min(debounceMs, firstAt + maxDebounces * debounceMs - now)))
  }
  const stop = async (): Promise<void> => {
    clearTimeout(timer)
    await watcher?.close()
  }
  return {
    start: async () => {
      const found = await stat(path).catch(() => undefined)
      if (!found?.isDirectory()) {
        throw new ConfigError(`${path} cannot be watched: it is no directory. Make it, or name another`)
      }
      watcher = watch(path, {
        ignoreInitial: true,
        ignored: (name) =>
          ignore.includes(name) ||
          relative(path, name)
            .split(sep)
            .some((part) => ignoredFolders.includes(part)),
      })
      watcher.on('all', noteChange).on('error', onError)
      await new Promise<void>((resolve) => watcher?.once('ready', resolve))
    },
    stop,
    [Symbol.asyncDispose]: stop,
  }
}
