// Many pods at once: runs of a paused Dag of pods, released by one statement.
import type { Database } from '../../scheduler/database/connection.ts'
import { channel } from '../../scheduler/database/notifications.ts'
import { triggerRun } from '../../scheduler/database/trigger-run.ts'
import { nextRunId } from './dag-runs.ts'
import { countPods, type PodCounts } from './pod-ledger.ts'
import { waitUntil } from './wait-until.ts'

/** Thousands of pods take minutes where everything shares two cores. */
const patienceMs = 1_200_000

/** Pauses the Dag and queues runs of it. @returns the newest dag_run_id before them */
export async function prepareRuns(db: Database, dagId: string, count: number): Promise<number> {
  await db.query('update dag set is_paused = true where dag_id = $1', [dagId])
  const { rows } = await db.query<{ newest: number }>(
    'select coalesce(max(dag_run_id), 0) as newest from dag_run',
  )
  for (let run = 0; run < count; run += 1) {
    await triggerRun(db, { dagId, runId: nextRunId(), actor: 'bench' })
  }
  return rows[0]!.newest
}

export async function releaseRuns(db: Database, dagId: string): Promise<void> {
  await db.query(
    `with unpaused as (update dag set is_paused = false where dag_id = $1 returning dag_id)
     select pg_notify($2, 'runs') from unpaused`,
    [dagId, channel],
  )
}

/** Waits until what the ledger has of the runs is as `isSo` says. @throws Error where a run fails */
export async function podsAre(
  db: Database,
  afterRunId: number,
  options: { what: string; everyMs: number; signal: AbortSignal },
  isSo: (counts: PodCounts) => boolean,
): Promise<void> {
  await waitUntil(options.what, { ...options, patienceMs }, async () => {
    const { rows } = await db.query<{ failed: number }>(
      `select count(*) as failed from task_instance
       where dag_run_id > $1 and state in ('failed', 'up_for_retry', 'upstream_failed')`,
      [afterRunId],
      'failed-tasks',
    )
    if (rows[0]!.failed > 0) throw new Error(`${rows[0]!.failed} tasks failed`)
    return isSo(await countPods(db, afterRunId)) || undefined
  })
}
