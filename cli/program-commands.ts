// `branchline sync`, `branchline scheduler`, `branchline web`, `branchline task`: the programs as commands.
import { Command } from 'commander'
import { startProgram } from './start-program.ts'

interface Options {
  config?: string
}

/** Only described here, for help and completion: main.ts hands all that follows `sync` to the program itself. */
export function syncCommand(): Command {
  return new Command('sync')
    .description(
      'Publish a Git repository as a directory, as git-sync does; `branchline sync --help` has its options',
    )
    .usage('[git-sync options]')
}

export function schedulerCommand(): Command {
  return configuredProgram('scheduler', 'Load Dags, decide what runs, run it; several may run at once')
}

export function webCommand(): Command {
  return configuredProgram('web', 'Serve the API')
}

/** Only described here: main.ts starts the program where nothing follows `task`. */
export function taskCommand(): Command {
  return new Command('task').description(
    'Run one attempt in a worker pod: the command of the container `base`, which a scheduler makes',
  )
}

/** The same for `xcom-sidecar`. */
export function xcomSidecarCommand(): Command {
  return new Command('xcom-sidecar').description(
    'Send the result of a pod() task: the command of its sidecar, which a scheduler makes',
  )
}

/** A program that reads nothing but the configuration. */
function configuredProgram(name: 'scheduler' | 'web', description: string): Command {
  return new Command(name)
    .description(description)
    .option('--config <path>', 'configuration file')
    .action(async (options: Options) => {
      // The program reads its own environment, as it does when it is started without this command.
      if (options.config !== undefined) process.env.BRANCHLINE_CONFIG = options.config
      await startProgram(name, [])
    })
}
