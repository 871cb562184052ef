// A database with two schedulers and a run whose task instances have rows in the launch ledger, for tests of its SQL.
import { randomUUID } from 'node:crypto'
import type { PodObservation } from '../../../../k8s/pod-observation.ts'
import { attemptId } from '../../../../runtime/ids.ts'
import { type Database, openDatabase } from '../../../../scheduler/database/connection.ts'
import { planPods } from '../../../../scheduler/database/pod-ledger.ts'
import type { PodKey } from '../../../../scheduler/database/pod-rows.ts'
import { applyPodEvents, claimPodWatches, type StrayPod } from '../../../../scheduler/database/pod-watches.ts'
import { registerScheduler } from '../../../../scheduler/database/scheduler-lease.ts'
import { pod } from '../../../k8s/observations.ts'
import { createMigratedDatabase } from '../../../support/postgres.ts'

export const namespace = 'dags'

export interface LedgerDatabase extends AsyncDisposable {
  db: Database
  /** Leases the run and holds the watch. */
  schedulerId: number
  otherId: number
  dagRunId: number
  key(taskId: string): PodKey
  /** A running attempt with a planned pod. */
  plan(taskId: string, manifest?: Record<string, unknown>): Promise<PodKey>
  /** What the holder of the watch hears of the pods of these tasks. */
  hear(version: string, ...pods: readonly HeardPod[]): Promise<StrayPod[]>
  row(taskId: string): Promise<LedgerRow>
}

export type HeardPod = { taskId: string; uid: string } & Partial<PodObservation>

export interface LedgerRow {
  state: string
  uid: string | null
  is_gone: boolean
  phase: string | null
  is_seen: boolean
  delete_after: Date | null
}

export async function createLedgerDatabase(): Promise<LedgerDatabase> {
  const database = await createMigratedDatabase()
  const db = openDatabase(database.url)
  const schedulerId = await registerScheduler(db, { hostname: 'here', pid: 1, leaseTtlMs: 60_000 })
  const otherId = await registerScheduler(db, { hostname: 'there', pid: 2, leaseTtlMs: 60_000 })
  const { rows } = await db.query<{ dag_run_id: number }>(
    `with b as (insert into bundle (bundle_hash, code) values ('b', '')),
     v as (
       insert into dag_version (dag_id, version_number, version_hash, bundle_hash, manifest, file)
       values ('d', 1, 'v', 'b', $2, 'd.ts') returning dag_version_id),
     d as (
       insert into dag (dag_id, dag_version_id, is_paused, max_active_runs)
       select 'd', dag_version_id, false, 16 from v)
     insert into dag_run (dag_id, run_id, dag_version_id, run_type, state, triggered_by, scheduler_id)
     select 'd', 'r', dag_version_id, 'manual', 'running', 'test', $1 from v returning dag_run_id`,
    [schedulerId, JSON.stringify({ tasks: operatorTasks })],
  )
  const dagRunId = rows[0]!.dag_run_id
  await claimPodWatches(db, schedulerId, [namespace])
  const key = (taskId: string): PodKey => ({
    dag_run_id: dagRunId,
    task_id: taskId,
    map_index: -1,
    try_number: 1,
  })
  return {
    db,
    schedulerId,
    otherId,
    dagRunId,
    key,
    async plan(taskId) {
      const token = randomUUID()
      await db.query(
        `insert into task_instance (dag_run_id, task_id, state, try_number, max_tries, attempt_state, token, executor,
           scheduler_id, queued_at)
         values ($1, $2, 'queued', 1, 1, 'queued', $3, 'kubernetes', $4, now())`,
        [dagRunId, taskId, token, schedulerId],
      )
      const kind = operatorTasks.some(({ task_id }) => task_id === taskId)
        ? ('pod' as const)
        : ('task' as const)
      const planned = { ...key(taskId), token, kind, namespace, pod_name: `pod-${taskId}`, manifest: '{}' }
      await planPods(db, schedulerId, [planned])
      return key(taskId)
    },
    hear: (version, ...pods) =>
      applyPodEvents(db, {
        schedulerId,
        namespace,
        resourceVersion: version,
        pods: pods.map((heard) => heardPod(dagRunId, version, heard)),
        listed: null,
      }),
    async row(taskId) {
      const found = await db.query<LedgerRow>(
        `select state, uid, is_gone, observation ->> 'phase' as phase, revision = seen_revision as is_seen, delete_after
         from pod where task_id = $1`,
        [taskId],
      )
      return found.rows[0]!
    },
    async [Symbol.asyncDispose]() {
      await db.close()
      await database[Symbol.asyncDispose]()
    },
  }
}

/** Tasks that are pods themselves, by what is to become of these. */
const operatorTasks = (['delete_pod', 'keep_pod', 'delete_succeeded_pod', 'delete_active_pod'] as const).map(
  (action) => ({
    task_id: action,
    operator: { kind: 'pod', on_finish_action: action, on_kill_action: 'keep_pod' },
  }),
)

export function heardPod(dagRunId: number, version: string, { taskId, ...more }: HeardPod): PodObservation {
  return pod({
    name: `pod-${taskId}`,
    resource_version: version,
    attempt_id: attemptId(dagRunId, taskId, -1, 1),
    ...more,
  })
}
