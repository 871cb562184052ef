// The kept log of attempts on standard output, for the commands that show it.
import type { Api } from '../api/client.ts'
import { linesOf } from '../api/lines.ts'
import type { TaskPlace } from '../api/task-instances.ts'
import { ExitCode } from '../exit-codes.ts'
import { renderLogText } from '../output/log-line.ts'
import type { Terminal } from '../terminal.ts'
import { readAttemptLogs } from './attempt-logs.ts'

/**
 * Prints them to their end, or until the person interrupts, which sets the exit code.
 * @throws NotFoundError where there is no such attempt
 */
export async function printLogs(
  terminal: Terminal,
  input: { api: Api; place: TaskPlace; tryNumber: number | undefined; follows: boolean; json: boolean },
): Promise<void> {
  const { json, ...request } = input
  const signal = terminal.interruption()
  try {
    const logs = readAttemptLogs({
      ...request,
      onAttempt: (tryNumber) => {
        if (tryNumber > 1 && !json) terminal.note(terminal.style('dim', `attempt ${tryNumber}`))
      },
      signal,
    })
    for await (const line of linesOf(logs)) {
      terminal.print(...(json ? [line] : renderLogText(line, terminal.style)))
    }
  } catch (error) {
    if (!signal.aborted) throw error
  }
  if (signal.aborted) terminal.exitCode = ExitCode.interrupted
}
