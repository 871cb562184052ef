// `branchline pods list`.
import { type Command, Option } from 'commander'
import { InvalidInputError } from '../../runtime/errors.ts'
import type { PodCollection } from '../../web/server/schemas/pod.ts'
import { type Api, path } from '../api/client.ts'
import { connectApi } from '../api/connect.ts'
import { latest, resolveRunId } from '../api/runs.ts'
import { type ApiCommandOptions, apiCommand, countUpTo } from '../command.ts'
import { podHead, podRow } from '../output/pod.ts'
import { renderTable } from '../output/table.ts'
import type { Terminal } from '../terminal.ts'

interface Options extends ApiCommandOptions {
  run?: string
  namespace?: string
  all?: boolean
  output: 'table' | 'json'
  limit: number
}

/** What the API gives at most. */
const maxLimit = 1_000
/** Of pods that are not gone, as far as is known. */
const presentStates = ['planned', 'created', 'ended']

export function podsListCommand(terminal: Terminal): Command {
  return apiCommand('list', 'List the pods of attempts, those of the newest runs first')
    .argument('[dag_id]', 'default: pods of every Dag')
    .option('--run <run_id>', "only this run's; 'latest' for the newest one")
    .option('-n, --namespace <name>', 'only those in this namespace (default: all)')
    .option('--all', 'also those that are gone')
    .option('--limit <number>', 'so many at most', countUpTo(maxLimit), 100)
    .addOption(
      new Option('-o, --output <format>', 'json is the same as --json')
        .choices(['table', 'json'])
        .default('table'),
    )
    .action(async (dagId: string | undefined, options: Options) => {
      const pods = await readPods(connectApi(options), dagId, options)
      if (options.json || options.output === 'json') return terminal.printJson(pods)
      if (pods.pods.length === 0) {
        return terminal.note(
          `there are no such pods${options.all ? '' : '; --all shows those that are gone'}`,
        )
      }
      const { style } = terminal
      const rows = pods.pods.map((pod) => podRow(pod, style, Date.now()))
      terminal.print(...renderTable(rows, { head: podHead, right: [4, 7], style }))
      if (pods.pods.length < pods.total_entries) {
        terminal.note(style('dim', `${pods.pods.length} of ${pods.total_entries}: --limit shows more`))
      }
    })
}

async function readPods(api: Api, dagId: string | undefined, options: Options): Promise<PodCollection> {
  const { run, namespace, all, limit } = options
  if (run === latest && dagId === undefined) {
    throw new InvalidInputError("'--run latest' is the newest run of a Dag: name the Dag too")
  }
  const runId = run === undefined || dagId === undefined ? run : await resolveRunId(api, dagId, run)
  return await api.get(path`/pods`, {
    dag_id: dagId,
    run_id: runId,
    namespace,
    state: all ? undefined : presentStates,
    limit,
  })
}
