// The one write of a scheduler's decisions; what it does is told at commit_changes() in the migrations.
import type { ErrorReport } from '../../runtime/task-runner/protocol.ts'
import { type Queryable, sqlState } from './connection.ts'

interface TaskInstanceKey {
  dag_run_id: number
  task_id: string
  map_index: number
}

export interface QueuedChange extends TaskInstanceKey {
  try_number: number
  max_tries: number
  token: string
  executor: string
}

export interface StartedChange extends TaskInstanceKey {
  try_number: number
  start_date: string
  hostname: string | null
  pid: number | null
}

export interface FinishedChange extends StartedChange {
  from_state: string
  to_state: string
  attempt_state: string
  end_date: string
  next_try_at: string | null
  exit_code: number | null
  error: ErrorReport | null
  /** JSON text. */
  result: string | null
  max_tries: number
  infrastructure_retries: number
}

/** All that one commit writes; arrays are in no particular order. */
export interface ChangeBatch {
  queuedNew: QueuedChange[]
  queuedAgain: (QueuedChange & { from_state: string; infrastructure_retries: number })[]
  started: StartedChange[]
  finished: FinishedChange[]
  decidedNew: (TaskInstanceKey & { state: string; max_tries: number })[]
  decided: (TaskInstanceKey & {
    from_state: string
    to_state: string
    max_tries: number
    infrastructure_retries: number
  })[]
  runs: { dag_run_id: number; state: string }[]
  commandsDone: number[]
}

/** A batch that changes nothing yet. */
export const emptyChangeBatch = (): ChangeBatch => ({
  queuedNew: [],
  queuedAgain: [],
  started: [],
  finished: [],
  decidedNew: [],
  decided: [],
  runs: [],
  commandsDone: [],
})

/** Why a commit was refused for good. `lease_lost`: another scheduler has the runs. */
export type CommitRefusal = 'lease_lost' | 'inconsistent'

/** The refusal that a failed commit means; undefined: the database is away or the statement is at fault. */
export function commitRefusal(error: unknown): CommitRefusal | undefined {
  const state = sqlState(error)
  return state === 'BL001' ? 'lease_lost' : state === 'BL002' ? 'inconsistent' : undefined
}

const jsonOrNull = (rows: readonly unknown[]) => (rows.length === 0 ? null : JSON.stringify(rows))

/**
 * @param commitNumber one more than that of the commit before; the same again where no answer came
 * @throws DatabaseUnavailableError: it may or may not have been made, so make it again with the same number
 */
export async function commitChanges(
  db: Queryable,
  input: { schedulerId: number; commitNumber: number; leaseTtlMs: number; batch: ChangeBatch },
): Promise<void> {
  const { batch } = input
  await db.query(
    `select commit_changes($1, $2, $3 * interval '1 ms', $4, $5, $6, $7, $8, $9, $10, $11)`,
    [
      input.schedulerId,
      input.commitNumber,
      input.leaseTtlMs,
      jsonOrNull(batch.queuedNew),
      jsonOrNull(batch.queuedAgain),
      jsonOrNull(batch.started),
      jsonOrNull(batch.finished),
      jsonOrNull(batch.decidedNew),
      jsonOrNull(batch.decided),
      jsonOrNull(batch.runs),
      batch.commandsDone.length === 0 ? null : batch.commandsDone,
    ],
    'commit-changes',
  )
}
