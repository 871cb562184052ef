// One page of the list of runs, and how many there are in all.
import type { DagRunState } from '../../../runtime/states.ts'
import type { Queryable } from '../connection.ts'
import { dagRunColumns, dagRunTables, type ShownDagRunRow } from './dag-run-columns.ts'

export interface DagRunFilter {
  /** null: of every Dag. */
  dagId: string | null
  /** null: in any state. */
  states: readonly DagRunState[] | null
  limit: number
  offset: number
}

/** Newest first: by dag_run_recent for one Dag, by the primary key for all. */
export async function readDagRuns(
  db: Queryable,
  filter: DagRunFilter,
): Promise<{ rows: ShownDagRunRow[]; total: number }> {
  const where = `where ($1::text is null or r.dag_id = $1) and ($2::text[] is null or r.state = any ($2))`
  const values = [filter.dagId, filter.states]
  const [page, count] = await Promise.all([
    db.query<ShownDagRunRow>(
      `select ${dagRunColumns} from ${dagRunTables} ${where} order by r.dag_run_id desc limit $3 offset $4`,
      [...values, filter.limit, filter.offset],
    ),
    db.query<{ total: number }>(`select count(*) as total from dag_run r ${where}`, values),
  ])
  return { rows: page.rows, total: count.rows[0]!.total }
}
