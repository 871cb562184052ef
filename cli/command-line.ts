// The tree of commands. Everything that is known of it (help, suggestions, completion, docs/reference/cli.md) comes
// from here, so a command that is not here does not exist. Building it loads no command's heavy parts.
import { Command } from 'commander'
import { version } from '../runtime/version.ts'
import { commandGroup } from './command.ts'
import { completionCommand } from './completion/command.ts'
import { configPrintCommand } from './config/print.ts'
import { dagsListCommand } from './dags/list.ts'
import { dagsPauseCommand } from './dags/pause.ts'
import { dagsShowCommand } from './dags/show.ts'
import { dagsTestCommand } from './dags/test.ts'
import { dagsTriggerCommand } from './dags/trigger.ts'
import { dagsUnpauseCommand } from './dags/unpause.ts'
import { dbMigrateCommand } from './db/migrate.ts'
import { devCommand } from './dev/dev-command.ts'
import { execCommand } from './exec.ts'
import { importErrorsCommand } from './import-errors.ts'
import { podsCleanupCommand } from './pods/cleanup.ts'
import { podsListCommand } from './pods/list.ts'
import { podsLogsCommand } from './pods/logs.ts'
import { podsRenderCommand } from './pods/render.ts'
import {
  schedulerCommand,
  syncCommand,
  taskCommand,
  webCommand,
  xcomSidecarCommand,
} from './program-commands.ts'
import { runsCancelCommand } from './runs/cancel.ts'
import { runsListCommand } from './runs/list.ts'
import { runsShowCommand } from './runs/show.ts'
import { runsWatchCommand } from './runs/watch.ts'
import { tasksClearCommand } from './tasks/clear.ts'
import { tasksLogsCommand } from './tasks/logs.ts'
import { tasksShowCommand } from './tasks/show.ts'
import type { Terminal } from './terminal.ts'

/** The command `branchline`, ready to parse arguments; errors of usage are thrown as commander's. */
export function createCommandLine(terminal: Terminal): Command {
  const commandLine = new Command('branchline')
    .description('Dags that live in Git: push TypeScript, and it runs from exactly that commit.')
    .version(version, '--version', 'print the release')
    .addHelpText(
      'after',
      '\nExit codes: 0 ok, 1 failed, 2 usage, 3 not found, 4 no answer, 5 conflict, 130 interrupted.',
    )
  for (const command of commandsOf(terminal)) commandLine.addCommand(command)
  speakAsOurs(commandLine)
  return commandLine
}

function commandsOf(terminal: Terminal): Command[] {
  return [
    devCommand(terminal),
    syncCommand(),
    schedulerCommand(),
    webCommand(),
    taskCommand(),
    xcomSidecarCommand(),
    commandGroup('dags', 'Dags: what there is, when it runs', [
      dagsListCommand(terminal),
      dagsShowCommand(terminal),
      dagsPauseCommand(terminal),
      dagsUnpauseCommand(terminal),
      dagsTriggerCommand(terminal),
      dagsTestCommand(terminal),
    ]),
    commandGroup('runs', 'Runs: how they go', [
      runsListCommand(terminal),
      runsShowCommand(terminal),
      runsWatchCommand(terminal),
      runsCancelCommand(terminal),
    ]),
    commandGroup('tasks', 'Tasks of a run: what they said, doing them again', [
      tasksShowCommand(terminal),
      tasksLogsCommand(terminal),
      tasksClearCommand(terminal),
    ]),
    commandGroup('pods', 'Pods of tasks: how they are, what they said', [
      podsListCommand(terminal),
      podsLogsCommand(terminal),
      podsCleanupCommand(terminal),
      podsRenderCommand(terminal),
    ]),
    execCommand(terminal),
    importErrorsCommand(terminal),
    commandGroup('config', 'Configuration', [configPrintCommand(terminal)]),
    commandGroup('db', 'Database', [dbMigrateCommand(terminal)]),
    completionCommand(terminal),
  ]
}

/**
 * Commander would end the process with code 1 for what is an error of usage, and begin its words otherwise than we
 * do. Set on each command: what was made apart inherits nothing.
 */
function speakAsOurs(command: Command): void {
  command.exitOverride()
  command.configureOutput({
    outputError: (text, write) => write(`branchline: ${text.replace(/^error: /, '')}`),
  })
  for (const subcommand of command.commands) speakAsOurs(subcommand)
}
