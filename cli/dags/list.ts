// `branchline dags list`.

import type { Command } from 'commander'
import type { Dag, DagCollection } from '../../web/server/schemas/dag.ts'
import { path } from '../api/client.ts'
import { connectApi } from '../api/connect.ts'
import { readAllPages } from '../api/pages.ts'
import { callText } from '../call-text.ts'
import { type ApiCommandOptions, apiCommand } from '../command.ts'
import { stateText } from '../output/state.ts'
import type { Style } from '../output/style.ts'
import { renderTable } from '../output/table.ts'
import { relativeTime } from '../output/time.ts'
import type { Terminal } from '../terminal.ts'

interface Options extends ApiCommandOptions {
  all?: boolean
}

export function dagsListCommand(terminal: Terminal): Command {
  return apiCommand('list', 'List Dags with their schedules and latest runs')
    .argument('[pattern]', 'part of the dag_id')
    .option('--all', 'also Dags that no module has any more')
    .action(async (pattern: string | undefined, options: Options) => {
      const api = connectApi(options)
      const query = { dag_id_pattern: pattern, include_stale: options.all }
      const found = await readAllPages<DagCollection, Dag>('dags', (page) =>
        api.get(path`/dags`, { ...query, ...page }),
      )
      if (options.json) terminal.printJson(found)
      else if (found.dags.length > 0) terminal.print(...renderDags(found.dags, terminal.style, Date.now()))
      else {
        const why =
          pattern === undefined ? 'push a module that exports one' : `none has '${pattern}' in its id`
        terminal.note(`there are no Dags: ${why}. What could not be loaded: \`${callText('import-errors')}\``)
      }
    })
}

/** @param now milliseconds since the epoch */
function renderDags(dags: readonly Dag[], style: Style, now: number): string[] {
  const rows = dags.map((dag) => [
    style('bold', dag.dag_id),
    dagState(dag, style),
    dag.timetable_summary ?? '-',
    dag.is_paused ? '-' : relativeTime(dag.next_run_after, now),
    dag.latest_dag_run === null
      ? '-'
      : `${stateText(dag.latest_dag_run.state, style)} ${style('dim', relativeTime(dag.latest_dag_run.queued_at, now))}`,
    dag.tags.join(' '),
  ])
  return renderTable(rows, { head: ['dag_id', 'state', 'schedule', 'next run', 'latest run', 'tags'], style })
}

/** What a person should know first. */
export function dagState(dag: Dag, style: Style): string {
  if (dag.is_stale) return style('dim', 'removed')
  if (dag.has_import_errors) return style('red', 'import error')
  return dag.is_paused ? style('yellow', 'paused') : 'active'
}
