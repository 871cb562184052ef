// `branchline config print`.
import { Command } from 'commander'
import { loadConfig } from '../../runtime/config.ts'
import { configEntries, renderConfig } from '../../runtime/config-render.ts'
import type { Terminal } from '../terminal.ts'

interface Options {
  json?: boolean
  config?: string
}

export function configPrintCommand(terminal: Terminal): Command {
  return new Command('print')
    .description('Print every setting with its value and where that came from; secrets are masked')
    .option('--json', 'print JSON')
    .option('--config <path>', 'configuration file')
    .action((options: Options) => {
      const config = loadConfig({ env: process.env, flags: { config: options.config } })
      if (options.json) terminal.printJson(configEntries(config))
      else terminal.print(renderConfig(config))
    })
}
