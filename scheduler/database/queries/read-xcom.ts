// The result of one task instance.
import type { Queryable } from '../connection.ts'
import type { AttemptKey } from './read-attempts.ts'

export interface ShownXComRow {
  key: string
  /** JSON text. */
  value: string
  created_at: Date
}

/** Undefined where it has none: not run yet, failed, or it returned nothing. */
export async function readXCom(db: Queryable, key: AttemptKey): Promise<ShownXComRow | undefined> {
  const { rows } = await db.query<ShownXComRow>(
    `select key, value, created_at from xcom
     where dag_run_id = $1 and task_id = $2 and map_index = $3 and key = 'return_value'`,
    [key.dag_run_id, key.task_id, key.map_index],
  )
  return rows[0]
}
