// Writes to a file descriptor that may be a pipe, all of it and at once: what a process says of itself has left it before
// anything else happens in it.
import { writeSync } from 'node:fs'

/**
 * A pipe that is full makes a synchronous write fail with EAGAIN where the other end made it non-blocking: it waits.
 * @param onFailure of anything else; it must end the process, or throw
 * @returns how many bytes that was
 */
export function writeFully(fd: number, text: string, onFailure: (error: unknown) => void): number {
  const bytes = Buffer.from(text)
  for (let offset = 0; offset < bytes.length; ) {
    try {
      offset += writeSync(fd, bytes, offset)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') onFailure(error)
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1)
    }
  }
  return bytes.length
}
