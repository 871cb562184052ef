// Which migrations the database has.
import type { Queryable } from '../connection.ts'

/** The newest migration's number. */
export async function readSchemaVersion(db: Queryable): Promise<number> {
  const { rows } = await db.query<{ version: number }>(
    'select coalesce(max(version), 0) as version from schema_migration',
  )
  return rows[0]!.version
}
