// `branchline runs cancel`.

import type { Command } from 'commander'
import type { DagRun } from '../../web/server/schemas/dag-run.ts'
import { path } from '../api/client.ts'
import { connectApi } from '../api/connect.ts'
import { resolveRunId } from '../api/runs.ts'
import { callText } from '../call-text.ts'
import { type ApiCommandOptions, apiCommand } from '../command.ts'
import type { Terminal } from '../terminal.ts'

export function runsCancelCommand(terminal: Terminal): Command {
  return apiCommand('cancel', 'End a run: its running tasks are told to stop, then killed')
    .argument('<dag_id>')
    .argument('<run_id>', "or 'latest'")
    .action(async (dagId: string, givenRunId: string, options: ApiCommandOptions) => {
      const api = connectApi(options)
      const runId = await resolveRunId(api, dagId, givenRunId)
      const run = await api.post<DagRun>(path`/dags/${dagId}/dagRuns/${runId}/cancel`, {})
      if (options.json) return terminal.printJson(run)
      terminal.print(`${terminal.style('bold', dagId)}  ${runId}  is being cancelled`)
      terminal.note(terminal.style('dim', `watch it end: ${callText(`runs watch ${dagId} ${runId}`)}`))
    })
}
