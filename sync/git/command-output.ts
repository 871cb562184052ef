// What one git command prints, in bounded memory: a server, a hook of it or a broken program may send any amount.
// Of standard output the beginning is kept, since it is what is read of a command that succeeds; of standard error
// the end, since git's own verdict stands there.

/**
 * Kept of standard output. Smaller: long lists are cut (a status of some ten thousand changed files fits; whoever
 * asks for it can do with less). Larger: a command may take that much memory.
 */
const maxStdoutBytes = 960 * 1024
/** Kept of standard error. Smaller: what ssh says by -v hides the reason. Larger: log lines that collectors cut. */
const maxStderrBytes = 64 * 1024
/**
 * A command that prints more than this on both together has lost its way, and is ended. Smaller: a large repository
 * with a talkative server is not synced. Larger: a processor is kept busy by it for longer.
 */
export const maxPrintedBytes = 64 * 1024 * 1024

export interface CommandOutput {
  /** To be called before anybody else's data arrives; takes the place of whoever reads the streams. */
  follow(stdout: NodeJS.ReadableStream, stderr: NodeJS.ReadableStream): void
  /** The beginning, in whole entries where it was cut. */
  stdout(): string
  /** The end, in whole lines where it was cut: half a secret would not be recognised as one. */
  stderr(): string
}

/** @param onExcess told, once, when the command has printed more than `maxPrintedBytes` */
export function createCommandOutput(onExcess: () => void): CommandOutput {
  const head: Buffer[] = []
  let headSize = 0
  let tail: Buffer[] = []
  let tailSize = 0
  let isTailCut = false
  let printed = 0

  const count = (chunk: Buffer): void => {
    const before = printed
    printed += chunk.length
    if (before <= maxPrintedBytes && printed > maxPrintedBytes) onExcess()
  }
  const addToHead = (chunk: Buffer): void => {
    const room = maxStdoutBytes - headSize
    // A copy: a piece of a chunk would keep all of it.
    if (room > 0) head.push(chunk.length <= room ? chunk : Buffer.from(chunk.subarray(0, room)))
    headSize += chunk.length
  }
  const addToTail = (chunk: Buffer): void => {
    tail.push(chunk)
    tailSize += chunk.length
    // At twice what is kept, so that each byte is copied about once.
    if (tailSize > 2 * maxStderrBytes) trimTail()
  }
  const trimTail = (): void => {
    if (tailSize <= maxStderrBytes) return
    tail = [Buffer.from(Buffer.concat(tail).subarray(-maxStderrBytes))]
    tailSize = maxStderrBytes
    isTailCut = true
  }

  return {
    follow: (stdout, stderr) => {
      for (const [stream, add] of [
        [stdout, addToHead],
        [stderr, addToTail],
      ] as const) {
        stream.removeAllListeners('data')
        stream.on('data', (chunk: Buffer) => {
          count(chunk)
          add(chunk)
        })
      }
    },
    stdout: () => {
      const text = Buffer.concat(head).toString('utf8')
      if (headSize <= maxStdoutBytes) return text
      return text.slice(0, Math.max(text.lastIndexOf('\n'), text.lastIndexOf('\0')) + 1)
    },
    stderr: () => {
      trimTail()
      const text = Buffer.concat(tail).toString('utf8')
      return isTailCut ? `…\n${text.slice(text.search(/[\r\n]/) + 1)}` : text
    },
  }
}
