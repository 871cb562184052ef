// The statements of a scheduler's own life: its row is the lease on every run that names it.
import type { Queryable } from './connection.ts'
import type { DagRunRow } from './rows.ts'

/** A new scheduler with a lease; its id is never used again, so it fences whatever an earlier one still sends. */
export async function registerScheduler(
  db: Queryable,
  input: { hostname: string; pid: number; leaseTtlMs: number },
): Promise<number> {
  const { rows } = await db.query<{ scheduler_id: number }>(
    `insert into scheduler (hostname, pid, lease_expires_at)
     values ($1, $2, now() + $3 * interval '1 ms')
     returning scheduler_id`,
    [input.hostname, input.pid, input.leaseTtlMs],
  )
  return rows[0]!.scheduler_id
}

/** What waits for some scheduler, as seen with a renewal. */
export interface Beat {
  /** Another scheduler's lease has run out, or a running run has no scheduler. */
  has_expired: boolean
  /** A queued run is due, whether or not its Dag has room. */
  has_queued: boolean
  /** A Dag's next scheduled run is due. */
  has_due: boolean
  has_commands: boolean
  /** A pod changed that nobody looked at since. */
  has_pods: boolean
}

/**
 * Renews the lease and looks for work, in one statement over partial indexes: an idle system costs this query alone.
 * @returns null where the lease is lost
 */
export async function beat(db: Queryable, schedulerId: number, leaseTtlMs: number): Promise<Beat | null> {
  const { rows } = await db.query<Beat>(
    `update scheduler
     set lease_expires_at = clock_timestamp() + $2 * interval '1 ms'
     where scheduler_id = $1
     returning
       exists (select 1 from scheduler s where s.lease_expires_at < clock_timestamp() and s.scheduler_id <> $1)
         or exists (select 1 from dag_run r where r.state = 'running' and (r.scheduler_id is null
              or not exists (select 1 from scheduler s where s.scheduler_id = r.scheduler_id))) as has_expired,
       exists (select 1 from dag_run r join dag d using (dag_id)
               where r.state = 'queued' and r.run_after <= now() and not d.is_paused) as has_queued,
       exists (select 1 from dag d
               where d.next_run_after <= now() and not d.is_paused and not d.is_stale) as has_due,
       exists (select 1 from run_command) as has_commands,
       exists (select 1 from pod p where p.revision > p.seen_revision) as has_pods`,
    [schedulerId, leaseTtlMs],
    'beat',
  )
  return rows[0] ?? null
}

/** Runs of schedulers that are gone, now leased by this one. */
export async function takeOverRuns(db: Queryable, schedulerId: number): Promise<DagRunRow[]> {
  const { rows } = await db.query<DagRunRow>('select * from take_over_runs($1)', [schedulerId])
  return rows
}

/** Runs that name this scheduler in the database and want something, whether or not it knows of them. */
export async function readLeasedRuns(db: Queryable, schedulerId: number): Promise<DagRunRow[]> {
  const { rows } = await db.query<DagRunRow>(
    `select * from dag_run r
     where r.scheduler_id = $1
       and (r.state = 'running' or exists (select 1 from run_command c where c.dag_run_id = r.dag_run_id))`,
    [schedulerId],
  )
  return rows
}

/** Gives the lease up, so that another scheduler need not wait for its end. */
export async function releaseScheduler(db: Queryable, schedulerId: number): Promise<void> {
  await db.query(`update scheduler set lease_expires_at = '-infinity' where scheduler_id = $1`, [schedulerId])
}

/** Schedulers that have a lease, or attempts whose fate is not committed yet: their journals are needed. */
export async function schedulersInUse(db: Queryable): Promise<Set<number>> {
  const { rows } = await db.query<{ scheduler_id: number }>(
    `select scheduler_id from scheduler
     union
     select a.scheduler_id from dag_run r join attempt a using (dag_run_id)
     where r.state = 'running' and a.state in ('queued', 'running')`,
  )
  return new Set(rows.map(({ scheduler_id }) => scheduler_id))
}
