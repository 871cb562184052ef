// What runners leave on disk, and what the next scheduler reads from it: `<runners>/<scheduler_id>/<number>/` with
//   process  pid and start time of the runner, to end its group if it still lives
//   journal  every start and finish that it reported, one JSON object a line (see task-runner/protocol.ts)
//   output, output-position   file descriptors 1 and 2 of the runner and its children
// A scheduler's directory is made once, when it starts. Whoever adopts its attempts renames the directory first: a
// scheduler that was only paused can then start no runner any more.
import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { FinishReport } from '../../../runtime/task-runner/protocol.ts'
import { parseReport } from './parse-report.ts'

export const processFile = (directory: string) => join(directory, 'process')
const journalFile = (directory: string) => join(directory, 'journal')
/** How many bytes of `output` the runner has moved into logs. */
const positionFile = (directory: string) => join(directory, 'output-position')
export const outputFile = (directory: string) => join(directory, 'output')

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
  startMs: number
  /** null where the file that names the process was lost, as on a crash of the machine. */
  pid: number | null
  finish: FinishReport | null
}

/** attempt_id → what the journal says of it. A line that was cut (by a kill, a full disk) is not counted. */
export function readJournal(directory: string): Map<string, JournalEntry> {
  const entries = new Map<string, JournalEntry>()
  let text: string
  try {
    text = readFileSync(journalFile(directory), 'utf8')
  } catch {
    return entries
  }
  const pid = namedProcess(directory)?.pid ?? null
  for (const line of text.split('\n').slice(0, -1)) {
    const report = parseReport(line)
    if (report?.type === 'start')
      entries.set(report.attempt_id, { startMs: report.start_ms, pid, finish: null })
    else if (report?.type === 'finish') {
      const entry = entries.get(report.attempt_id)
      if (entry) entry.finish = report
    }
  }
  return entries
}

/**
 * Moves what a runner that is gone wrote last into the log of the attempt that it was running: its own output
 * never got there (V8's words on running out of memory, a child's last lines). Where the log cannot be written they
 * are left out: the attempt's end is worth more.
 */
export function saveLastOutput(directory: string, logPath: string): void {
  let unmoved: Buffer
  try {
    const position = Number(readFileSync(positionFile(directory), 'utf8'))
    unmoved = readFileSync(outputFile(directory)).subarray(position)
  } catch {
    return
  }
  const lines = unmoved
    .toString()
    .split('\n')
    .filter((line) => line !== '')
  if (lines.length === 0) return
  const ts = new Date().toISOString()
  const text = lines
    .map((msg) => `${JSON.stringify({ ts, level: 'info', stream: 'stdout', msg })}\n`)
    .join('')
  try {
    mkdirSync(dirname(logPath), { recursive: true })
    appendFileSync(logPath, text)
  } catch {}
}
