// `branchline runs show`.
import type { Command } from 'commander'
import { connectApi } from '../api/connect.ts'
import { getGroupIds, getRun, resolveRunId } from '../api/runs.ts'
import { type ApiCommandOptions, apiCommand } from '../command.ts'
import { renderRun } from '../output/run-summary.ts'
import type { Terminal } from '../terminal.ts'
import { failureLines } from './failures.ts'

export function runsShowCommand(terminal: Terminal): Command {
  return apiCommand('show', 'Show a run and its tasks as they are now')
    .argument('<dag_id>')
    .argument('[run_id]', 'default: latest')
    .action(async (dagId: string, givenRunId: string | undefined, options: ApiCommandOptions) => {
      const api = connectApi(options)
      const runId = await resolveRunId(api, dagId, givenRunId)
      const run = await getRun(api, dagId, runId)
      if (options.json) return terminal.printJson(run)
      const { style } = terminal
      const snapshot = { run, taskInstances: run.task_instances, groupIds: await getGroupIds(api, dagId) }
      terminal.print(...renderRun(snapshot, { style, now: Date.now(), isLive: false }))
      terminal.print(...(await failureLines(api, run, style)))
    })
}
