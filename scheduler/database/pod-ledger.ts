// What the scheduler that leases a run writes into the launch ledger about its pods: planned before they are created,
// created when the API server has said so, waiting for a reason, told to end, ended, deleted. Each may be done again.
import { storableText } from '../../runtime/storable.ts'
import type { CancelReason } from '../../runtime/task-runner/protocol.ts'
import type { Queryable } from './connection.ts'
import { keyValues, lockedPods, type PodKey, type PodKind } from './pod-rows.ts'

export interface PlannedPod extends PodKey {
  token: string
  kind: PodKind
  namespace: string
  pod_name: string
  /** JSON text: the object as it is sent. */
  manifest: string
}

/** Tells this deployment's pods from those of another one in the same namespace. */
export async function readDeploymentId(db: Queryable): Promise<string> {
  const { rows } = await db.query<{ deployment_id: string }>('select deployment_id from deployment')
  return rows[0]!.deployment_id
}

/**
 * Writes down what is about to be created. Nothing is created before this is committed.
 * @throws Error where the lease is lost: then the attempts are another's
 */
export async function planPods(
  db: Queryable,
  schedulerId: number,
  pods: readonly PlannedPod[],
): Promise<void> {
  const { rows } = await db.query<{ has_lease: boolean }>(
    `with lease as (select 1 from scheduler where scheduler_id = $1 for key share),
     planned as (
       insert into pod (dag_run_id, task_id, map_index, try_number, token, kind, namespace, pod_name, manifest,
         seen_revision)
       select c.dag_run_id, c.task_id, c.map_index, c.try_number, c.token, c.kind, c.namespace, c.pod_name,
         c.manifest::json, 1
       from json_to_recordset($2) as c (
         dag_run_id bigint, task_id text, map_index integer, try_number integer, token uuid, kind text,
         namespace text, pod_name text, manifest text)
       where exists (select 1 from lease)
       on conflict (dag_run_id, task_id, map_index, try_number) do nothing
     )
     select exists (select 1 from lease) as has_lease`,
    [schedulerId, JSON.stringify(pods)],
    'plan-pods',
  )
  if (!rows[0]!.has_lease) throw new Error(`scheduler ${schedulerId} has lost its lease`)
}

/**
 * The API server has them. An uid that is known already stays.
 * @param pods.uid null: they are not pods, and are found by name
 */
export async function markPodsCreated(
  db: Queryable,
  pods: readonly (PodKey & { uid: string | null })[],
): Promise<void> {
  await db.query(
    `update pod p
     set state = case when p.state = 'planned' then 'created' else p.state end,
         created_at = coalesce(p.created_at, clock_timestamp()), uid = coalesce(p.uid, c.uid),
         waiting_reason = null, waiting_message = null
     from ${lockedPods(', uid text')} c
     where p.dag_run_id = c.dag_run_id and p.task_id = c.task_id and p.map_index = c.map_index
       and p.try_number = c.try_number`,
    [JSON.stringify(pods)],
    'mark-pods-created',
  )
}

/** Why it could not be created yet, or does not run, where what is seen of it does not say so. For whoever asks. */
export async function setPodWaiting(
  db: Queryable,
  key: PodKey,
  waiting: { reason: string; message: string },
): Promise<void> {
  await db.query(
    `update pod set waiting_reason = $5, waiting_message = $6
     where dag_run_id = $1 and task_id = $2 and map_index = $3 and try_number = $4
       and state in ('planned', 'created')`,
    [...keyValues(key), storableText(waiting.reason), storableText(waiting.message)],
  )
}

/** The attempt is to end; its pod reads why when it is told to. The first reason stays. */
export async function setPodCancelReason(db: Queryable, key: PodKey, reason: CancelReason): Promise<void> {
  await db.query(
    `update pod set cancel_reason = coalesce(cancel_reason, $5)
     where dag_run_id = $1 and task_id = $2 and map_index = $3 and try_number = $4`,
    [...keyValues(key), reason],
  )
}

/**
 * The attempt's end is known and its log is kept.
 * @param deleteAfterMs from now on; null: the pod is kept
 */
export async function markPodsEnded(
  db: Queryable,
  pods: readonly (PodKey & { delete_after_ms: number | null })[],
): Promise<void> {
  await db.query(
    `update pod p
     set state = case when p.is_gone then 'deleted' else 'ended' end, ended_at = clock_timestamp(),
         delete_after = clock_timestamp() + c.delete_after_ms * interval '1 ms', result = null,
         -- Nobody looks at it any more, whatever happened since its end was judged.
         seen_revision = p.revision,
         waiting_reason = null, waiting_message = null
     from ${lockedPods(', delete_after_ms bigint')} c
     where p.dag_run_id = c.dag_run_id and p.task_id = c.task_id and p.map_index = c.map_index
       and p.try_number = c.try_number and p.state in ('planned', 'created')`,
    [JSON.stringify(pods)],
    'mark-pods-ended',
  )
}

export interface DeletablePod extends PodKey {
  kind: PodKind
  namespace: string
  pod_name: string
  uid: string | null
}

/**
 * Ended pods whose time to be deleted has come, of any run. Each is given to one caller, and again after `retryMs`
 * where it is still there.
 */
export async function takePodsToDelete(
  db: Queryable,
  input: { limit: number; retryMs: number },
): Promise<DeletablePod[]> {
  const { rows } = await db.query<DeletablePod>(
    `update pod p set delete_after = clock_timestamp() + $2 * interval '1 ms'
     from (
       select dag_run_id, task_id, map_index, try_number from pod
       where state = 'ended' and delete_after <= clock_timestamp()
       order by delete_after limit $1
       for update skip locked
     ) due
     where p.dag_run_id = due.dag_run_id and p.task_id = due.task_id and p.map_index = due.map_index
       and p.try_number = due.try_number
     returning p.dag_run_id, p.task_id, p.map_index, p.try_number, p.kind, p.namespace, p.pod_name, p.uid`,
    [input.limit, input.retryMs],
    'take-pods-to-delete',
  )
  return rows
}

/** They could not be deleted, and are due again after `retryMs`. */
export async function postponeDeletion(
  db: Queryable,
  keys: readonly PodKey[],
  retryMs: number,
): Promise<void> {
  await db.query(
    `update pod p set delete_after = clock_timestamp() + $2 * interval '1 ms'
     from ${lockedPods('')} c
     where p.dag_run_id = c.dag_run_id and p.task_id = c.task_id and p.map_index = c.map_index
       and p.try_number = c.try_number and p.state = 'ended' and p.delete_after is not null`,
    [JSON.stringify(keys), retryMs],
  )
}

/** They are gone, as far as the API server says. */
export async function markPodsDeleted(db: Queryable, keys: readonly PodKey[]): Promise<void> {
  await db.query(
    `update pod p set state = 'deleted', is_gone = true
     from ${lockedPods('')} c
     where p.dag_run_id = c.dag_run_id and p.task_id = c.task_id and p.map_index = c.map_index
       and p.try_number = c.try_number and p.state = 'ended'`,
    [JSON.stringify(keys)],
  )
}
