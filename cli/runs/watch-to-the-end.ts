// Watching as a command does it, for `runs watch` and `dags trigger --wait`: with a view, ctrl-C, the reasons of a
// failure, and the exit code by the run's end.

import type { Api } from '../api/client.ts'
import { callText } from '../call-text.ts'
import { ExitCode } from '../exit-codes.ts'
import type { Terminal } from '../terminal.ts'
import { failureLines } from './failures.ts'
import { createRunView } from './run-view.ts'
import { watchRun } from './watch-run.ts'

/** Sets the exit code: ok, failed, or interrupted. */
export async function watchToTheEnd(watch: {
  terminal: Terminal
  api: Api
  dagId: string
  runId: string
  isJson: boolean
}): Promise<void> {
  const { terminal, api, dagId, runId, isJson } = watch
  const signal = terminal.interruption()
  const run = await watchRun({ api, dagId, runId, view: createRunView(terminal, isJson), signal })
  if (run === undefined) {
    terminal.note(`the run goes on: ${callText(`runs watch ${dagId} ${runId}`)}`)
    terminal.exitCode = ExitCode.interrupted
    return
  }
  if (run.state !== 'failed') return
  terminal.exitCode = ExitCode.failed
  if (!isJson) terminal.print(...(await failureLines(api, run, terminal.style)))
}
