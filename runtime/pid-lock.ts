// A lock file that one live process holds: it has the holder's process id and start time, so that after kill -9
// the next start sees that no such process lives and takes over at once. Processes of another container or machine
// cannot be seen: so the file names the holder's process id namespace too, and the holder writes it anew twice a
// second. Whoever finds a lock of another namespace watches it; one that rests for 1.5 s is a dead holder's, so that
// a restarted container begins at most that much after its predecessor's last sign of life. No clocks of
// two machines are compared: the watcher counts for itself, beginning with the age that the file system tells.
import { link, open, rename, rm, stat, writeFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { processNamespace } from './process-namespace.ts'
import { processStartTime } from './process-start.ts'
import { uniqueName } from './unique-name.ts'

export interface PidLock extends AsyncDisposable {
  /** Aborted when another holder has it: this process stood still for so long that it passed for dead. */
  lost: AbortSignal
  /** May be called twice. */
  release(): Promise<void>
}

/** Who has the lock. */
export interface PidLockHolder {
  /** Process id in its own namespace, 0 where it is not known; may be this very process. */
  holder: number
  /** Whether that is another namespace than ours. */
  isElsewhere: boolean
}

/** Between two signs of life. Shorter: more writes for a network volume to carry. Longer: see `deadMs`. */
const renewMs = 500
/**
 * A holder that cannot be seen is dead when it gives no sign for this long. Shorter: one that stood still for a
 * moment loses its lock. Longer: a container that restarts after a crash waits that much longer.
 */
const deadMs = 3 * renewMs
/** So many signs show a holder that stays: one that is about to end may give one more. */
const signsOfLife = 2
/** Between two looks at a lock that is watched. */
const lookMs = 100

/** Two that start at once may each find the other's half-taken lock; after so many rounds one has it. */
const maxRounds = 5

interface Holder {
  pid: number
  start: string
  /** As `processNamespace` has it; absent where it has none. */
  pid_namespace?: string
}

/** A lock file as it was found. */
interface Found {
  text: string
  mtimeMs: number
}

/**
 * Takes the lock, from a dead holder too.
 * @param options.onWait told, once, when a holder of another namespace is to be watched
 * @param options.signal ends the watching
 * @returns the lock, or its live holder
 * @throws the signal's reason, where that came first
 */
export async function takePidLock(
  path: string,
  options: { onWait?: () => void; signal?: AbortSignal } = {},
): Promise<PidLock | PidLockHolder> {
  const namespace = processNamespace()
  const own = { pid: process.pid, start: processStartTime(process.pid), pid_namespace: namespace }
  const text = `${JSON.stringify(own)}\n`
  let last: PidLockHolder = { holder: 0, isElsewhere: false }
  let isTold = false
  for (let round = 0; round < maxRounds; round += 1) {
    const placed = await place(path, text)
    if (placed.isOurs) return hold(path, text)
    const found = await readLock(path)
    if (found === undefined) continue
    const holder = parseHolder(found.text)
    const isElsewhere = holder?.pid_namespace !== undefined && holder.pid_namespace !== namespace
    last = { holder: holder?.pid ?? 0, isElsewhere }
    if (isElsewhere) {
      if (!isTold) options.onWait?.()
      isTold = true
      const state = await watchHolder(path, found, placed.at - found.mtimeMs, options.signal)
      if (state === 'alive') return last
      if (state === 'changed') continue
    } else if (holder !== undefined && processStartTime(holder.pid) === holder.start) return last
    await discard(path, found)
  }
  return last
}

/** Makes the lock where there is none. @returns when that was by the file system's clock, in milliseconds */
async function place(path: string, text: string): Promise<{ isOurs: boolean; at: number }> {
  const draft = `${path}.${uniqueName()}`
  try {
    await writeFile(draft, text)
    const at = (await stat(draft)).mtimeMs
    // link() makes name and content at once, and only one of two processes can succeed.
    await link(draft, path)
    return { isOurs: true, at }
  } catch (error) {
    const found = (error as NodeJS.ErrnoException).code === 'EEXIST' ? await stat(draft) : undefined
    if (found === undefined) throw error
    return { isOurs: false, at: found.mtimeMs }
  } finally {
    await rm(draft, { force: true })
  }
}

function hold(path: string, text: string): PidLock {
  const lost = new AbortController()
  let renewing: Promise<void> = Promise.resolve()
  const renewOnce = async (): Promise<void> => {
    if (await renew(path, text)) return
    clearInterval(timer)
    lost.abort(new Error(`${path} was taken by another process`))
  }
  // A disk that fails now may do its work a moment later.
  const timer = setInterval(() => {
    renewing = renewing.then(renewOnce).catch(() => {})
  }, renewMs)
  timer.unref()
  let released: Promise<void> | undefined
  const release = (): Promise<void> => {
    clearInterval(timer)
    released ??= renewing.then(() => removeOwn(path, text))
    return released
  }
  return { lost: lost.signal, release, [Symbol.asyncDispose]: release }
}

/** Gives a sign of life. @returns false where another holder has the lock */
async function renew(path: string, text: string): Promise<boolean> {
  const file = await open(path, 'r+').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
  // Somebody removed it, or looks at it aside for a moment.
  if (file === undefined) return (await place(path, text)).isOurs || renew(path, text)
  try {
    const present = await file.readFile('utf8')
    if (present !== text) return parseHolder(present) === undefined
    await file.write(text, 0)
    return true
  } finally {
    await file.close()
  }
}

/**
 * Watches a holder that cannot be seen. Counted are looks and not the time, in which this process itself may have
 * stood still.
 * @param ageMs for how long the lock has rested already
 */
async function watchHolder(
  path: string,
  found: Found,
  ageMs: number,
  signal?: AbortSignal,
): Promise<'alive' | 'dead' | 'changed'> {
  let { mtimeMs } = found
  let signs = 0
  for (let restedMs = Math.max(0, ageMs); restedMs < deadMs; restedMs += lookMs) {
    await sleep(lookMs, undefined, signal && { signal }).catch(() => {})
    signal?.throwIfAborted()
    const present = await readLock(path)
    if (present?.text !== found.text) return 'changed'
    if (present.mtimeMs === mtimeMs) continue
    mtimeMs = present.mtimeMs
    restedMs = 0
    signs += 1
    if (signs === signsOfLife) return 'alive'
  }
  // With its last sign it was judged.
  found.mtimeMs = mtimeMs
  return 'dead'
}

/** Removes the lock that was judged; where it is another's by now, or gave a sign of life, puts it back. */
async function discard(path: string, judged: Found): Promise<void> {
  const aside = `${path}.${uniqueName()}`
  try {
    await rename(path, aside)
  } catch {
    return
  }
  const moved = await readLock(aside)
  const isJudged = moved === undefined || (moved.text === judged.text && moved.mtimeMs === judged.mtimeMs)
  if (!isJudged) await link(aside, path).catch(() => {})
  await rm(aside, { force: true })
}

async function removeOwn(path: string, text: string): Promise<void> {
  if ((await readLock(path))?.text === text) await rm(path, { force: true })
}

/** Opened before its time is asked: a network volume then tells what holds now, and not what it remembers. */
async function readLock(path: string): Promise<Found | undefined> {
  const file = await open(path, 'r').catch(() => undefined)
  if (file === undefined) return undefined
  try {
    const { mtimeMs } = await file.stat()
    return { mtimeMs, text: await file.readFile('utf8') }
  } finally {
    await file.close()
  }
}

function parseHolder(text: string): Holder | undefined {
  try {
    const { pid, start, pid_namespace } = JSON.parse(text)
    if (!Number.isSafeInteger(pid) || typeof start !== 'string') return undefined
    return { pid, start, ...(typeof pid_namespace === 'string' ? { pid_namespace } : {}) }
  } catch {
    return undefined
  }
}
