// Pauses a Dag, or lets it run again, and wakes who has to know.
import type { Queryable } from '../connection.ts'
import { changesChannel, channel, dagsChanged, type Wake } from '../notifications.ts'

const wakeDags: Wake = 'dags'

/**
 * Changes nothing where it is so already. What comes next is worked out anew after a pause: how much was missed in
 * it is the timetable's question.
 * @returns false where there is no such Dag
 */
export async function setDagPaused(
  db: Queryable,
  input: { dagId: string; isPaused: boolean; actor: string },
): Promise<boolean> {
  const { rows } = await db.query<{ dag_exists: boolean }>(
    // Locks the Dag's row as schedulers do that make runs of it, so none is made after the answer.
    `with changed as (
       update dag set is_paused = $2,
         next_logical_date = case when $2 then next_logical_date end,
         next_data_interval_start = case when $2 then next_data_interval_start end,
         next_data_interval_end = case when $2 then next_data_interval_end end,
         next_run_after = case when $2 then next_run_after else '-infinity' end
       where dag_id = $1 and is_paused <> $2
       returning dag_id
     ), audited as (
       insert into audit_event (actor, action, dag_id)
       select $3, case when $2 then 'pause' else 'unpause' end, dag_id from changed
     ), told as (
       select pg_notify($4, $5), pg_notify($6, $7) from changed
     )
     select exists (select 1 from dag where dag_id = $1) as dag_exists, (select count(*) from told)`,
    [input.dagId, input.isPaused, input.actor, channel, wakeDags, changesChannel, dagsChanged],
  )
  return rows[0]!.dag_exists
}
