// Bytes to lines, without a promise for each line: a watch may bring a hundred events in one piece.

/**
 * The whole lines that came with each piece, without their ends; a rest without an end comes last.
 * Groups are never empty.
 */
export async function* lines(pieces: AsyncIterable<Buffer>): AsyncGenerator<string[], void, void> {
  /** Pieces of a line whose end has not come. Joined once, so that a line of many pieces is not copied for each. */
  let rest: Buffer[] = []
  for await (const piece of pieces) {
    const end = piece.lastIndexOf(0x0a)
    if (end === -1) {
      rest.push(piece)
      continue
    }
    const whole =
      rest.length === 0 ? piece.subarray(0, end) : Buffer.concat([...rest, piece.subarray(0, end)])
    rest = end + 1 === piece.length ? [] : [piece.subarray(end + 1)]
    yield whole.toString().split('\n')
  }
  if (rest.length > 0) yield [Buffer.concat(rest).toString()]
}
