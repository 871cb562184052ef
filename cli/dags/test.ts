// `branchline dags test`: a Dag of a file on disk, run in this process, without server, database or commit. The
// module is bundled as the loader bundles it, so what works here loads there.

import { type Command, Command as CommanderCommand, Option } from 'commander'
import { NotFoundError } from '../../runtime/errors.ts'
import { didYouMean } from '../../runtime/nearest.ts'
import { callText } from '../call-text.ts'
import { instant, jsonObject, nameAndValue } from '../command.ts'
import { ExitCode } from '../exit-codes.ts'
import type { Terminal } from '../terminal.ts'
import type { TestableDag } from './test-module.ts'

interface Options {
  logicalDate?: string
  params?: Record<string, unknown>
  param?: Record<string, unknown>
  json?: boolean
}

export function dagsTestCommand(terminal: Terminal): Command {
  return new CommanderCommand('test')
    .description('Run a Dag of a file in this process, without server or database')
    .argument('<file>', 'the Dag module')
    .argument('[dag_id]', 'needed where the module has several')
    .option('--logical-date <time>', 'logical date, local time unless it has an offset', instant)
    .option('--params <json>', 'params of the run, as a JSON object', jsonObject)
    .addOption(
      new Option('--param <name=value>', 'one param; may be repeated; the value is JSON or text')
        .argParser(nameAndValue)
        .conflicts('params'),
    )
    .option('--json', 'print the run as JSON')
    .action(async (file: string, dagId: string | undefined, options: Options) => {
      // esbuild and the authoring module are loaded only here.
      const { loadTestModule } = await import('./test-module.ts')
      const { testDag } = await import('../../runtime/authoring/test-dag.ts')
      const { renderTestRun } = await import('./test-report.ts')
      const { dags, sourcePath } = await loadTestModule(file)
      const dag = chooseDag(dags, dagId, file)
      const startMs = Date.now()
      const run = await testDag(dag, {
        params: options.params ?? options.param ?? {},
        ...(options.logicalDate === undefined ? {} : { logicalDate: options.logicalDate }),
        sourcePath,
        signal: terminal.interruption(),
      })
      if (options.json) terminal.printJson({ dag_id: dag.dagId, ...run })
      else terminal.print(...renderTestRun(dag.manifest, run, Date.now() - startMs, terminal.style))
      if (terminal.interruption().aborted) terminal.exitCode = ExitCode.interrupted
      else if (run.state === 'failed') terminal.exitCode = ExitCode.failed
    })
}

function chooseDag(dags: readonly TestableDag[], dagId: string | undefined, file: string): TestableDag {
  const ids = dags.map((dag) => dag.dagId)
  if (dags.length === 0) {
    throw new NotFoundError(`${file} exports no Dag: export default dag('my-dag', …)`, { details: { file } })
  }
  const chosen = dagId === undefined ? dags : dags.filter((dag) => dag.dagId === dagId)
  if (chosen.length === 1) return chosen[0]!
  const problem =
    dagId === undefined
      ? `${file} has several Dags, say which: ${callText(`dags test ${file} ${ids[0]}`)}.`
      : `${file} has no Dag '${dagId}'.${didYouMean(dagId, ids)}`
  throw new NotFoundError(`${problem} It has ${ids.join(', ')}.`, { details: { file, dag_ids: ids } })
}
