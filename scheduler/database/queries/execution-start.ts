// The start of an attempt in a pod, and what it is to run, from the database alone: any server can answer it.
import type { TaskManifest } from '../../../runtime/manifest.ts'
import { attemptOrder, mergedParams, type PlacelessOrder } from '../../runs/attempt-order.ts'
import type { Queryable } from '../connection.ts'
import { keyValues, type PodKey } from '../pod-rows.ts'
import type { DagRunRow } from '../rows.ts'
import { isCurrentSql } from './execution-pod.ts'

/**
 * Notes that it began, the first time, and wakes the run's scheduler.
 * @returns false where the attempt is not the current one: then nothing was changed
 */
export async function startExecution(
  db: Queryable,
  key: PodKey,
  start: { startMs: number; hostname: string; pid: number },
): Promise<boolean> {
  const { rows } = await db.query<{ is_current: boolean }>(
    `with started as (
       update pod p set started_at = $5, hostname = $6, pid = $7, revision = p.revision + 1
       where p.dag_run_id = $1 and p.task_id = $2 and p.map_index = $3 and p.try_number = $4
         and p.started_at is null and ${isCurrentSql}
       returning pg_notify('branchline', 'pods')
     )
     select ${isCurrentSql} as is_current, (select count(*) from started)
     from pod p where p.dag_run_id = $1 and p.task_id = $2 and p.map_index = $3 and p.try_number = $4`,
    [
      key.dag_run_id,
      key.task_id,
      key.map_index,
      key.try_number,
      new Date(start.startMs),
      start.hostname,
      start.pid,
    ],
    'start-execution',
  )
  return rows[0]?.is_current ?? false
}

interface OrderRow extends DagRunRow {
  max_tries: number
  bundle_hash: string
  log_bytes: number
  task: TaskManifest
  default_params: Record<string, unknown>
}

/**
 * The order of an attempt that is current, and how much of its log is kept. Of a manifest with thousands of tasks only
 * the one is read.
 */
export async function readExecutionOrder(
  db: Queryable,
  key: PodKey,
): Promise<{ order: PlacelessOrder; logBytes: number } | undefined> {
  const { rows } = await db.query<OrderRow>(
    `select r.*, t.max_tries, v.bundle_hash, p.log_bytes, v.manifest -> 'params' as default_params,
       (select one from jsonb_array_elements(v.manifest -> 'tasks') one where one ->> 'task_id' = p.task_id) as task
     from pod p
     join dag_run r using (dag_run_id)
     join dag_version v using (dag_version_id)
     join task_instance t using (dag_run_id, task_id, map_index)
     where p.dag_run_id = $1 and p.task_id = $2 and p.map_index = $3 and p.try_number = $4`,
    keyValues(key),
    'read-execution-order',
  )
  const row = rows[0]
  if (row === undefined) return undefined
  const results = await readResults(db, key.dag_run_id, Object.values(row.task.inputs))
  const order = attemptOrder({
    run: row,
    task: row.task,
    attempt: { mapIndex: key.map_index, tryNumber: key.try_number, maxTries: row.max_tries },
    params: mergedParams(row.default_params, row.params),
    resultOf: (taskId) => results.get(taskId),
    bundleHash: row.bundle_hash,
  })
  return { order, logBytes: row.log_bytes }
}

/** task_id → JSON text. */
async function readResults(
  db: Queryable,
  dagRunId: number,
  taskIds: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  if (taskIds.length === 0) return new Map()
  const { rows } = await db.query<{ task_id: string; value: string }>(
    `select task_id, value from xcom
     where dag_run_id = $1 and task_id = any ($2) and map_index = -1 and key = 'return_value'`,
    [dagRunId, taskIds],
    'read-execution-results',
  )
  return new Map(rows.map(({ task_id, value }) => [task_id, value]))
}

/** The code of the bundle that the attempt's run is pinned to. */
export async function readExecutionBundle(db: Queryable, key: PodKey): Promise<string | undefined> {
  const { rows } = await db.query<{ code: string }>(
    `select b.code from dag_run r join dag_version v using (dag_version_id) join bundle b using (bundle_hash)
     where r.dag_run_id = $1`,
    [key.dag_run_id],
    'read-execution-bundle',
  )
  return rows[0]?.code
}
