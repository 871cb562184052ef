// What a scheduler reads of the launch ledger: the pods of its runs that it has not looked at since they changed, and
// those of attempts that it adopts. Reading them is marking them seen: what was seen and not acted on before a crash
// is read again by whoever adopts the attempt.
import type { LogCursor } from '../../k8s/pod-log.ts'
import type { PodObservation } from '../../k8s/pod-observation.ts'
import type { FinishRequest } from '../../runtime/execution-api.ts'
import { type AttemptKey, attemptId } from '../../runtime/ids.ts'
import type { CancelReason } from '../../runtime/task-runner/protocol.ts'
import type { Queryable } from './connection.ts'

export type PodKey = AttemptKey
export type PodKind = 'task' | 'pod' | 'job' | 'resource'
export type PodState = 'planned' | 'created' | 'ended' | 'deleted'

/** A row of the ledger, without its manifest. */
export interface PodRow extends PodKey {
  token: string
  kind: PodKind
  namespace: string
  pod_name: string
  state: PodState
  planned_at: Date
  created_at: Date | null
  uid: string | null
  /** Null: nothing was seen of it yet. */
  observation: PodObservation | null
  is_gone: boolean
  started_at: Date | null
  hostname: string | null
  pid: number | null
  /** How the attempt ended by its own account, without its result; null: it has not said. */
  finish: Omit<FinishRequest, 'result'> | null
  memory_peak_bytes: number | null
  cancel_reason: CancelReason | null
  log_bytes: number
  /** Container → how far its log was followed, where it does not send it. */
  log_cursors: Record<string, LogCursor>
}

const columns = `p.dag_run_id, p.task_id, p.map_index, p.try_number, p.token, p.kind, p.namespace, p.pod_name, p.state,
  p.planned_at, p.created_at, p.uid, p.observation, p.is_gone, p.started_at, p.hostname, p.pid, p.finish,
  p.memory_peak_bytes, p.cancel_reason, p.log_bytes, p.log_cursors`

/** json columns come as text: commits hand it on as it is. */
type RawPodRow = Omit<PodRow, 'observation' | 'finish' | 'log_cursors'> & {
  observation: string | null
  finish: string | null
  log_cursors: string
}

function podRow({ observation, finish, log_cursors, ...row }: RawPodRow): PodRow {
  return {
    ...row,
    observation: observation === null ? null : JSON.parse(observation),
    finish: finish === null ? null : JSON.parse(finish),
    log_cursors: JSON.parse(log_cursors),
  }
}

/**
 * SQL: the rows of the JSON array $1, `dag_run_id, task_id, map_index, try_number` and `more` columns, as far as the
 * ledger has them, locked in the order of the key. All that change many rows lock them so, and never wait for one
 * another in a circle, which Postgres notices only after a second.
 * @param more `, uid text`
 */
export function lockedPods(more: string): string {
  return `(
       select c.* from json_to_recordset($1) as c (
         dag_run_id bigint, task_id text, map_index integer, try_number integer${more})
       join pod l using (dag_run_id, task_id, map_index, try_number)
       order by l.dag_run_id, l.task_id, l.map_index, l.try_number
       for update of l
     )`
}

/** Pods of runs that this scheduler leases which changed since it looked; `limit` at most. Marks them seen. */
export async function takeUnseenPods(db: Queryable, schedulerId: number, limit: number): Promise<PodRow[]> {
  const { rows } = await db.query<RawPodRow>(
    `update pod p set seen_revision = p.revision
     from (
       select u.dag_run_id, u.task_id, u.map_index, u.try_number
       from pod u join dag_run r using (dag_run_id)
       where u.revision > u.seen_revision and r.scheduler_id = $1
       order by u.dag_run_id, u.task_id, u.map_index, u.try_number
       limit $2
       for update of u
     ) unseen
     where p.dag_run_id = unseen.dag_run_id and p.task_id = unseen.task_id and p.map_index = unseen.map_index
       and p.try_number = unseen.try_number
     returning ${columns}`,
    [schedulerId, limit],
    'take-unseen-pods',
  )
  return rows.map(podRow)
}

/** The pods of these attempts, as far as they have any; marks them seen. */
export async function readPodsOf(db: Queryable, keys: readonly PodKey[]): Promise<PodRow[]> {
  const { rows } = await db.query<RawPodRow>(
    `update pod p set seen_revision = p.revision
     from ${lockedPods('')} c
     where p.dag_run_id = c.dag_run_id and p.task_id = c.task_id and p.map_index = c.map_index
       and p.try_number = c.try_number
     returning ${columns}`,
    [JSON.stringify(keys)],
  )
  return rows.map(podRow)
}

/** The pods as they were, or are to be, sent: JSON text by attempt_id. */
export async function readPodManifests(db: Queryable, keys: readonly PodKey[]): Promise<Map<string, string>> {
  const { rows } = await db.query<PodKey & { manifest: string }>(
    `select p.dag_run_id, p.task_id, p.map_index, p.try_number, p.manifest
     from json_to_recordset($1) as c (dag_run_id bigint, task_id text, map_index integer, try_number integer)
     join pod p using (dag_run_id, task_id, map_index, try_number)`,
    [JSON.stringify(keys)],
  )
  return new Map(rows.map((row) => [attemptIdOf(row), row.manifest]))
}

/** As the first four parameters of a statement. */
export function keyValues({
  dag_run_id,
  task_id,
  map_index,
  try_number,
}: PodKey): [number, string, number, number] {
  return [dag_run_id, task_id, map_index, try_number]
}

export function attemptIdOf({ dag_run_id, task_id, map_index, try_number }: PodKey): string {
  return attemptId(dag_run_id, task_id, map_index, try_number)
}

/** What the attempt reported as its result: JSON text; null where it has none. */
export async function readPodResult(db: Queryable, key: PodKey): Promise<string | null> {
  const { rows } = await db.query<{ result: string | null }>(
    'select result from pod where dag_run_id = $1 and task_id = $2 and map_index = $3 and try_number = $4',
    keyValues(key),
    'read-pod-result',
  )
  return rows[0]?.result ?? null
}
