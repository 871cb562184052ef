// The attempt that a pod runs, by the name in its token, and whether it still is the current one of its task instance.
import type { CancelReason } from '../../../runtime/task-runner/protocol.ts'
import type { Queryable } from '../connection.ts'
import { keyValues, type PodKey } from '../pod-rows.ts'

export interface ExecutionPodRow extends PodKey {
  /** Null: no pod of this name has shown itself yet. */
  uid: string | null
  /** The attempt may report: it is the newest of a task instance that is queued or running, and has not ended. */
  is_current: boolean
  /** How it ended is known already. */
  has_finished: boolean
  cancel_reason: CancelReason | null
  memory_peak_bytes: number | null
}

/** What makes the attempt of the row `p` the current one, in SQL. */
export const isCurrentSql = `(p.state in ('planned', 'created') and p.finish is null and exists (
  select 1 from task_instance t
  where t.dag_run_id = p.dag_run_id and t.task_id = p.task_id and t.map_index = p.map_index
    and t.try_number = p.try_number and t.token = p.token and t.state in ('queued', 'running')))`

/**
 * By the index on namespace and name: the attempt that has this very pod, or else the newest of that name, whose pod
 * may not be known yet. Undefined where the ledger has no such pod.
 */
export async function readExecutionPod(
  db: Queryable,
  pod: { namespace: string; podName: string; uid: string },
): Promise<ExecutionPodRow | undefined> {
  const { rows } = await db.query<ExecutionPodRow>(
    `select p.dag_run_id, p.task_id, p.map_index, p.try_number, p.uid, ${isCurrentSql} as is_current,
       p.finish is not null as has_finished, p.cancel_reason, p.memory_peak_bytes
     from pod p where p.namespace = $1 and p.pod_name = $2
     order by (p.uid = $3) is true desc, p.planned_at desc limit 1`,
    [pod.namespace, pod.podName, pod.uid],
    'read-execution-pod',
  )
  return rows[0]
}

/** Binds the row to the pod that shows itself first. @returns false where another one has it */
export async function bindPodUid(db: Queryable, key: PodKey, uid: string): Promise<boolean> {
  const { rowCount } = await db.query(
    `update pod set uid = $5, state = case when state = 'planned' then 'created' else state end,
       created_at = coalesce(created_at, clock_timestamp())
     where dag_run_id = $1 and task_id = $2 and map_index = $3 and try_number = $4 and (uid is null or uid = $5)`,
    [...keyValues(key), uid],
  )
  return rowCount === 1
}
