// The person's terminal, handed over to a program that runs elsewhere: every key goes there as it is, and the size of
// the window with it.
import type { ReadStream, WriteStream } from 'node:tty'

export interface TerminalSize {
  columns: number
  rows: number
}

/**
 * Turns off what the terminal does by itself: echo, lines, ctrl-C. Disposing gives it back as it was; that may be done
 * twice, and is done by the process's end too.
 */
export function takeTerminal(stdin: ReadStream): Disposable {
  const wasRaw = stdin.isRaw
  const giveBack = () => void stdin.setRawMode(wasRaw)
  stdin.setRawMode(true)
  // An end that nobody caught would leave a shell in which nothing is seen.
  process.on('exit', giveBack)
  return {
    [Symbol.dispose]() {
      process.off('exit', giveBack)
      giveBack()
    },
  }
}

/** The size now, and each further one; where several came since the last was taken, the newest. Ends with the signal. */
export async function* terminalSizes(
  stdout: WriteStream,
  signal: AbortSignal,
): AsyncGenerator<TerminalSize, void, void> {
  let changed = Promise.withResolvers<void>()
  const onChange = () => changed.resolve()
  stdout.on('resize', onChange)
  signal.addEventListener('abort', onChange)
  try {
    while (!signal.aborted) {
      // Before it is read: what changes from here on is the next size.
      changed = Promise.withResolvers<void>()
      yield { columns: stdout.columns, rows: stdout.rows }
      if (!signal.aborted) await changed.promise
    }
  } finally {
    stdout.off('resize', onChange)
    signal.removeEventListener('abort', onChange)
  }
}
