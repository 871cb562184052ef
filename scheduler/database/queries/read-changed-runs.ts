// The present rows of runs that a notification named.
import type { Queryable } from '../connection.ts'
import { dagRunColumns, dagRunTables, type ShownDagRunRow } from './dag-run-columns.ts'

/**
 * By primary keys, in their order; a run that is gone has no row.
 * @param dagId only runs of this Dag; null: of any
 */
export async function readChangedRuns(
  db: Queryable,
  dagRunIds: readonly number[],
  dagId: string | null,
): Promise<ShownDagRunRow[]> {
  const { rows } = await db.query<ShownDagRunRow>(
    `select ${dagRunColumns} from ${dagRunTables}
     where r.dag_run_id = any ($1) and ($2::text is null or r.dag_id = $2)
     order by r.dag_run_id`,
    [dagRunIds, dagId],
  )
  return rows
}
