// Standard error for a program that must not stand still when nobody reads what it says. A full pipe stops whoever
// writes to it, and a thread that is stopped there keeps the process from exiting too. So it is written without
// waiting: a line is out at once while there is room, which is nearly always, and so before the process can die; else
// it is kept in memory until the reader is back, up to a limit, beyond which lines are dropped and counted.
import { fstatSync } from 'node:fs'

/** Kept for a reader that is away. Smaller: a short pause costs lines. Larger: memory that nobody may ever ask for. */
const maxKeptBytes = 1024 * 1024

export interface PatientStderr {
  write(line: string): void
  /** Resolves when all is written, or the time is over: then what is left is lost. */
  flush(timeoutMs: number): Promise<void>
}

/**
 * Standard error, where it is a pipe or a socket; undefined for files and terminals, which take every line. From then
 * on the pipe is in a mode in which other writers to it may be refused instead of kept waiting, until the exit.
 * @param tellDropped called when the reader is back, with how many lines are missing
 */
export function openPatientStderr(tellDropped: (count: number) => void): PatientStderr | undefined {
  if (!isPipe(2)) return undefined
  const stream = process.stderr
  let dropped = 0
  // A reader that is gone for good is no reason to end.
  stream.on('error', () => {})
  stream.on('drain', () => {
    const count = dropped
    dropped = 0
    if (count > 0) tellDropped(count)
  })
  return {
    write: (line) => {
      if (stream.writableLength > maxKeptBytes) dropped += 1
      else stream.write(line)
    },
    flush: (timeoutMs) =>
      new Promise((resolve) => {
        const timer = setTimeout(resolve, timeoutMs)
        // Its turn comes after all that is kept.
        stream.write('', () => {
          clearTimeout(timer)
          resolve()
        })
      }),
  }
}

function isPipe(fd: number): boolean {
  try {
    const found = fstatSync(fd)
    return found.isFIFO() || found.isSocket()
  } catch {
    // Closed by whoever started us.
    return false
  }
}
