// The attempts of one task instance.
import type { AttemptState } from '../../../runtime/states.ts'
import type { Queryable } from '../connection.ts'

export interface AttemptKey {
  dag_run_id: number
  task_id: string
  map_index: number
}

export interface AttemptRow {
  try_number: number
  state: AttemptState
  executor: string
  hostname: string | null
  pid: number | null
  queued_at: Date
  start_date: Date | null
  end_date: Date | null
  exit_code: number | null
  /** JSON text of an ErrorReport. */
  error: string | null
}

/** Oldest first, by the primary key. */
export async function readAttempts(db: Queryable, key: AttemptKey): Promise<AttemptRow[]> {
  const { rows } = await db.query<AttemptRow>(
    `select try_number, state, executor, hostname, pid, queued_at, start_date, end_date, exit_code, error
     from attempt where dag_run_id = $1 and task_id = $2 and map_index = $3
     order by try_number`,
    [key.dag_run_id, key.task_id, key.map_index],
  )
  return rows
}
