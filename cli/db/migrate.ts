// `branchline db migrate`.
import { Command } from 'commander'
import { loadConfig } from '../../runtime/config.ts'
import { ConfigError } from '../../runtime/errors.ts'
import type { Terminal } from '../terminal.ts'

interface Options {
  json?: boolean
  config?: string
  databaseUrl?: string
}

export function dbMigrateCommand(terminal: Terminal): Command {
  return new Command('migrate')
    .description('Bring the database to the schema of this release; may be called again')
    .option('--database-url <url>', 'the database (default: setting database_url)')
    .option('--json', 'print JSON')
    .option('--config <path>', 'configuration file')
    .action(async (options: Options) => {
      const flags = { config: options.config, database_url: options.databaseUrl }
      const { database_url: url } = loadConfig({ env: process.env, flags }).values
      if (url === null) {
        throw new ConfigError(
          'db migrate needs database_url: set BRANCHLINE_DATABASE_URL or give --database-url. (`branchline dev` migrates its own database itself.)',
        )
      }
      // The driver is loaded only here: every other command starts without it.
      const { openDatabase } = await import('../../scheduler/database/connection.ts')
      const { migrate } = await import('../../scheduler/database/migrate.ts')
      const database = openDatabase(url, { applicationName: 'branchline db migrate' })
      try {
        const result = await migrate(database)
        if (options.json) terminal.printJson(result)
        else terminal.print(...renderResult(result))
      } finally {
        await database.close()
      }
    })
}

function renderResult({ applied, version }: { applied: string[]; version: number }): string[] {
  if (applied.length === 0) return [`the database is up to date: schema version ${version}`]
  return [...applied.map((name) => `applied ${name}`), `the database has schema version ${version}`]
}
