// `branchline tasks clear`.

import { type Command, Option } from 'commander'
import { InvalidInputError } from '../../runtime/errors.ts'
import type { ClearBody, ClearResult } from '../../web/server/schemas/dag-run.ts'
import { path } from '../api/client.ts'
import { connectApi } from '../api/connect.ts'
import { resolveRunId } from '../api/runs.ts'
import { callText } from '../call-text.ts'
import { type ApiCommandOptions, apiCommand } from '../command.ts'
import { stateText } from '../output/state.ts'
import type { Style } from '../output/style.ts'
import { renderTable } from '../output/table.ts'
import type { Terminal } from '../terminal.ts'

interface Options extends ApiCommandOptions {
  downstream: boolean
  onlyFailed?: boolean
  all?: boolean
  yes?: boolean
}

export function tasksClearCommand(terminal: Terminal): Command {
  return apiCommand('clear', 'Let tasks of a run, and those below them, run again')
    .argument('<dag_id>')
    .argument('<run_id>', "or 'latest'")
    .argument('[task_id...]', 'default: the failed ones')
    .option('--no-downstream', 'only these tasks, not those below them')
    .option('--only-failed', 'of these tasks only those that failed')
    .addOption(new Option('--all', 'every task of the run').conflicts('onlyFailed'))
    .option('--yes', 'do not ask')
    .action(async (dagId: string, run: string, taskIds: string[], options: Options) => {
      const api = connectApi(options)
      const runId = await resolveRunId(api, dagId, run)
      const target = path`/dags/${dagId}/dagRuns/${runId}/clear`
      const body = clearBody(taskIds, options)
      if (!options.yes) {
        const { task_instances } = await api.post<ClearResult>(target, { ...body, dry_run: true })
        const isAgreed = await ask(terminal, runId, task_instances)
        if (!isAgreed) return terminal.note('nothing was cleared')
      }
      const cleared = await api.post<ClearResult>(target, body)
      if (options.json) return terminal.printJson(cleared)
      if (options.yes) terminal.print(...renderCleared(cleared.task_instances, terminal.style))
      terminal.note(`${cleared.task_instances.length} cleared: ${callText(`runs watch ${dagId} ${runId}`)}`)
    })
}

function clearBody(taskIds: readonly string[], options: Options): ClearBody {
  if (options.all && taskIds.length > 0) {
    throw new InvalidInputError('--all clears every task: leave out either it or the task ids')
  }
  return {
    ...(taskIds.length === 0 ? {} : { task_ids: [...taskIds] }),
    ...(options.onlyFailed ? { only_failed: true } : {}),
    ...(options.all ? { only_failed: false } : {}),
    include_downstream: options.downstream,
  }
}

async function ask(
  terminal: Terminal,
  runId: string,
  tasks: ClearResult['task_instances'],
): Promise<boolean> {
  if (!terminal.canAsk) {
    throw new InvalidInputError(
      `this would clear ${countText(tasks)} of '${runId}' (${tasks.map((task) => task.task_id).join(', ')}), and nobody is there to ask: add --yes`,
    )
  }
  for (const line of renderCleared(tasks, terminal.style)) terminal.note(line)
  return await terminal.confirm(`Clear ${countText(tasks)} of ${runId}?`)
}

function countText({ length }: ClearResult['task_instances']): string {
  return length === 1 ? '1 task instance' : `${length} task instances`
}

/** Each with the state that it leaves. */
function renderCleared(tasks: ClearResult['task_instances'], style: Style): string[] {
  return renderTable(tasks.map((task) => [task.task_id, stateText(task.state, style)]))
}
