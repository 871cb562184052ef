// Everything that a scheduler must know of runs that it takes over: their task instances, the attempts that may
// still be executing, the results that later tasks read, and when retries are due.
import type { TaskInstanceRow } from '../decide/run-state.ts'
import type { Queryable } from './connection.ts'

export interface RunTaskInstanceRow extends TaskInstanceRow {
  dag_run_id: number
  map_index: number
  next_try_at: Date | null
}

export interface ActiveAttemptRow {
  dag_run_id: number
  task_id: string
  map_index: number
  try_number: number
  token: string
  executor: string
  scheduler_id: number
}

export interface XComRow {
  dag_run_id: number
  task_id: string
  map_index: number
  /** JSON text. */
  value: string
}

export interface RunRows {
  taskInstances: RunTaskInstanceRow[]
  activeAttempts: ActiveAttemptRow[]
  results: XComRow[]
}

/** Reads by primary keys; call it only for runs that this scheduler leases, since nobody else changes those. */
export async function readRunRows(db: Queryable, dagRunIds: readonly number[]): Promise<RunRows> {
  const [taskInstances, activeAttempts, results] = await Promise.all([
    db.query<RunTaskInstanceRow>(
      `select dag_run_id, task_id, map_index, state, try_number, max_tries, infrastructure_retries,
              next_try_at
       from task_instance where dag_run_id = any ($1)`,
      [dagRunIds],
    ),
    db.query<ActiveAttemptRow>(
      `select dag_run_id, task_id, map_index, try_number, token, executor, scheduler_id
       from attempt where dag_run_id = any ($1) and state in ('queued', 'running')`,
      [dagRunIds],
    ),
    db.query<XComRow>(
      `select dag_run_id, task_id, map_index, value
       from xcom where dag_run_id = any ($1) and key = 'return_value'`,
      [dagRunIds],
    ),
  ])
  return { taskInstances: taskInstances.rows, activeAttempts: activeAttempts.rows, results: results.rows }
}

/**
 * Attempts that never began anywhere are from now on this scheduler's; it dispatches them after this.
 * @throws Error where the lease is lost: then they are another's
 */
export async function adoptAttempts(
  db: Queryable,
  schedulerId: number,
  attempts: readonly ActiveAttemptRow[],
): Promise<void> {
  if (attempts.length === 0) return
  const { rowCount } = await db.query(
    `update task_instance a set scheduler_id = $1
     from json_to_recordset($2) as c (dag_run_id bigint, task_id text, map_index integer, try_number integer)
     where a.dag_run_id = c.dag_run_id and a.task_id = c.task_id and a.map_index = c.map_index
       and a.try_number = c.try_number
       and exists (select 1 from scheduler where scheduler_id = $1 for key share)`,
    [schedulerId, JSON.stringify(attempts)],
  )
  if (rowCount !== attempts.length) throw new Error(`scheduler ${schedulerId} has lost its lease`)
}
