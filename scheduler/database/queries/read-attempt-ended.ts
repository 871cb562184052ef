// Whether an attempt may still write into its log.
import type { Queryable } from '../connection.ts'
import type { AttemptKey } from './read-attempts.ts'

/** By the primary key; an attempt whose run is gone has ended too. */
export async function readAttemptEnded(db: Queryable, key: AttemptKey, tryNumber: number): Promise<boolean> {
  const { rows } = await db.query<{ has_ended: boolean }>(
    `select end_date is not null as has_ended from attempt
     where dag_run_id = $1 and task_id = $2 and map_index = $3 and try_number = $4`,
    [key.dag_run_id, key.task_id, key.map_index, tryNumber],
    'read-attempt-ended',
  )
  return rows[0]?.has_ended ?? true
}
