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
 * Leases ended or waiting runs that somebody wants cleared or cancelled: only a scheduler changes a run. Waiting
 * ones become running; ended ones stay as they ended until something of them is cleared.
 */
export async function leaseCommandedRuns(db: Queryable, schedulerId: number): Promise<DagRunRow[]> {
  const { rows } = await db.query<DagRunRow>(
    // Of an ended run the lease may be one of a scheduler that died over it.
    `update dag_run r
     set state = case when r.state = 'queued' then 'running' else r.state end,
         start_date = coalesce(r.start_date, now()),
         scheduler_id = $1
     from (select dag_run_id from dag_run q
           where q.state <> 'running'
             and not exists (select 1 from scheduler s where s.scheduler_id = q.scheduler_id)
             and exists (select 1 from run_command c where c.dag_run_id = q.dag_run_id)
           for update skip locked) chosen
     where r.dag_run_id = chosen.dag_run_id
       and exists (select 1 from scheduler where scheduler_id = $1 for key share)
     returning r.*`,
    [schedulerId],
  )
  return rows
}
