// What a program printed, in bounded memory: its beginning, which says what it set out to do, and its end, which
// says how it came out. Nothing of it is lost to the program: it may go on printing.

/** What is kept of either end. Smaller: a stack trace is cut. Larger: one log line grows beyond what collectors take. */
const defaultEdgeBytes = 32 * 1024

export interface BoundedOutput {
  add(chunk: Buffer): void
  /** Both ends, with a note of how much is missing between them; white space around it is left out. */
  text(): string
  /** Bytes that are in neither end. */
  leftOut(): number
  /** The end alone. */
  tail(): Buffer
}

/** @param edgeBytes `headBytes` of the beginning and `tailBytes` of the end are kept; 32 KiB each unless told */
export function createBoundedOutput(
  edgeBytes: { headBytes?: number; tailBytes?: number } = {},
): BoundedOutput {
  const { headBytes = defaultEdgeBytes, tailBytes = defaultEdgeBytes } = edgeBytes
  const head: Buffer[] = []
  let headSize = 0
  let rest: Buffer[] = []
  let restSize = 0
  let leftOut = 0

  /** Called when the chunks hold twice what is kept, so that each byte is copied about once. */
  const trimRest = (): void => {
    const all = Buffer.concat(rest)
    const kept = all.subarray(Math.max(0, all.length - tailBytes))
    leftOut += all.length - kept.length
    rest = [Buffer.from(kept)]
    restSize = kept.length
  }

  const tail = (): Buffer => {
    if (restSize > tailBytes) trimRest()
    return Buffer.concat(rest)
  }

  return {
    add: (chunk) => {
      const room = headBytes - headSize
      if (room > 0) {
        head.push(chunk.subarray(0, room))
        headSize += Math.min(room, chunk.length)
      }
      const more = chunk.subarray(Math.max(0, room))
      if (more.length === 0) return
      rest.push(more)
      restSize += more.length
      if (restSize > 2 * tailBytes) trimRest()
    },
    text: () => {
      const end = tail()
      const note = leftOut === 0 ? '' : leftOutNote(leftOut)
      const parts = note === '' ? [Buffer.concat([...head, end])] : [Buffer.concat(head), note, end]
      return parts.map(String).join('').trim()
    },
    leftOut: () => {
      tail()
      return leftOut
    },
    tail,
  }
}

/** The line that stands for what is missing. */
export function leftOutNote(bytes: number): string {
  return `\n… ${bytes} bytes left out …\n`
}
