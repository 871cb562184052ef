// `branchline runs watch`.
import type { Command } from 'commander'
import { connectApi } from '../api/connect.ts'
import { resolveRunId } from '../api/runs.ts'
import { type ApiCommandOptions, apiCommand } from '../command.ts'
import type { Terminal } from '../terminal.ts'
import { watchToTheEnd } from './watch-to-the-end.ts'

export function runsWatchCommand(terminal: Terminal): Command {
  return apiCommand('watch', 'Watch a run to its end; the exit code tells how it ended')
    .argument('<dag_id>')
    .argument('[run_id]', 'default: latest')
    .addHelpText(
      'after',
      '\nOn a terminal the tree of tasks changes in place, otherwise there is one line for each change;\nwith --json, the live events of the API as newline-delimited JSON. ctrl-C leaves the run alone.',
    )
    .action(async (dagId: string, givenRunId: string | undefined, options: ApiCommandOptions) => {
      const api = connectApi(options)
      const runId = await resolveRunId(api, dagId, givenRunId)
      await watchToTheEnd({ terminal, api, dagId, runId, isJson: options.json === true })
    })
}
