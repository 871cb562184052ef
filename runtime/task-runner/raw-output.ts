// What the process and its children write to file descriptors 1 and 2 without asking JavaScript: both are one
// append-only file, so that their order is kept. This reader moves new bytes from it, line by line, into the
// attempt's log. It is asked before each line that the attempt logs itself, so that both stand in their order;
// reading costs one fstat where nothing came. Pipes were refused: their content dies with the reader. How far the
// file was moved stands in a second file, so that what a killed runner left can be moved by somebody else.
import { fstatSync, ftruncateSync, readSync, writeSync } from 'node:fs'
import { StringDecoder } from 'node:string_decoder'

/** A file above this is emptied between attempts. */
const truncateAboveBytes = 1024 * 1024
const readChunkBytes = 64 * 1024
/** Characters after which a line that has no end yet is cut into several, so that it need not fit into memory. */
const maxLineLength = 1024 * 1024
const newline = 0x0a

export interface RawOutput {
  /** Forgets what came while no attempt ran; empties a large file. */
  skip(): void
  /** Hands every line that is whole to `onLine`; at the end of an attempt also the last one without a newline. */
  drain(onLine: (line: string) => void, isEnd?: boolean): void
}

/**
 * @param fd open for reading and appending; all other writers append
 * @param positionFd where the count of moved bytes is kept, as a decimal number padded to 16 digits
 */
export function createRawOutput(fd: number, positionFd: number): RawOutput {
  /** Bytes read, and of these those that were handed over. */
  let position = 0
  let moved = 0
  let partial = ''
  const savePosition = () => {
    writeSync(positionFd, String(moved).padStart(16, '0'), 0)
  }
  let decoder = new StringDecoder('utf8')
  const chunk = Buffer.alloc(readChunkBytes)

  function take(bytes: Buffer, onLine: (line: string) => void): void {
    const lines = (partial + decoder.write(bytes)).split('\n')
    partial = lines.pop()!
    moved = lines.length === 0 ? moved : position + bytes.lastIndexOf(newline) + 1
    position += bytes.length
    for (const line of lines) onLine(line)
    if (partial.length < maxLineLength) return
    moved = position
    onLine(partial)
    partial = ''
  }

  return {
    skip() {
      const { size } = fstatSync(fd)
      if (size === position) return
      position = size
      partial = ''
      decoder = new StringDecoder('utf8')
      if (position > truncateAboveBytes) {
        ftruncateSync(fd, 0)
        position = 0
      }
      moved = position
      savePosition()
    },
    drain(onLine, isEnd = false) {
      // No further than it goes now: somebody may write faster than this reads.
      const { size } = fstatSync(fd)
      if (size > position) {
        while (position < size) {
          const length = readSync(fd, chunk, 0, Math.min(chunk.length, size - position), position)
          if (length === 0) break
          take(chunk.subarray(0, length), onLine)
        }
        savePosition()
      }
      if (!isEnd) return
      partial += decoder.end()
      if (partial === '') return
      moved = position
      onLine(partial)
      partial = ''
      savePosition()
    },
  }
}
