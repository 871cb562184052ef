// What `dags pause` and `dags unpause` share: they are the same request.
import type { Command } from 'commander'
import type { Dag, DagPatch } from '../../web/server/schemas/dag.ts'
import { path } from '../api/client.ts'
import { connectApi } from '../api/connect.ts'
import { type ApiCommandOptions, apiCommand } from '../command.ts'
import type { Terminal } from '../terminal.ts'

/** @param said what is printed beside the Dag's name */
export function setPausedCommand(
  terminal: Terminal,
  command: { name: string; description: string; isPaused: boolean; said: string },
): Command {
  return apiCommand(command.name, command.description)
    .argument('<dag_id>')
    .action(async (dagId: string, options: ApiCommandOptions) => {
      const patch: DagPatch = { is_paused: command.isPaused }
      const dag = await connectApi(options).patch<Dag>(path`/dags/${dagId}`, patch)
      if (options.json) terminal.printJson(dag)
      else terminal.print(`${terminal.style('bold', dag.dag_id)} ${command.said}`)
    })
}
