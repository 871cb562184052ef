// Writes into the log file of an attempt in a pod, exactly once, whoever writes: any number of servers what the pod
// sends, again where an answer was lost, and schedulers what they have to say themselves. The row of the pod is the
// lock and the memory: how much of the pod's own stream is kept (log_bytes), and where the file ends (log_file_bytes).
// The file is written at that end before the commit that moves it. Whoever dies in between leaves bytes behind the
// end, which the next one writes over or cuts off; so file and stream agree, byte for byte, after any kill.
//
// A writer whose session Postgres has ended without its knowledge goes on for a moment, beside the next one. Two that
// write the stream write the same bytes at the same place, which does no harm. Cutting would: it is done only where
// what was left is longer than what is written, and right after asking whether the lock is still held. A line of our
// own moves the stream's place: its writer waits, with the lock, until everybody who may not know yet has written or
// has asked (`freshMs`, `settleMs`).
// A lock in the file system was refused: not every volume that servers share has one. The bytes in Postgres first was
// refused too: all logs would go through its journal. So was another file in place of the old one: who follows a log
// has the old one open.
import { type FileHandle, mkdir, open } from 'node:fs/promises'
import { dirname } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { LogCursor } from '../../k8s/pod-log.ts'
import { attemptLogPath } from '../../runtime/log-line.ts'
import type { Database, Queryable } from './connection.ts'
import { keyValues, type PodKey } from './pod-rows.ts'

/** How old the last proof of the lock may be when the file is written. Shorter: more questions to Postgres. */
const freshMs = 50
/** The same before what others left is cut off: as long as an answer takes. */
const cutFreshMs = 5
/**
 * How long a line of our own waits with the lock before it looks at the file. Shorter: a writer whose session died in
 * that moment, on a machine that is slow to write, may yet write over it. Longer: the stream waits for as long.
 */
const settleMs = 200

export interface LogAppend {
  key: PodKey
  logsDir: string
  /** Whole lines where possible: lines of others stand between two appends. */
  bytes: Buffer
  /** Where `bytes` begin in the attempt's own stream; null: they are lines of our own, which are not part of it. */
  offset: number | null
  /** Of a container that does not send its log: how far it was followed before these lines, and with them. */
  followed?: { container: string; from: LogCursor | null; to: LogCursor }
  /** They are what is said of the attempt's end: once, whoever says it. Default: false. */
  isEnd?: boolean
}

/** Somebody else has followed the container's log further: nothing was appended. */
export class LogFollowedError extends Error {}

/**
 * May be repeated for a stream (not for lines of our own), also at once, also by others.
 * @returns how many bytes of the stream are kept now, of which `bytes` may be a part, the rest, or nothing; undefined
 * where the ledger has no such pod
 * @throws DatabaseUnavailableError, and what the file system throws: the append may be repeated
 * @throws LogFollowedError where `followed.from` is not how far the ledger says
 */
export async function appendAttemptLog(db: Database, append: LogAppend): Promise<number | undefined> {
  const { key, offset } = append
  return await db.transaction(async (connection) => {
    let provenAt = performance.now()
    const place = await lockPlace(connection, key)
    if (place === undefined) return undefined
    const { log_bytes: kept, log_file_bytes: end } = place
    const cursors = movedCursors(place, append.followed)
    // Kept already: the answer was lost.
    if (cursors === null || (append.isEnd && place.is_end_told)) return kept
    // Beyond what is kept there is a gap that its sender must fill first.
    if (offset !== null && offset > kept) return kept
    const fresh = offset === null ? append.bytes : append.bytes.subarray(kept - offset)
    if (fresh.length === 0) return kept
    if (offset === null && append.followed === undefined && kept > 0) await delay(settleMs)
    const path = attemptLogPath(append.logsDir, { ...key, dag_id: place.dag_id, run_id: place.run_id })
    // Throws where the session is gone, and the lock with it. What is asked answers for the time when it was asked.
    const prove = async (maxAgeMs: number) => {
      while (performance.now() - provenAt > maxAgeMs) {
        provenAt = performance.now()
        await connection.query('select 1')
      }
    }
    const newEnd = await writeAt({ path, end, bytes: fresh, isOwn: offset === null, prove })
    const nowKept = offset === null ? kept : kept + fresh.length
    await connection.query(
      `update pod set log_bytes = $5, log_file_bytes = $6, log_cursors = $7, is_end_told = is_end_told or $8
       where dag_run_id = $1 and task_id = $2 and map_index = $3 and try_number = $4`,
      [...keyValues(key), nowKept, newEnd, cursors, append.isEnd ?? false],
      'move-log-end',
    )
    return nowKept
  })
}

interface LogPlaceRow {
  dag_id: string
  run_id: string
  log_bytes: number
  log_file_bytes: number
  /** JSON text: container → LogCursor. */
  log_cursors: string
  is_end_told: boolean
}

/** JSON text of the cursors with the append; null where they have it already. */
function movedCursors({ log_cursors }: LogPlaceRow, followed: LogAppend['followed']): string | null {
  if (followed === undefined) return log_cursors
  const cursors = JSON.parse(log_cursors) as Record<string, LogCursor>
  const { container, from, to } = followed
  const known = cursors[container]
  const isAt = (place: LogCursor | null) => known?.time === place?.time && known?.count === place?.count
  if (isAt(to)) return null
  if (!isAt(from)) throw new LogFollowedError()
  return JSON.stringify({ ...cursors, [container]: to })
}

/** The row stays locked until the end of the transaction. */
async function lockPlace(connection: Queryable, key: PodKey): Promise<LogPlaceRow | undefined> {
  const { rows } = await connection.query<LogPlaceRow>(
    `select r.dag_id, r.run_id, p.log_bytes, p.log_file_bytes, p.log_cursors, p.is_end_told
     from pod p join dag_run r using (dag_run_id)
     where p.dag_run_id = $1 and p.task_id = $2 and p.map_index = $3 and p.try_number = $4
     for no key update of p`,
    keyValues(key),
    'lock-log-place',
  )
  return rows[0]
}

const newline = 0x0a

/** @returns where the file ends now */
async function writeAt(input: {
  path: string
  end: number
  bytes: Buffer
  isOwn: boolean
  prove: (maxAgeMs: number) => Promise<void>
}): Promise<number> {
  const { path, bytes, prove } = input
  await using file = await openForWriting(path)
  const { size } = await file.stat()
  // Shorter than it was: the disk lost some, which a gap of zeros would not bring back.
  const end = Math.min(input.end, size)
  // Ours is a line of its own; so is what comes after a line that somebody has cut.
  const mustBeginLine = input.isOwn || size < input.end
  const text =
    mustBeginLine && !(await endsLine(file, end)) ? Buffer.concat([Buffer.of(newline), bytes]) : bytes
  await prove(freshMs)
  for (let written = 0; written < text.length; ) {
    const { bytesWritten } = await file.write(text, written, text.length - written, end + written)
    written += bytesWritten
  }
  const newEnd = end + text.length
  if (size > newEnd) {
    await prove(cutFreshMs)
    await file.truncate(newEnd)
  }
  return newEnd
}

async function openForWriting(path: string): Promise<FileHandle> {
  // Not for appending: Linux then ignores the place that is written to.
  const flags = 'r+'
  try {
    return await open(path, flags)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
  await mkdir(dirname(path), { recursive: true })
  await (await open(path, 'a')).close()
  return await open(path, flags)
}

async function endsLine(file: FileHandle, end: number): Promise<boolean> {
  if (end === 0) return true
  const last = Buffer.alloc(1)
  await file.read(last, 0, 1, end - 1)
  return last[0] === newline
}
