// What a command reads from and writes to, and the code that it ends with. Results go to standard output, all else
// (notes, questions, errors) to standard error, so that a pipe gets only results.
import { once } from 'node:events'
import { createInterface } from 'node:readline/promises'
import { ExitCode } from './exit-codes.ts'
import { createStyle, type Style } from './output/style.ts'

export interface Terminal {
  readonly stdin: NodeJS.ReadStream
  readonly stdout: NodeJS.WriteStream
  readonly stderr: NodeJS.WriteStream
  /** Colours for standard output: none where it is no terminal, or NO_COLOR is set. */
  readonly style: Style
  /** Whether a person is there to answer questions. */
  readonly canAsk: boolean
  /** What the process will end with; a command sets it before it returns. Only `exec` sets others than `ExitCode`'s. */
  exitCode: number
  /** Writes lines to standard output, a newline after each. */
  print(...lines: readonly string[]): void
  /** JSON for programs, and for people who read it. */
  printJson(value: unknown): void
  /** One line of newline-delimited JSON. */
  printJsonLine(value: unknown): void
  /** A line for the person, on standard error. */
  note(text: string): void
  /** Asks on standard error; anything but yes is no. */
  confirm(question: string): Promise<boolean>
  /** From the first call on, the first ctrl-C (or SIGTERM) fires this signal and the second ends the process. */
  interruption(): AbortSignal
}

/** The terminal of this process. */
export function createTerminal(): Terminal {
  const { stdin, stdout, stderr } = process
  let interruption: AbortController | undefined
  return {
    stdin,
    stdout,
    stderr,
    style: createStyle(stdout),
    canAsk: stdin.isTTY === true && stderr.isTTY === true,
    exitCode: ExitCode.ok,
    print: (...lines) => void stdout.write(lines.map((line) => `${line}\n`).join('')),
    printJson: (value) => void stdout.write(`${JSON.stringify(value, null, 2)}\n`),
    printJsonLine: (value) => void stdout.write(`${JSON.stringify(value)}\n`),
    note: (text) => void stderr.write(`${text}\n`),
    async confirm(question) {
      const lines = createInterface({ input: stdin, output: stderr })
      try {
        // ctrl-C and ctrl-D close the interface, and the question stays without an answer.
        const closed = once(lines, 'close').then(() => '')
        const answer = await Promise.race([lines.question(`${question} [y/N] `).catch(() => ''), closed])
        return /^y(es)?$/i.test(answer.trim())
      } finally {
        lines.close()
      }
    },
    interruption() {
      if (interruption === undefined) {
        const controller = new AbortController()
        interruption = controller
        for (const name of ['SIGINT', 'SIGTERM'] as const) {
          process.on(name, () => {
            if (controller.signal.aborted) process.exit(ExitCode.interrupted)
            controller.abort()
          })
        }
      }
      return interruption.signal
    },
  }
}
