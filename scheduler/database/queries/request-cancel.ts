// Asks the scheduler of a run to cancel it.
import type { Queryable } from '../connection.ts'
import { changesChannel, channel, type Wake } from '../notifications.ts'

const wakeCommands: Wake = 'commands'

/**
 * Asking again while the request waits changes nothing.
 * @returns false where the run has ended, or is gone
 */
export async function requestCancel(
  db: Queryable,
  input: { dagRunId: number; actor: string },
): Promise<boolean> {
  const { rows } = await db.query<{ is_unfinished: boolean }>(
    `with unfinished as (
       select dag_run_id, dag_id, run_id from dag_run
       where dag_run_id = $1 and state in ('queued', 'running')
     ), asked as (
       insert into run_command (dag_run_id, command, actor)
       select dag_run_id, 'cancel', $2 from unfinished
       where not exists (select 1 from run_command c where c.dag_run_id = $1 and c.command = 'cancel')
       returning dag_run_id
     ), audited as (
       insert into audit_event (actor, action, dag_id, run_id)
       select $2, 'cancel', u.dag_id, u.run_id from unfinished u join asked using (dag_run_id)
     ), told as (
       select pg_notify($3, $4), pg_notify($5, json_build_array(dag_run_id)::text) from asked
     )
     select exists (select 1 from unfinished) as is_unfinished, (select count(*) from told)`,
    [input.dagRunId, input.actor, channel, wakeCommands, changesChannel],
  )
  return rows[0]!.is_unfinished
}
