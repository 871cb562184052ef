// `branchline tasks show`.
import type { Command } from 'commander'
import { connectApi } from '../api/connect.ts'
import { resolveRunId } from '../api/runs.ts'
import { getTaskInstance } from '../api/task-instances.ts'
import { type ApiCommandOptions, apiCommand } from '../command.ts'
import { renderTaskInstance } from '../output/task-instance.ts'
import type { Terminal } from '../terminal.ts'

export function tasksShowCommand(terminal: Terminal): Command {
  return apiCommand('show', 'Show a task of a run: its attempts, their pods and errors, its result')
    .argument('<dag_id>')
    .argument('<run_id>', "or 'latest'")
    .argument('<task_id>')
    .action(async (dagId: string, run: string, taskId: string, options: ApiCommandOptions) => {
      const api = connectApi(options)
      const runId = await resolveRunId(api, dagId, run)
      const task = await getTaskInstance(api, { dagId, runId, taskId })
      if (options.json) terminal.printJson(task)
      else terminal.print(...renderTaskInstance(task, terminal.style, Date.now()))
    })
}
