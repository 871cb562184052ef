// Queued runs become running, and leased by this scheduler, as far as their Dags have room.
import type { Queryable } from './connection.ts'
import type { DagRunRow } from './rows.ts'

/**
 * Oldest run_after first. See start_dag_runs() in the migrations for its locks.
 * @returns the runs that this scheduler has now; none of them has a task instance yet
 */
export async function startRuns(db: Queryable, schedulerId: number, limit: number): Promise<DagRunRow[]> {
  const { rows } = await db.query<DagRunRow>(
    'select * from start_dag_runs($1, $2)',
    [schedulerId, limit],
    'start-runs',
  )
  return rows
}
