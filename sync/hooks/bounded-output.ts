// What a program printed, in bounded memory: its beginning, which says what it set out to do, and its end, which
// says how it came out. Nothing of it is lost to the program: it may go on printing.
//
// A secret that lies across a cut is recognised by nobody. So more is kept than is told: secrets are replaced first,
// and then a margin beside the cut is left out, and with it whatever remained there of one.

/** What is told of either end. Smaller: a stack trace is cut. Larger: one log line grows beyond what collectors take. */
const defaultEdgeBytes = 32 * 1024

/**
 * Left out on either side of a cut. Smaller: of a secret of half this length the rest may be told. Larger: as much
 * more memory for each end.
 */
const defaultMarginBytes = 16 * 1024

export interface BoundedOutput {
  add(chunk: Buffer): void
  /** Both ends without secrets; all of it in `head` where nothing is left out. */
  ends(): { head: string; leftOutBytes: number; tail: string }
  /** Both ends, with a note of how much is missing between them; white space around it is left out. */
  text(): string
}

/**
 * @param options.redact replaces secrets
 * @param options.headBytes about so much of the beginning is told, `tailBytes` of the end; 32 KiB each unless told
 */
export function createBoundedOutput(options: {
  redact: (text: string) => string
  headBytes?: number
  tailBytes?: number
  marginBytes?: number
}): BoundedOutput {
  const { redact, marginBytes = defaultMarginBytes } = options
  const { headBytes = defaultEdgeBytes, tailBytes = defaultEdgeBytes } = options
  const headRoom = headBytes === 0 ? 0 : headBytes + marginBytes
  const restRoom = tailBytes + marginBytes
  const head: Buffer[] = []
  let headSize = 0
  let rest: Buffer[] = []
  let restSize = 0
  let droppedBytes = 0

  /** Called when the chunks hold twice what is kept, so that each byte is copied about once. */
  const trimRest = (): void => {
    const all = Buffer.concat(rest)
    const kept = all.subarray(Math.max(0, all.length - restRoom))
    droppedBytes += all.length - kept.length
    rest = [Buffer.from(kept)]
    restSize = kept.length
  }

  const ends = (): { head: string; leftOutBytes: number; tail: string } => {
    if (restSize > restRoom) trimRest()
    if (droppedBytes === 0) {
      return { head: redact(Buffer.concat([...head, ...rest]).toString()), leftOutBytes: 0, tail: '' }
    }
    const [first, last] = [head, rest].map((chunks) => redact(Buffer.concat(chunks).toString())) as [
      string,
      string,
    ]
    const headEnd = Math.max(0, first.length - marginBytes)
    const marginSize = Buffer.byteLength(first.slice(headEnd)) + Buffer.byteLength(last.slice(0, marginBytes))
    return {
      head: first.slice(0, headEnd),
      leftOutBytes: droppedBytes + marginSize,
      tail: last.slice(marginBytes),
    }
  }

  return {
    add: (chunk) => {
      const room = headRoom - headSize
      if (room > 0) {
        head.push(chunk.subarray(0, room))
        headSize += Math.min(room, chunk.length)
      }
      const more = chunk.subarray(Math.max(0, room))
      if (more.length === 0) return
      rest.push(more)
      restSize += more.length
      if (restSize > 2 * restRoom) trimRest()
    },
    ends,
    text: () => {
      const { head: first, leftOutBytes, tail } = ends()
      return `${first}${leftOutNote(leftOutBytes)}${tail}`.trim()
    },
  }
}

/** The line that stands for what is missing; empty where nothing is. */
export function leftOutNote(bytes: number): string {
  return bytes === 0 ? '' : `\n… ${bytes} bytes left out …\n`
}
