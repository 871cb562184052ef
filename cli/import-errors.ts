// `branchline import-errors`.
import type { Command } from 'commander'
import type { ImportError, ImportErrorCollection } from '../web/server/schemas/monitoring.ts'
import { path } from './api/client.ts'
import { connectApi } from './api/connect.ts'
import { readAllPages } from './api/pages.ts'
import { type ApiCommandOptions, apiCommand } from './command.ts'
import { ExitCode } from './exit-codes.ts'
import { shortCommit } from './output/run-summary.ts'
import type { Style } from './output/style.ts'
import { relativeTime } from './output/time.ts'
import type { Terminal } from './terminal.ts'

export function importErrorsCommand(terminal: Terminal): Command {
  return apiCommand(
    'import-errors',
    'Show the Dag modules that could not be loaded; exit code 1 if there are any',
  ).action(async (options: ApiCommandOptions) => {
    const api = connectApi(options)
    const found = await readAllPages<ImportErrorCollection, ImportError>('import_errors', (page) =>
      api.get(path`/importErrors`, page),
    )
    if (found.import_errors.length > 0) terminal.exitCode = ExitCode.failed
    if (options.json) terminal.printJson(found)
    else if (found.import_errors.length === 0) terminal.print('no import errors')
    else {
      terminal.print(
        ...found.import_errors.flatMap((error, index) => [
          ...(index === 0 ? [] : ['']),
          ...renderImportError(error, terminal.style, Date.now()),
        ]),
      )
    }
  })
}

/** @param now milliseconds since the epoch */
function renderImportError(error: ImportError, style: Style, now: number): string[] {
  const place = [error.error_file, error.line, error.column].filter((part) => part !== null).join(':')
  const imported = error.error_file === error.file ? '' : ` imported by ${error.file}`
  const commit = error.commit_sha === null ? '' : `commit ${shortCommit(error.commit_sha)}, `
  const since = style('dim', `(${commit}${relativeTime(error.created_at, now)})`)
  const stack = error.stack === null ? [] : stackFrames(error.stack)
  return [
    `${style('red', '✗')} ${style('bold', place)}${imported} ${since}`,
    ...error.message.split('\n').map((line) => `  ${line}`),
    ...stack.map((line) => style('dim', `  ${line}`)),
    ...(error.hint === null ? [] : [`  ${style('cyan', 'hint:')} ${error.hint}`]),
  ]
}

/** Without the message, which stands above. */
function stackFrames(stack: string): string[] {
  return stack.split('\n').filter((line) => line.startsWith('    at '))
}
