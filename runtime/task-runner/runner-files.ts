// What a runner has in its directory, by name, and the last words of one that is gone:
//   process  pid and start time of the runner, to end its group if it still lives
//   journal  every start and finish that it reported, one JSON object a line (see protocol.ts)
//   output, output-position   file descriptors 1 and 2 of the runner and its children
import { appendFileSync, closeSync, fstatSync, mkdirSync, openSync, readFileSync, readSync } from 'node:fs'
import { dirname, join } from 'node:path'

export const processFile = (directory: string) => join(directory, 'process')
export const journalFile = (directory: string) => join(directory, 'journal')
/** How many bytes of `output` the runner has moved into logs. */
const positionFile = (directory: string) => join(directory, 'output-position')
export const outputFile = (directory: string) => join(directory, 'output')

/**
 * The last of what a runner wrote, from `fromByte` on.
 * @throws the system's error where there is no such file
 */
export function outputTail(directory: string, maxBytes: number, fromByte = 0): string {
  const fd = openSync(outputFile(directory), 'r')
  try {
    const { size } = fstatSync(fd)
    const start = Math.max(fromByte, size - maxBytes)
    const bytes = Buffer.alloc(Math.max(0, size - start))
    return bytes.subarray(0, readSync(fd, bytes, 0, bytes.length, start)).toString()
  } finally {
    closeSync(fd)
  }
}

/** Of a runner that is gone; more than this is no last word but a flood that nobody moved. */
const maxLastOutputBytes = 1024 * 1024

/**
 * Moves what a runner that is gone wrote last into the log of the attempt that it was running: its own output
 * never got there (V8's words on running out of memory, a child's last lines). Where the log cannot be written they
 * are left out: the attempt's end is worth more.
 */
export function saveLastOutput(directory: string, logPath: string): void {
  let unmoved: string
  try {
    const position = Number(readFileSync(positionFile(directory), 'utf8'))
    unmoved = outputTail(directory, maxLastOutputBytes, position)
  } catch {
    return
  }
  const lines = unmoved.split('\n').filter((line) => line !== '')
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
