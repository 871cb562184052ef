// What people asked of runs. A command stays until the commit that fulfils it, so it outlives any scheduler.
import type { Queryable } from './connection.ts'
import type { DagRunRow } from './rows.ts'

export interface RunCommandRow {
  run_command_id: number
  dag_run_id: number
  command: 'cancel' | 'clear'
  /** `clear`: `{ task_ids }`. */
  arguments: { task_ids?: string[] }
}

/** Commands for runs that this scheduler leases, in the order in which they were given. */
export async function readRunCommands(db: Queryable, schedulerId: number): Promise<RunCommandRow[]> {
  const { rows } = await db.query<RunCommandRow>(
    `select c.run_command_id, c.dag_run_id, c.command, c.arguments
     from run_command c join dag_run r using (dag_run_id)
     where r.scheduler_id = $1
     order by c.run_command_id`,
    [schedulerId],
  )
  return rows
}

/**
 * Leases ended or waiting runs that somebody wants cleared or cancelled: only a scheduler changes a run.
 * Ended ones become running by the decision, so they are leased as running here.
 */
export async function leaseCommandedRuns(db: Queryable, schedulerId: number): Promise<DagRunRow[]> {
  const { rows } = await db.query<DagRunRow>(
    `update dag_run r
     set state = 'running', scheduler_id = $1, end_date = null, start_date = coalesce(r.start_date, now())
     from (select dag_run_id from dag_run q
           where q.state <> 'running' and exists (select 1 from run_command c where c.dag_run_id = q.dag_run_id)
           for update skip locked) chosen
     where r.dag_run_id = chosen.dag_run_id
       and exists (select 1 from scheduler where scheduler_id = $1 for key share)
     returning r.*`,
    [schedulerId],
  )
  return rows
}
