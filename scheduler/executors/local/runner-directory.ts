// What runners leave on disk, and what the next scheduler reads from it: `<runners>/<scheduler_id>/<number>/` with the
// files of runtime/task-runner/runner-files.ts.
// A scheduler's directory is made once, when it starts. Whoever adopts its attempts renames the directory first: a
// scheduler that was only paused can then start no runner any more.
import { createReadStream, existsSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { finished } from 'node:stream/promises'
import { messageOf } from '../../../runtime/errors.ts'
import { readLines } from '../../../runtime/read-lines.ts'
import { parseReport } from '../../../runtime/task-runner/parse-report.ts'
import type { FinishReport } from '../../../runtime/task-runner/protocol.ts'
import { journalFile, processFile } from '../../../runtime/task-runner/runner-files.ts'

/** All runners of one scheduler. */
export function schedulerDirectory(runnersDir: string, schedulerId: number): string {
  return join(runnersDir, String(schedulerId))
}

/** Closes the directory of a scheduler that is gone to that scheduler; may be called again. */
export function closeSchedulerDirectory(runnersDir: string, schedulerId: number): void {
  const directory = schedulerDirectory(runnersDir, schedulerId)
  try {
    renameSync(directory, `${directory}${closedSuffix}`)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
}

const closedSuffix = '.closed'

/** Directories of the runners of a closed scheduler; null where this machine has none of it. */
export function runnerDirectories(runnersDir: string, schedulerId: number): string[] | null {
  const directory = `${schedulerDirectory(runnersDir, schedulerId)}${closedSuffix}`
  if (!existsSync(directory)) return null
  return readdirSync(directory).map((name) => join(directory, name))
}

/**
 * Removes what runners of schedulers left whose journals nobody needs any more.
 * @param readInUse ids of the others; asked after looking what is there, so that a scheduler that registers
 * meanwhile keeps its directory
 */
export async function forgetRunners(
  runnersDir: string,
  readInUse: () => Promise<ReadonlySet<number>>,
): Promise<void> {
  if (!existsSync(runnersDir)) return
  const names = readdirSync(runnersDir)
  const inUse = await readInUse()
  for (const name of names) {
    if (inUse.has(Number(name.replace(closedSuffix, '')))) continue
    rmSync(join(runnersDir, name), { recursive: true, force: true })
  }
}

export interface RunnerProcessRow {
  pid: number
  start_time: string | undefined
}

/** The process that a directory names, dead or alive; null where it names none. */
export function namedProcess(directory: string): RunnerProcessRow | null {
  try {
    return JSON.parse(readFileSync(processFile(directory), 'utf8')) as RunnerProcessRow
  } catch {
    // Killed between making the directory and naming the process: then no attempt was sent to it.
    return null
  }
}

export interface JournalEntry {
  finish: FinishReport | null
}

export interface Journal {
  /** attempt_id → what the journal says of it. */
  entries: Map<string, JournalEntry>
  /** Why not all of it could be read: what is not among the entries may have begun. Null: it is all there is. */
  fault: string | null
}

/**
 * What the journal says of these attempts; nothing began where there is none. A line that was cut (by a kill, a full
 * disk) is not counted. Read by lines: with all results in it, it may be longer than a string can be.
 */
export async function readJournal(directory: string, attemptIds: ReadonlySet<string>): Promise<Journal> {
  const path = journalFile(directory)
  const entries: Journal['entries'] = new Map()
  const stream = createReadStream(path, { highWaterMark: journalChunkBytes })
  readLines(stream, (line) => {
    const report = parseReport(line)
    if (report?.type === 'start' && attemptIds.has(report.attempt_id))
      entries.set(report.attempt_id, { finish: null })
    else if (report?.type === 'finish') {
      const entry = entries.get(report.attempt_id)
      if (entry) entry.finish = report
    }
  })
  try {
    await finished(stream)
    return { entries, fault: null }
  } catch (error) {
    const isAbsent = (error as NodeJS.ErrnoException).code === 'ENOENT'
    return { entries, fault: isAbsent ? null : `${path} cannot be read: ${messageOf(error)}` }
  }
}

/** Larger: more memory for each journal; smaller: more turns of the event loop for each. */
const journalChunkBytes = 1024 * 1024
