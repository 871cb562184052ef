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
  let position = 0
  let partial = ''
  const savePosition = () => {
    const moved = position - Buffer.byteLength(partial)
    writeSync(positionFd, String(moved).padStart(16, '0'), 0)
  }
  let decoder = new StringDecoder('utf8')
  const chunk = Buffer.alloc(readChunkBytes)
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
      savePosition()
    },
    drain(onLine, isEnd = false) {
      if (fstatSync(fd).size > position) {
        for (let length = readSync(fd, chunk, 0, chunk.length, position); length > 0; ) {
          position += length
          partial += decoder.write(chunk.subarray(0, length))
          length = readSync(fd, chunk, 0, chunk.length, position)
        }
        const lines = partial.split('\n')
        partial = lines.pop()!
        for (const line of lines) onLine(line)
        savePosition()
      }
      if (isEnd && partial !== '') {
        onLine(partial)
        partial = ''
        savePosition()
      }
    },
  }
}
