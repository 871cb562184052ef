// Many pods at once: runs of a paused Dag of pods, released by one statement.
import type { Database } from '../../scheduler/database/connection.ts'
import { channel } from '../../scheduler/database/notifications.ts'
import { triggerRun } from '../../scheduler/database/trigger-run.ts'
import { nextRunId } from './dag-runs.ts'
import { countPodsRunning, countPodsThere } from './pod-ledger.ts'
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

/** Waits until all of the runs have succeeded and their pods are gone. @throws Error where a task fails */
export async function runsAreOver(
  db: Database,
  afterRunId: number,
  options: { everyMs: number; signal: AbortSignal },
): Promise<void> {
  await waitUntil('all pods are gone', { ...options, patienceMs }, async () => {
    const { rows } = await db.query<{ going: number; failed: number }>(
      `select count(*) filter (where end_date is null) as going, count(*) filter (where state = 'failed') as failed
       from dag_run where dag_run_id > $1`,
      [afterRunId],
      'runs-are-over',
    )
    const { going, failed } = rows[0]!
    if (failed > 0) throw new Error(`${failed} runs failed`)
    return (going === 0 && (await countPodsThere(db, afterRunId)) === 0) || undefined
  })
}

/** Waits until so many pods of the runs were seen running. */
export async function podsRun(
  db: Database,
  afterRunId: number,
  count: number,
  signal: AbortSignal,
): Promise<void> {
  await waitUntil(`${count} pods run`, { everyMs: 1_000, signal, patienceMs }, async () => {
    return (await countPodsRunning(db, afterRunId)) === count || undefined
  })
}
