// Where the lines of all programs go: every one into dev.log, and what matters to the terminal. During the start lines
// wait: of a program that does not start the error says it all, once.
import type { Logger } from '../../runtime/log.ts'
import { createLogger } from '../../runtime/log.ts'
import type { Terminal } from '../terminal.ts'
import { openDevLog } from './dev-log.ts'
import { createLineForwarder } from './line-forwarder.ts'
import type { ProgramLine } from './supervised-program.ts'

export interface DevOutput {
  /** For `dev` itself. */
  readonly log: Logger
  /** A line of a program. */
  onLine(line: ProgramLine): void
  /** To the terminal, with the time. */
  say(text: string): void
  /** From now on lines are shown as they come, with those that waited first. */
  started(): void
  /** From now on only dev.log gets them: what programs complain of while all of them end is no news. */
  stopping(): void
  close(): void
}

/** @param output.verbose everything to the terminal, at once */
export function createDevOutput(output: { path: string; verbose: boolean; terminal: Terminal }): DevOutput {
  const { verbose, terminal } = output
  const { style } = terminal
  const devLog = openDevLog(output.path)
  const say = (text: string) => terminal.print(`${style('dim', clockText())}  ${text}`)
  const forward = createLineForwarder({ verbose, style, print: say })
  let phase: 'starting' | 'started' | 'stopping' = verbose ? 'started' : 'starting'
  const waiting: ProgramLine[] = []

  const onLine = (line: ProgramLine): void => {
    devLog.write(line)
    if (phase === 'starting') waiting.push(line)
    else if (phase === 'started' || verbose) forward(line)
  }
  return {
    log: createLogger('dev', {
      destination: { write: (text) => onLine({ program: 'dev', stream: 'stderr', text: text.trimEnd() }) },
    }),
    onLine,
    say,
    started() {
      phase = 'started'
      for (const line of waiting.splice(0)) forward(line)
    },
    stopping() {
      phase = 'stopping'
    },
    close: () => devLog.close(),
  }
}

function clockText(): string {
  return new Date().toTimeString().slice(0, 8)
}
