// Text that comes in pieces, as lines.

/** Whole lines without their newlines; what follows the last newline is the last line, if it is not empty. */
export async function* linesOf(chunks: AsyncIterable<string>): AsyncGenerator<string> {
  let partial = ''
  for await (const chunk of chunks) {
    const lines = (partial + chunk).split('\n')
    partial = lines.pop()!
    for (const line of lines) yield line.endsWith('\r') ? line.slice(0, -1) : line
  }
  if (partial !== '') yield partial
}
