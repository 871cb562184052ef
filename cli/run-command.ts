// Runs one command and ends the process with its exit code (cli/exit-codes.ts).
import { CommanderError } from 'commander'
import { BranchlineError, messageOf } from '../runtime/errors.ts'
import { createCommandLine } from './command-line.ts'
import { answerCompletion, completionRequest } from './completion/answer.ts'
import { ExitCode, exitCodeOf } from './exit-codes.ts'
import { createTerminal, type Terminal } from './terminal.ts'

/** @param args what follows `branchline`. Does not return: the process ends. */
export async function runCommand(args: readonly string[]): Promise<never> {
  endQuietlyWithoutReader()
  const exitCode = await run(createTerminal(), args)
  await Promise.all([drained(process.stdout), drained(process.stderr)])
  // What a tested Dag, or a connection that is kept, left behind does not keep the command.
  process.exit(exitCode)
}

async function run(terminal: Terminal, args: readonly string[]): Promise<number> {
  const commandLine = createCommandLine(terminal)
  try {
    if (args[0] === completionRequest) await answerCompletion(commandLine, terminal, args[1] ?? '')
    else await commandLine.parseAsync(args, { from: 'user' })
    return terminal.exitCode
  } catch (error) {
    // Commander has already said what was wrong, or shown the help that was asked for.
    if (error instanceof CommanderError) return error.exitCode === 0 ? ExitCode.ok : ExitCode.usage
    terminal.note(`branchline: ${describe(error)}`)
    return exitCodeOf(error)
  }
}

/** What is not of the catalogue is a fault of ours: with its stack, for the report. */
function describe(error: unknown): string {
  if (error instanceof BranchlineError || !(error instanceof Error)) return messageOf(error)
  return `unexpected ${error.stack}`
}

/** `branchline … | head`: when the reader has enough, there is nothing left to do, and nothing to complain of. */
function endQuietlyWithoutReader(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') process.exit(ExitCode.ok)
      throw error
    })
  }
}

function drained(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => void stream.write('', () => resolve()))
}
