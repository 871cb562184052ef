// A container's log as kubelet sends it with `timestamps=true`, taken apart. What was found out about it (kubelet 1.35):
//
// - Each line begins with its time, always with nine digits, and a space. The times are in the order of the file but
//   for what stdout and stderr wrote at the same moment.
// - What the runtime kept in pieces (16 KiB) comes as one line, under the time of its first piece. Where the other
//   output wrote in between, kubelet joins that to it.
// - `sinceTime` counts in whole seconds, and applies to the pieces: the first line may be the end of an older one.
// - The last line may be without an end, while it is being written, and for good where the program left it so.
// - Where kubelet cannot read the file it says so in the same stream, without a time, under HTTP status 200.

export interface LogLine {
  /** RFC 3339 with nanoseconds, as kubelet wrote it. */
  time: string
  text: string
}

/** A longer line is handed over in parts of this size, which have its time: nobody keeps a line without end in memory. */
export const maxLineBytes = 1024 * 1024

export interface LogPiece {
  lines: LogLine[]
  /** What has no time: kubelet's own words, that it cannot read on. */
  faults: string[]
}

export interface LogLineReader {
  take(piece: Buffer): LogPiece
  /** The line without an end, at the end of the stream; null where there is none. */
  rest(): LogPiece
}

export function createLogLineReader(): LogLineReader {
  let kept: Buffer[] = []
  let keptBytes = 0
  /** Of the line whose first parts were handed over. */
  let partTime: string | null = null

  const add = (text: string, into: LogPiece): void => {
    if (partTime !== null) {
      into.lines.push({ time: partTime, text })
      return
    }
    const space = text.indexOf(' ')
    const end = space === -1 ? text.length : space
    // 2006-01-02T15:04:05Z is the shortest. An empty line has nothing after its time, or only the space.
    const isTime = end >= 20 && text.charCodeAt(4) === 0x2d && text.charCodeAt(10) === 0x54
    if (isTime) into.lines.push({ time: text.slice(0, end), text: text.slice(end + 1) })
    else if (text !== '') into.faults.push(text)
  }

  const cutLong = (into: LogPiece): void => {
    let whole = Buffer.concat(kept)
    while (whole.length > maxLineBytes) {
      add(whole.subarray(0, maxLineBytes).toString(), into)
      partTime ??= into.lines.at(-1)?.time ?? null
      whole = whole.subarray(maxLineBytes)
    }
    kept = [whole]
    keptBytes = whole.length
  }

  const endLine = (into: LogPiece, last: Buffer): void => {
    kept.push(last)
    keptBytes += last.length
    if (keptBytes > maxLineBytes) cutLong(into)
    add((kept.length === 1 ? kept[0]! : Buffer.concat(kept)).toString(), into)
    kept = []
    keptBytes = 0
    partTime = null
  }

  return {
    take(piece) {
      const into: LogPiece = { lines: [], faults: [] }
      let begin = 0
      const first = piece.indexOf(0x0a)
      if (first !== -1) {
        endLine(into, piece.subarray(0, first))
        const last = piece.lastIndexOf(0x0a)
        if (last > first) {
          for (const text of piece.toString('utf8', first + 1, last).split('\n')) {
            // A part has at most four bytes for each letter, so that the short ones need no counting.
            if (text.length * 4 <= maxLineBytes) add(text, into)
            else endLine(into, Buffer.from(text))
          }
        }
        begin = last + 1
      }
      if (begin < piece.length) {
        kept.push(piece.subarray(begin))
        keptBytes += piece.length - begin
        if (keptBytes > maxLineBytes) cutLong(into)
      }
      return into
    },
    rest() {
      const into: LogPiece = { lines: [], faults: [] }
      if (keptBytes > 0) endLine(into, Buffer.alloc(0))
      return into
    },
  }
}
