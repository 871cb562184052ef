// Pods that a scheduler's death left behind: the end of their attempts is committed, and what comes after it (the row is
// ended, and so the pod deleted) was not written any more. Nobody adopts an attempt that has ended, so they are looked
// for.
import type { Queryable } from './connection.ts'

/**
 * Ends the rows of attempts that ended some time ago, as `markPodsEnded` does. A log is kept before an end is
 * committed, so nothing is lost with these pods. Reads every live row: not for each tick.
 * @param input.keep `delete_worker_pods`, for tasks; pods that are tasks themselves have it with them
 * @param input.graceMs since the end of the attempt: its own scheduler comes first
 * @returns how many
 */
export async function endLeftPods(
  db: Queryable,
  input: {
    keep: 'on_completion' | 'on_success' | 'never'
    deleteDelayMs: number
    graceMs: number
  },
): Promise<number> {
  const { rows } = await db.query(
    `update pod p
     set state = case when p.is_gone then 'deleted' else 'ended' end, ended_at = clock_timestamp(), result = null,
         seen_revision = p.revision, waiting_reason = null, waiting_message = null,
         delete_after = case
           -- Objects of job() and resource() stay.
           when p.kind not in ('task', 'pod') then null
           -- What has not ended may start, or go on, beside the next attempt.
           when coalesce(p.observation ->> 'phase', '') not in ('Succeeded', 'Failed')
             and not (p.cancel_reason is not null and coalesce(o.manifest ->> 'on_kill_action', '') = 'keep_pod')
             then clock_timestamp()
           when p.cancel_reason is not null and o.manifest is not null then
             case when o.manifest ->> 'on_kill_action' = 'delete_pod' then clock_timestamp() end
           when case coalesce(o.manifest ->> 'on_finish_action', $1)
             when 'on_completion' then true
             when 'on_success' then l.attempt_state <> 'failed'
             when 'delete_pod' then true
             when 'delete_succeeded_pod' then p.observation ->> 'phase' = 'Succeeded'
             when 'delete_active_pod' then coalesce(p.observation ->> 'phase', '') not in ('Succeeded', 'Failed')
             else false
           end then clock_timestamp() + $2 * interval '1 ms'
         end
     from (
       -- In the order in which everybody locks them; those that somebody is busy with are left to it.
       select c.*, a.state as attempt_state
       from pod c join attempt a using (dag_run_id, task_id, map_index, try_number)
       where c.state in ('planned', 'created') and a.token = c.token and a.state in ('success', 'failed', 'skipped')
         and a.end_date < now() - $3 * interval '1 ms'
       order by c.dag_run_id, c.task_id, c.map_index, c.try_number
       limit 500
       for update of c skip locked
     ) l
     join dag_run r using (dag_run_id)
     join dag_version v using (dag_version_id)
     left join lateral (
       select t -> 'operator' as manifest from jsonb_array_elements(v.manifest -> 'tasks') t
       where l.kind = 'pod' and t ->> 'task_id' = l.task_id
     ) o on true
     where p.dag_run_id = l.dag_run_id and p.task_id = l.task_id and p.map_index = l.map_index
       and p.try_number = l.try_number and p.state = l.state
     returning 1`,
    [input.keep, input.deleteDelayMs, input.graceMs],
    'end-left-pods',
  )
  return rows.length
}
