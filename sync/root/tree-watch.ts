// Notices that somebody touched the published files, at no cost while nobody does: the kernel tells (inotify,
// through one `node:fs` watch for each folder, not one for each file). An event says only 'look again', and what
// is watched is brought in line with the tree by walking it when the tree is marked clean, so that nothing rests
// on which events came: not on the order of a rename, and not on all of them fitting into the kernel's queue.
// For 5,000 files in 300 folders on two cores: 22 to 39 ms and 2.4 MiB (the kernel holds 321 watches beside that);
// settling 2 ms, with a walk 12 to 20 ms. For 20 files 4 ms and 0.5 MiB. chokidar was refused: it keeps the state
// of every file, 187 to 229 ms and 50 MiB for the same tree, and this process is to stay below 90 MiB. `recursive`
// of `node:fs` costs as much as this, but walks synchronously, cannot say when it has begun, and takes up new
// folders by their events alone.
import { type FSWatcher, watch } from 'node:fs'
import { lstat, mkdtemp, readdir, rm, statfs, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { messageOf } from '../../runtime/errors.ts'
import type { Logger } from '../../runtime/log.ts'

/**
 * An event of our own that has not come back after this long never will: the file system has no events. Shorter:
 * a machine that stands still for a moment is taken for one. Longer: `start` takes that long where there are none.
 */
const probeLimitMs = 2_000
/** A full queue drops our event too, so it is made again. Shorter: more of them in the queue that is full. */
const probeAgainMs = 100

/** File systems on which other machines write and no event tells of it (the numbers: statfs(2)). */
const sharedFileSystems: Record<number, string> = {
  26985: 'NFS',
  20859: 'SMB',
  4283649346: 'CIFS',
  4266872130: 'SMB2',
  16914839: '9P',
  12805120: 'Ceph',
  1702057286: 'FUSE',
  1397113167: 'AFS',
  198183888: 'Lustre',
  1196443219: 'GPFS',
  18225520: 'GFS2',
  1952539503: 'OCFS2',
}

export interface TreeWatch {
  /** Resolves when every later change is noticed, or when it is known that none can be. Never rejects. Call once. */
  start(): Promise<void>
  /**
   * Whether something in the tree was changed, made, moved or removed since the tree was last marked clean, be it a
   * tracked file or not; reading is no change. `unknown`: nothing was noticed, and it may be that it cannot be.
   */
  isDirty(): boolean | 'unknown'
  /** Counts from here. Call it before looking at the files: what changes during the look makes it dirty again. */
  markClean(): void
  /** Resolves when every change made before the call is noticed, and folders that it made are watched. */
  settle(): Promise<void>
  /** May be called twice, and while the others run. */
  stop(): Promise<void>
}

interface WatchedFolder {
  watcher: FSWatcher
  /** Tells a folder from one that was made later in its place. */
  identity: string
}

/**
 * @param deps.path the tree, a folder beside which we may write; its own `.git` is not watched. It may be removed
 * and made again while it is watched: then it is dirty until it is back, and once more afterwards
 */
export function createTreeWatch({ path, log }: { path: string; log: Logger }): TreeWatch {
  const folders = new Map<string, WatchedFolder>()
  const stopping = new AbortController()
  let isTouched = false
  /** The folders that are watched may not be those of the tree. */
  let isWalkDue = true
  let isWalked = false
  let isTrusted = true
  /** The kernel gives us no watches. */
  let isRefused = false
  let work: Promise<void> = Promise.resolve()

  const noteChange = (): void => {
    isTouched = true
    isWalkDue = true
  }
  const unwatch = (folder: string): void => {
    folders.get(folder)?.watcher.close()
    folders.delete(folder)
  }
  const unwatchAll = (): void => {
    for (const folder of folders.keys()) unwatch(folder)
  }
  const distrust = (why: string): void => {
    if (isTrusted && !stopping.signal.aborted) {
      log.warn({ path, reason: why }, 'changes of the published files may go unnoticed until the next check')
    }
    isTrusted = false
  }

  const watchFolder = (folder: string, identity: string): void => {
    if (folders.get(folder)?.identity === identity) return
    unwatch(folder)
    const watcher = watch(folder, { persistent: false }, (_event, name) => {
      if (folder !== path || name !== '.git') noteChange()
    })
    watcher.on('error', noteChange)
    folders.set(folder, { watcher, identity })
    // What happened in it before is not known.
    if (isWalked) isTouched = true
  }
  /** Watches a folder first and lists it then: what is made in between is told. */
  const visit = async (folder: string, seen: Set<string>): Promise<void> => {
    if (stopping.signal.aborted) return
    try {
      const found = await lstat(folder)
      if (stopping.signal.aborted || isRefused) return
      watchFolder(folder, `${found.dev}:${found.ino}:${found.birthtimeMs}`)
      seen.add(folder)
      const entries = await readdir(folder, { withFileTypes: true })
      const below = entries.filter(
        (entry) => entry.isDirectory() && !(folder === path && entry.name === '.git'),
      )
      await Promise.all(below.map((entry) => visit(join(folder, entry.name), seen)))
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      // Removed since it was listed. Of the tree itself: it is damaged until it is back.
      if (code === 'ENOENT' || code === 'ENOTDIR') return noteChange()
      throw error
    }
  }
  const walk = async (): Promise<void> => {
    if (!isWalkDue || isRefused || stopping.signal.aborted) return
    isWalkDue = false
    const seen = new Set<string>()
    try {
      await visit(path, seen)
      for (const folder of folders.keys()) if (!seen.has(folder)) unwatch(folder)
    } catch (error) {
      // Half a tree is of no use, and others of this user want their watches too.
      isRefused = true
      unwatchAll()
      distrust(refusal(error))
    }
    isWalked = true
  }
  /** One walk at a time, however many ask. */
  const walkWhereDue = (): Promise<void> => {
    work = work.then(walk)
    return work
  }

  /** All events of a process come through one queue, so one that is made now comes after all earlier ones. */
  const awaitEvent = async (): Promise<void> => {
    if (folders.size === 0) return
    try {
      const folder = await mkdtemp(join(dirname(path), '.probe-'))
      try {
        if (!(await sendProbe(folder, stopping.signal))) distrust('the file system sends no events')
      } finally {
        await rm(folder, { recursive: true, force: true })
      }
    } catch (error) {
      // The tree is gone with all that is around it, which is a change and no reason to trust events less.
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') noteChange()
      else distrust(refusal(error))
    }
  }

  return {
    start: async () => {
      const type = await statfs(path).then(
        (found) => found.type,
        () => 0,
      )
      const shared = sharedFileSystems[type]
      if (shared !== undefined) distrust(`other machines may write to a file system of type ${shared}`)
      await walkWhereDue()
      await awaitEvent()
    },
    isDirty: () => isTouched || (isWalked && isTrusted && !stopping.signal.aborted ? false : 'unknown'),
    markClean: () => {
      isTouched = false
      void walkWhereDue()
    },
    settle: async () => {
      await awaitEvent()
      await walkWhereDue()
    },
    stop: async () => {
      stopping.abort()
      await work
      unwatchAll()
    },
  }
}

/** @returns whether a file that is made in the folder was told before the limit, or the signal came */
async function sendProbe(folder: string, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const end = (settle: () => void): void => {
      clearInterval(again)
      clearTimeout(limit)
      signal.removeEventListener('abort', stop)
      watcher.close()
      settle()
    }
    const stop = (): void => end(() => resolve(false))
    const watcher = watch(folder, () => end(() => resolve(true)))
    watcher.on('error', (error) => end(() => reject(error)))
    let count = 0
    const touch = (): void => {
      count += 1
      writeFile(join(folder, String(count)), '').catch(() => {})
    }
    const again = setInterval(touch, probeAgainMs)
    // After a pause of the whole process timers come first, and events that waited right behind them.
    const limit = setTimeout(() => setImmediate(() => setImmediate(stop)), probeLimitMs)
    signal.addEventListener('abort', stop)
    if (signal.aborted) stop()
    touch()
  })
}

function refusal(error: unknown): string {
  const { code } = error as NodeJS.ErrnoException
  if (code === 'ENOSPC') return 'the kernel allows no more watches: raise fs.inotify.max_user_watches'
  if (code === 'EMFILE') return 'the kernel allows no more watchers: raise fs.inotify.max_user_instances'
  return messageOf(error)
}
