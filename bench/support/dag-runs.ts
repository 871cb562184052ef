// Runs as a client of the system sees them: triggered as the API does, watched and measured by their rows.
import type { Database } from '../../scheduler/database/connection.ts'
import { triggerRun } from '../../scheduler/database/trigger-run.ts'
import { waitUntil } from './wait-until.ts'

/** Rare enough not to take the processor from what is measured; the figure itself comes from the rows. */
const lookEveryMs = 15

export interface FinishedRun {
  dagRunId: number
  /** From the trigger's transaction to the last task's commit, by Postgres' clock. */
  durationMs: number
}

/** Triggers one run and waits for its success. @throws Error where it fails */
export async function runOnce(db: Database, dagId: string, signal: AbortSignal): Promise<FinishedRun> {
  const runId = nextRunId()
  await triggerRun(db, { dagId, runId, actor: 'bench' })
  return await succeeded(db, dagId, runId, signal)
}

/** Waits for the success of a run. @throws Error where it fails */
export async function succeeded(
  db: Database,
  dagId: string,
  runId: string,
  signal: AbortSignal,
): Promise<FinishedRun> {
  return await waitUntil(`the end of run ${runId}`, { everyMs: lookEveryMs, signal }, async () => {
    const { rows } = await db.query<{ dag_run_id: number; state: string; ms: number | null }>(
      `select dag_run_id, state, (extract(epoch from end_date - queued_at) * 1000)::float8 as ms
       from dag_run where dag_id = $1 and run_id = $2`,
      [dagId, runId],
      'succeeded',
    )
    const { dag_run_id, state, ms } = rows[0]!
    if (state === 'failed') throw new Error(`run ${runId} of ${dagId} failed`)
    return ms === null ? undefined : { dagRunId: dag_run_id, durationMs: ms }
  })
}

let runCount = 0

/** Several runs may be triggered within one millisecond, and the default id has no more digits than that. */
export function nextRunId(): string {
  runCount += 1
  return `bench-${runCount}`
}
