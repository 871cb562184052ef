// `branchline dags trigger`.

import { type Command, Option } from 'commander'
import type { Dag } from '../../web/server/schemas/dag.ts'
import type { DagRun, TriggerBody } from '../../web/server/schemas/dag-run.ts'
import { path } from '../api/client.ts'
import { connectApi } from '../api/connect.ts'
import { callText } from '../call-text.ts'
import { type ApiCommandOptions, apiCommand, instant, jsonObject, nameAndValue } from '../command.ts'
import { stateText } from '../output/state.ts'
import { watchToTheEnd } from '../runs/watch-to-the-end.ts'
import type { Terminal } from '../terminal.ts'

interface Options extends ApiCommandOptions {
  runId?: string
  logicalDate?: string
  params?: Record<string, unknown>
  param?: Record<string, unknown>
  wait?: boolean
}

export function dagsTriggerCommand(terminal: Terminal): Command {
  return apiCommand('trigger', 'Start a run of a Dag')
    .argument('<dag_id>')
    .option('--run-id <run_id>', 'id of the new run (default: manual__ and the present time)')
    .option('--logical-date <time>', 'logical date, local time unless it has an offset', instant)
    .option('--params <json>', 'params of the run, as a JSON object', jsonObject)
    .addOption(
      new Option('--param <name=value>', 'one param; may be repeated; the value is JSON or text')
        .argParser(nameAndValue)
        .conflicts('params'),
    )
    .option('--wait', 'watch the run to its end; the exit code tells how it ended')
    .action(async (dagId: string, options: Options) => {
      const api = connectApi(options)
      const body: TriggerBody = {
        ...(options.runId === undefined ? {} : { run_id: options.runId }),
        ...(options.logicalDate === undefined ? {} : { logical_date: options.logicalDate }),
        params: options.params ?? options.param ?? {},
      }
      const run = await api.post<DagRun>(path`/dags/${dagId}/dagRuns`, body)
      const { run_id: runId } = run
      if (options.json && !options.wait) return terminal.printJson(run)
      const { is_paused: isPaused } = await api.get<Dag>(path`/dags/${dagId}`)
      if (isPaused) {
        terminal.note(`${dagId} is paused: the run waits until \`${callText(`dags unpause ${dagId}`)}\``)
      }
      if (options.wait) {
        return watchToTheEnd({ terminal, api, dagId, runId, isJson: options.json === true })
      }
      terminal.print(`${terminal.style('bold', dagId)}  ${runId}  ${stateText(run.state, terminal.style)}`)
      terminal.note(terminal.style('dim', `watch it: ${callText(`runs watch ${dagId} ${runId}`)}`))
    })
}
