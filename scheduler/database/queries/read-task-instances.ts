// The task instances of a run that have a row.
import type { TaskInstanceState } from '../../../runtime/states.ts'
import type { Queryable } from '../connection.ts'

export interface ShownTaskInstanceRow {
  task_id: string
  map_index: number
  state: TaskInstanceState
  try_number: number
  max_tries: number
  next_try_at: Date | null
  start_date: Date | null
  end_date: Date | null
}

/** By the primary key; a task that was not reached yet has no row. */
export async function readTaskInstances(db: Queryable, dagRunId: number): Promise<ShownTaskInstanceRow[]> {
  const { rows } = await db.query<ShownTaskInstanceRow>(
    `select task_id, map_index, state, try_number, max_tries, next_try_at, start_date, end_date
     from task_instance where dag_run_id = $1
     order by task_id, map_index`,
    [dagRunId],
  )
  return rows
}
