// `branchline dags show`.

import type { Command } from 'commander'
import type { DagDetails } from '../../web/server/schemas/dag.ts'
import { path } from '../api/client.ts'
import { connectApi } from '../api/connect.ts'
import { callText } from '../call-text.ts'
import { type ApiCommandOptions, apiCommand } from '../command.ts'
import { shortCommit } from '../output/run-summary.ts'
import { stateText } from '../output/state.ts'
import type { Style } from '../output/style.ts'
import { renderFields, renderTable } from '../output/table.ts'
import { localTime, relativeTime } from '../output/time.ts'
import type { Terminal } from '../terminal.ts'
import { dagState } from './list.ts'

export function dagsShowCommand(terminal: Terminal): Command {
  return apiCommand('show', 'Show a Dag: schedule, version, params, tasks')
    .argument('<dag_id>')
    .action(async (dagId: string, options: ApiCommandOptions) => {
      const dag = await connectApi(options).get<DagDetails>(path`/dags/${dagId}`)
      if (options.json) terminal.printJson(dag)
      else terminal.print(...renderDag(dag, terminal.style, Date.now()))
    })
}

/** @param now milliseconds since the epoch */
function renderDag(dag: DagDetails, style: Style, now: number): string[] {
  const { latest_dag_run: run, manifest } = dag
  const fields: [string, string][] = [
    ['dag_id', style('bold', dag.dag_id)],
    ['description', dag.description ?? '-'],
    ['state', dagState(dag, style)],
    ['schedule', dag.timetable_summary ?? '- (runs when it is triggered)'],
    ['next run', nextRun(dag, now)],
    [
      'latest run',
      run === null
        ? '-'
        : `${stateText(run.state, style)} ${run.run_id} ${style('dim', relativeTime(run.queued_at, now))}`,
    ],
    ['tags', dag.tags.join(' ') || '-'],
    ['file', dag.file],
    ['version', `${dag.version_number}, of ${localTime(dag.version_created_at)}`],
    ['commit', shortCommit(dag.commit_sha)],
    ['catchup', manifest.catchup ? 'yes' : 'no'],
    ['max active', `${dag.max_active_runs} runs, ${manifest.max_active_tasks} tasks of each`],
    ['params', Object.keys(manifest.params).length === 0 ? '-' : JSON.stringify(manifest.params)],
  ]
  const tasks = manifest.tasks.map((task) => [
    task.task_id,
    task.kind,
    task.retries === 0 ? '-' : String(task.retries),
    task.upstream_task_ids.join(', ') || '-',
  ])
  const head = ['task_id', 'kind', 'retries', 'after']
  return [...renderFields(fields, style), '', ...renderTable(tasks, { head, style })]
}

function nextRun(dag: DagDetails, now: number): string {
  if (dag.next_run_after === null) return '-'
  if (dag.is_paused) return `when it is unpaused: ${callText(`dags unpause ${dag.dag_id}`)}`
  return `${localTime(dag.next_run_after)} (${relativeTime(dag.next_run_after, now)})`
}
