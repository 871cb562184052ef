// Newline-delimited text from a stream, a whole line at a time, in the same turn as the bytes arrive.
import type { Readable } from 'node:stream'

/** Calls `onLine` for each line without its newline; what follows the last newline is dropped at the end. */
export function readLines(stream: Readable, onLine: (line: string) => void): void {
  let partial = ''
  stream.setEncoding('utf8')
  stream.on('data', (chunk: string) => {
    let start = 0
    for (let end = chunk.indexOf('\n'); end !== -1; end = chunk.indexOf('\n', start)) {
      const line = partial + chunk.slice(start, end)
      partial = ''
      start = end + 1
      onLine(line)
    }
    partial += chunk.slice(start)
  })
}
