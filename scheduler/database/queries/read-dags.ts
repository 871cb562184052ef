// One page of the list of Dags, and how many there are in all.
import type { Queryable } from '../connection.ts'
import { type DagRow, dagColumns, dagTables } from './dag-columns.ts'

export interface DagFilter {
  /** Part of the dag_id in any case; % stands for any letters. null: all. */
  dagIdPattern: string | null
  /** null: both. */
  isPaused: boolean | null
  includeStale: boolean
  limit: number
  offset: number
}

/** In the order of their dag_ids. */
export async function readDags(db: Queryable, filter: DagFilter): Promise<{ rows: DagRow[]; total: number }> {
  // In ids an underscore is a letter like any other.
  const pattern = filter.dagIdPattern === null ? null : `%${filter.dagIdPattern.replace(/[\\_]/g, '\\$&')}%`
  const where = `where ($1::text is null or d.dag_id ilike $1)
    and ($2::boolean is null or d.is_paused = $2)
    and ($3 or not d.is_stale)`
  const values = [pattern, filter.isPaused, filter.includeStale]
  const [page, count] = await Promise.all([
    db.query<DagRow>(`select ${dagColumns} from ${dagTables} ${where} order by d.dag_id limit $4 offset $5`, [
      ...values,
      filter.limit,
      filter.offset,
    ]),
    db.query<{ total: number }>(`select count(*) as total from dag d ${where}`, values),
  ])
  return { rows: page.rows, total: count.rows[0]!.total }
}
