// One run by the names that people know it by.
import type { Queryable } from '../connection.ts'
import { dagRunColumns, dagRunTables, type ShownDagRunRow } from './dag-run-columns.ts'

/** Undefined where there is no such run. */
export async function readDagRun(
  db: Queryable,
  dagId: string,
  runId: string,
): Promise<ShownDagRunRow | undefined> {
  const { rows } = await db.query<ShownDagRunRow>(
    `select ${dagRunColumns} from ${dagRunTables} where r.dag_id = $1 and r.run_id = $2`,
    [dagId, runId],
  )
  return rows[0]
}
