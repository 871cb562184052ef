// Brings a database to the newest schema: forward only, each migration once, all in one transaction under an
// advisory lock, so that any number of processes may call it at the same start and a crash leaves nothing half.
import { ConfigError } from '../../runtime/errors.ts'
import type { Database } from './connection.ts'
import { type Migration, readMigrations } from './migrations.ts'

/** Any constant that no other program takes an advisory lock on in this database. */
const migrationLock = 7_301_946_215

export interface MigrateResult {
  /** Names of the migrations that this call applied. */
  applied: string[]
  version: number
}

/**
 * @throws ConfigError where the database was migrated by a newer release than this one
 * @throws DatabaseUnavailableError
 */
export function migrate(
  database: Database,
  migrations: Migration[] = readMigrations(),
): Promise<MigrateResult> {
  return database.transaction(async (connection) => {
    await connection.query('select pg_advisory_xact_lock($1)', [migrationLock])
    await connection.query(`
      create table if not exists schema_migration (
        version integer primary key,
        name text not null,
        applied_at timestamptz not null default now()
      )`)
    const { rows } = await connection.query<{ version: number }>('select version from schema_migration')
    const known = new Set(migrations.map((migration) => migration.version))
    const foreign = rows.find((row) => !known.has(row.version))
    if (foreign) {
      throw new ConfigError(
        `the database has schema version ${foreign.version}, which this release does not know (its newest is ${Math.max(...known)}): run the newer release, or name another database`,
        { details: { version: foreign.version } },
      )
    }
    const done = new Set(rows.map((row) => row.version))
    const applied: string[] = []
    for (const migration of migrations.filter(({ version }) => !done.has(version))) {
      await connection.query(migration.sql)
      await connection.query('insert into schema_migration (version, name) values ($1, $2)', [
        migration.version,
        migration.name,
      ])
      applied.push(migration.name)
    }
    return { applied, version: Math.max(0, ...known) }
  })
}
