// Rows for tests, put there by SQL as a scheduler and a loader would.

import type { PodObservation } from '../../k8s/pod-observation.ts'
import type { DagManifest, ScheduleManifest, TaskManifest } from '../../runtime/manifest.ts'
import type { DagRunState, TaskInstanceState } from '../../runtime/states.ts'
import type { Queryable } from '../../scheduler/database/connection.ts'

/** task_id → ids of its upstream tasks. */
export type Edges = Record<string, string[]>

export function manifestOf(
  dagId: string,
  edges: Edges,
  schedule: ScheduleManifest | null = null,
): DagManifest {
  return {
    dag_id: dagId,
    description: `about ${dagId}`,
    tags: ['test'],
    schedule,
    timezone: 'UTC',
    start_date: null,
    end_date: null,
    catchup: false,
    max_active_runs: 16,
    max_active_tasks: 16,
    dagrun_timeout_ms: null,
    is_paused_upon_creation: null,
    pod_override: null,
    params: { region: 'eu' },
    tasks: Object.entries(edges).map(
      ([task_id, upstream_task_ids]): TaskManifest => ({
        task_id,
        kind: 'task',
        upstream_task_ids,
        inputs: {},
        trigger_rule: 'all_success',
        retries: 1,
        retry_delay_ms: 1_000,
        retry_exponential_backoff: 1,
        max_retry_delay_ms: 60_000,
        execution_timeout_ms: null,
        priority_weight: 1,
        executor: null,
        isolation: 'warm',
        pod_override: null,
        pod_template_file: null,
        spot: null,
        operator: null,
        doc: null,
      }),
    ),
    task_groups: [],
  }
}

export async function insertDag(
  db: Queryable,
  dagId: string,
  options: {
    edges?: Edges
    schedule?: ScheduleManifest | null
    isPaused?: boolean
    isStale?: boolean
    file?: string
  } = {},
): Promise<void> {
  const manifest = manifestOf(dagId, options.edges ?? { only: [] }, options.schedule)
  await db.query(`insert into bundle (bundle_hash, code) values ($1, '') on conflict do nothing`, ['b1'])
  await db.query(
    `with version as (
       insert into dag_version (dag_id, version_number, version_hash, bundle_hash, manifest, file, commit_sha)
       values ($1, 1, 'v1', 'b1', $2, $3, $4) returning dag_version_id
     )
     insert into dag (dag_id, dag_version_id, commit_sha, is_paused, is_stale, max_active_runs, next_run_after)
     select $1, dag_version_id, $4, $5, $6, 16, '-infinity' from version`,
    [
      dagId,
      JSON.stringify(manifest),
      options.file ?? `dags/${dagId}.ts`,
      'a'.repeat(40),
      options.isPaused ?? false,
      options.isStale ?? false,
    ],
  )
}

/** @returns its dag_run_id */
export async function insertRun(
  db: Queryable,
  dagId: string,
  runId: string,
  state: DagRunState = 'running',
): Promise<number> {
  const { rows } = await db.query<{ dag_run_id: number }>(
    `insert into dag_run (dag_id, run_id, dag_version_id, commit_sha, run_type, state, triggered_by, start_date, end_date)
     select dag_id, $2, dag_version_id, commit_sha, 'manual', $3, 'test',
       case when $3 <> 'queued' then timestamptz '2026-01-02T03:04:05Z' end,
       case when $3 in ('success', 'failed') then timestamptz '2026-01-02T03:04:07.5Z' end
     from dag where dag_id = $1
     returning dag_run_id`,
    [dagId, runId, state],
  )
  return rows[0]!.dag_run_id
}

/** A task instance as it is after one attempt that led to `state`; states that need none get none. */
export async function insertTaskInstance(
  db: Queryable,
  dagRunId: number,
  taskId: string,
  state: TaskInstanceState,
): Promise<void> {
  const attemptState = ['none', 'upstream_failed'].includes(state)
    ? null
    : state === 'up_for_retry'
      ? 'failed'
      : state
  await db.query(
    `insert into task_instance (dag_run_id, task_id, state, try_number, max_tries, next_try_at, start_date, end_date,
       attempt_state, token, executor, scheduler_id, queued_at, hostname, pid, error)
     select $1, $2, $3, case when $4::text is null then 0 else 1 end, 2,
       case when $3 = 'up_for_retry' then timestamptz '2026-01-02T03:05:00Z' end, '2026-01-02T03:04:05Z',
       case when $4 in ('success', 'failed', 'skipped') then timestamptz '2026-01-02T03:04:06.25Z' end,
       $4, gen_random_uuid(), 'local', 1, now(), 'host-1', 4711,
       case when $4 = 'failed' then '{"name": "Error", "message": "no luck", "stack": null}'::json end`,
    [dagRunId, taskId, state, attemptState],
  )
  if (state === 'success') {
    await db.query(
      `insert into xcom (dag_run_id, task_id, map_index, value) values ($1, $2, -1, '{"rows": 3}')`,
      [dagRunId, taskId],
    )
  }
}

/** The pod of an attempt, as the launch ledger has it once it was seen. */
export async function insertPod(
  db: Queryable,
  dagRunId: number,
  taskId: string,
  more: {
    tryNumber?: number
    kind?: 'task' | 'pod' | 'job' | 'resource'
    namespace?: string
    podName?: string
    state?: 'planned' | 'created' | 'ended' | 'deleted'
    observation?: PodObservation
    isGone?: boolean
    waiting?: { reason: string; message: string }
    memoryPeakBytes?: number
    manifest?: object
  } = {},
): Promise<void> {
  const { tryNumber = 1, state = 'created' } = more
  await db.query(
    `insert into pod (dag_run_id, task_id, try_number, token, kind, namespace, pod_name, manifest, state, uid,
       observation, is_gone, waiting_reason, waiting_message, memory_peak_bytes, planned_at, created_at)
     values ($1, $2, $3, gen_random_uuid(), $14, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13,
       '2026-01-02T03:04:05Z', case when $7 <> 'planned' then timestamptz '2026-01-02T03:04:06Z' end)`,
    [
      ...[dagRunId, taskId, tryNumber, more.namespace ?? 'jobs', more.podName ?? `${taskId}-${tryNumber}`],
      ...[JSON.stringify(more.manifest ?? {}), state, more.observation?.uid ?? null],
      more.observation === undefined ? null : JSON.stringify(more.observation),
      ...[more.isGone ?? false, more.waiting?.reason ?? null, more.waiting?.message ?? null],
      ...[more.memoryPeakBytes ?? null, more.kind ?? 'task'],
    ],
  )
}
