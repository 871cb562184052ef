// The schedulers that have a row, and what they hold.
import type { Queryable } from '../connection.ts'

export interface SchedulerRow {
  scheduler_id: number
  hostname: string
  pid: number
  started_at: Date
  /** By the database's clock; negative: it ran out so long ago. */
  lease_expires_in_ms: number
  running_dag_runs: number
}

/** Counts runs by the partial index dag_run_running. A lease that was given up counts as one that ended at the start. */
export async function readSchedulers(db: Queryable): Promise<SchedulerRow[]> {
  const { rows } = await db.query<SchedulerRow>(
    `select scheduler_id, hostname, pid, started_at,
       round(extract(epoch from greatest(lease_expires_at, started_at) - clock_timestamp()) * 1000)::bigint
         as lease_expires_in_ms,
       (select count(*) from dag_run r where r.state = 'running' and r.scheduler_id = s.scheduler_id)
         as running_dag_runs
     from scheduler s order by scheduler_id`,
  )
  return rows
}
