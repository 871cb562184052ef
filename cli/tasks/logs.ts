// `branchline tasks logs`.
import type { Command } from 'commander'
import { connectApi } from '../api/connect.ts'
import { linesOf } from '../api/lines.ts'
import { resolveRunId } from '../api/runs.ts'
import { type ApiCommandOptions, apiCommand, countUpTo } from '../command.ts'
import { ExitCode } from '../exit-codes.ts'
import { renderLogText } from '../output/log-line.ts'
import type { Terminal } from '../terminal.ts'
import { readAttemptLogs } from './attempt-logs.ts'

interface Options extends ApiCommandOptions {
  try?: number
  follow?: boolean
}

/** No task has more attempts than that. */
const maxTryNumber = 1_000_000

export function tasksLogsCommand(terminal: Terminal): Command {
  return apiCommand('logs', 'Print the log of a task, by default of its newest attempt')
    .argument('<dag_id>')
    .argument('<run_id>', "or 'latest'")
    .argument('<task_id>')
    .option('--try <number>', 'the attempt with this number', countUpTo(maxTryNumber))
    .option(
      '--follow',
      'wait for what is still to come, also from further attempts, until the task has ended',
    )
    .action(async (dagId: string, run: string, taskId: string, options: Options) => {
      const api = connectApi(options)
      const runId = await resolveRunId(api, dagId, run)
      const signal = terminal.interruption()
      try {
        const logs = readAttemptLogs({
          api,
          place: { dagId, runId, taskId },
          tryNumber: options.try,
          follows: options.follow === true,
          onAttempt: (tryNumber) => {
            if (tryNumber > 1 && !options.json) terminal.note(terminal.style('dim', `attempt ${tryNumber}`))
          },
          signal,
        })
        for await (const line of linesOf(logs)) {
          terminal.print(...(options.json ? [line] : renderLogText(line, terminal.style)))
        }
      } catch (error) {
        if (!signal.aborted) throw error
      }
      if (signal.aborted) terminal.exitCode = ExitCode.interrupted
    })
}
