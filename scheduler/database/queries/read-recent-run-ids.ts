// The names of a Dag's newest runs, for the suggestion after a misspelt one.
import type { Queryable } from '../connection.ts'

/** Older runs are not suggested; comparing more would take longer than the answer is worth. */
const suggestedRuns = 500

/** Newest first, by the index dag_run_recent. */
export async function readRecentRunIds(db: Queryable, dagId: string): Promise<string[]> {
  const { rows } = await db.query<{ run_id: string }>(
    `select run_id from dag_run where dag_id = $1 order by dag_run_id desc limit ${suggestedRuns}`,
    [dagId],
  )
  return rows.map(({ run_id }) => run_id)
}
