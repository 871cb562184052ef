// A manual run: a row that waits for a scheduler, and a notification that wakes them.
import { ConflictError, InvalidInputError, NotFoundError } from '../../runtime/errors.ts'
import { checkRunId } from '../../runtime/ids.ts'
import { didYouMean } from '../../runtime/nearest.ts'
import type { Database } from './connection.ts'
import { changesChannel, channel, type Wake } from './notifications.ts'
import { dagRunColumns, dagRunTables, type ShownDagRunRow } from './queries/dag-run-columns.ts'

export interface TriggerInput {
  dagId: string
  /** Default: `manual__` and the present time. */
  runId?: string
  logicalDate?: Date | null
  params?: Record<string, unknown>
  /** Who asked, for the audit. */
  actor: string
}

const wakeRuns: Wake = 'runs'
/** A run of that name would stand in the way of the scheduled one. */
const scheduledPrefix = 'scheduled__'

/**
 * Pins the run to the Dag's newest version and commit. A paused Dag's run waits until it is unpaused.
 * @throws NotFoundError no such Dag; the message names the nearest
 * @throws ConflictError the run_id exists, or the Dag is stale
 * @throws InvalidInputError
 */
export async function triggerRun(db: Database, input: TriggerInput): Promise<ShownDagRunRow> {
  const now = new Date()
  const runId = checkRunId(input.runId ?? `manual__${now.toISOString()}`)
  if (runId.startsWith(scheduledPrefix)) {
    throw new InvalidInputError(
      `run_id '${runId}' is not valid: what begins with '${scheduledPrefix}' is the timetable's. Choose another`,
    )
  }
  const params = input.params ?? {}
  if (typeof params !== 'object' || params === null || Array.isArray(params)) {
    throw new InvalidInputError('params must be a JSON object')
  }
  const logicalDate = input.logicalDate ?? null
  const { rows } = await db.query<ShownDagRunRow & { pg_notify: string }>(
    `with inserted as (
       insert into dag_run (dag_id, run_id, dag_version_id, commit_sha, run_type, logical_date,
         data_interval_start, data_interval_end, params, triggered_by)
       select dag_id, $2, dag_version_id, commit_sha, 'manual', $3, $3, $3, $4, $5
       from dag where dag_id = $1 and not is_stale
       on conflict (dag_id, run_id) do nothing
       returning *
     ), audited as (
       insert into audit_event (actor, action, dag_id, run_id, details)
       select $5, 'trigger', dag_id, run_id, $6 from inserted
     )
     select ${dagRunColumns}, pg_notify($7, $8), pg_notify($9, '[' || r.dag_run_id || ']')
     from ${dagRunTables.replace('dag_run r', 'inserted r')}`,
    [
      input.dagId,
      runId,
      logicalDate,
      JSON.stringify(params),
      input.actor,
      JSON.stringify({ params }),
      channel,
      wakeRuns,
      changesChannel,
    ],
    'trigger-run',
  )
  if (!rows[0]) return explainRefusal(db, input.dagId, runId)
  const { pg_notify: _, ...run } = rows[0]
  return run
}

async function explainRefusal(db: Database, dagId: string, runId: string): Promise<never> {
  const { rows } = await db.query<{ dag_id: string; is_stale: boolean }>('select dag_id, is_stale from dag')
  const dag = rows.find((row) => row.dag_id === dagId)
  if (!dag) {
    const near = didYouMean(
      dagId,
      rows.map((row) => row.dag_id),
    )
    throw new NotFoundError(`there is no Dag '${dagId}'.${near}`, { details: { dag_id: dagId } })
  }
  if (dag.is_stale) {
    throw new ConflictError(
      `Dag '${dagId}' is in no module of the published commit any more: push it again to trigger it`,
      { details: { dag_id: dagId } },
    )
  }
  throw new ConflictError(`Dag '${dagId}' has a run '${runId}' already: choose another run_id`, {
    details: { dag_id: dagId, run_id: runId },
  })
}
