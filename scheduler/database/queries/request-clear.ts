// Asks the scheduler of a run to run tasks of it again.
import type { Queryable } from '../connection.ts'
import { changesChannel, channel, type Wake } from '../notifications.ts'

const wakeCommands: Wake = 'commands'

/**
 * @param input.taskIds tasks of the run's version; those that wait or run when the scheduler comes to it are ended first
 * @returns false where somebody is cancelling the run, or it is gone
 */
export async function requestClear(
  db: Queryable,
  input: { dagRunId: number; taskIds: readonly string[]; actor: string },
): Promise<boolean> {
  const { rows } = await db.query<{ is_asked: boolean }>(
    `with asked as (
       insert into run_command (dag_run_id, command, arguments, actor)
       select dag_run_id, 'clear', $3::jsonb, $2 from dag_run r
       where dag_run_id = $1
         and not exists (select 1 from run_command c where c.dag_run_id = $1 and c.command = 'cancel')
       returning dag_run_id
     ), audited as (
       insert into audit_event (actor, action, dag_id, run_id, details)
       select $2, 'clear', r.dag_id, r.run_id, $3::jsonb from dag_run r join asked using (dag_run_id)
     ), told as (
       select pg_notify($4, $5), pg_notify($6, json_build_array(dag_run_id)::text) from asked
     )
     select (select count(*) from told) > 0 as is_asked`,
    [
      input.dagRunId,
      input.actor,
      JSON.stringify({ task_ids: input.taskIds }),
      channel,
      wakeCommands,
      changesChannel,
    ],
  )
  return rows[0]!.is_asked
}
