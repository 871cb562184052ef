// `branchline tasks logs`.
import type { Command } from 'commander'
import { connectApi } from '../api/connect.ts'
import { resolveRunId } from '../api/runs.ts'
import { type ApiCommandOptions, apiCommand, tryNumber } from '../command.ts'
import type { Terminal } from '../terminal.ts'
import { printLogs } from './print-logs.ts'

interface Options extends ApiCommandOptions {
  try?: number
  follow?: boolean
}

export function tasksLogsCommand(terminal: Terminal): Command {
  return apiCommand('logs', 'Print the log of a task, by default of its newest attempt')
    .argument('<dag_id>')
    .argument('<run_id>', "or 'latest'")
    .argument('<task_id>')
    .option('--try <number>', 'the attempt with this number', tryNumber)
    .option(
      '--follow',
      'wait for what is still to come, also from further attempts, until the task has ended',
    )
    .action(async (dagId: string, run: string, taskId: string, options: Options) => {
      const api = connectApi(options)
      const runId = await resolveRunId(api, dagId, run)
      await printLogs(terminal, {
        api,
        place: { dagId, runId, taskId },
        tryNumber: options.try,
        follows: options.follow === true,
        json: options.json === true,
      })
    })
}
