// `branchline runs list`.

import { type Command, Option } from 'commander'
import { DagRunState } from '../../runtime/states.ts'
import type { DagRun, DagRunCollection } from '../../web/server/schemas/dag-run.ts'
import { path } from '../api/client.ts'
import { connectApi } from '../api/connect.ts'
import { callText } from '../call-text.ts'
import { type ApiCommandOptions, apiCommand, countUpTo } from '../command.ts'
import { shortCommit } from '../output/run-summary.ts'
import { stateText } from '../output/state.ts'
import type { Style } from '../output/style.ts'
import { renderTable } from '../output/table.ts'
import { elapsed, localTime } from '../output/time.ts'
import type { Terminal } from '../terminal.ts'

interface Options extends ApiCommandOptions {
  state?: DagRunState[]
  limit: number
}

/** What the API gives at most. */
const maxLimit = 1_000
/** Stands for every Dag in the API's paths. */
const everyDag = '~'

export function runsListCommand(terminal: Terminal): Command {
  return apiCommand('list', 'List runs, newest first')
    .argument('[dag_id]', 'default: runs of every Dag')
    .addOption(
      new Option('--state <state...>', 'only runs in these states').choices(Object.values(DagRunState)),
    )
    .option('--limit <number>', 'so many at most', countUpTo(maxLimit), 25)
    .action(async (dagId: string | undefined, options: Options) => {
      const runs = await connectApi(options).get<DagRunCollection>(path`/dags/${dagId ?? everyDag}/dagRuns`, {
        limit: options.limit,
        state: options.state,
      })
      if (options.json) return terminal.printJson(runs)
      const { dag_runs, total_entries } = runs
      if (dag_runs.length === 0) {
        return terminal.note(
          `there are no such runs: ${callText(`dags trigger ${dagId ?? 'DAG'}`)} starts one`,
        )
      }
      terminal.print(...renderRuns(dag_runs, terminal.style, Date.now()))
      if (dag_runs.length < total_entries) {
        terminal.note(terminal.style('dim', `${dag_runs.length} of ${total_entries}: --limit shows more`))
      }
    })
}

/** @param now milliseconds since the epoch */
function renderRuns(runs: readonly DagRun[], style: Style, now: number): string[] {
  const rows = runs.map((run) => [
    style('bold', run.dag_id),
    run.run_id,
    stateText(run.state, style),
    localTime(run.logical_date),
    localTime(run.start_date),
    elapsed(run, now),
    shortCommit(run.commit_sha),
  ])
  const head = ['dag_id', 'run_id', 'state', 'logical date', 'started', 'duration', 'commit']
  return renderTable(rows, { head, right: [5], style })
}
