// The names of all Dags, for the suggestion after a misspelt one.
import type { Queryable } from '../connection.ts'

export async function readDagIds(db: Queryable): Promise<string[]> {
  const { rows } = await db.query<{ dag_id: string }>('select dag_id from dag')
  return rows.map(({ dag_id }) => dag_id)
}
