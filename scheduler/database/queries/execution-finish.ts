// What an attempt in a pod reports: that it lives, and how it ended.
import type { FinishRequest } from '../../../runtime/execution-api.ts'
import type { Queryable } from '../connection.ts'
import { keyValues, type PodKey } from '../pod-rows.ts'
import { isCurrentSql } from './execution-pod.ts'

/** The scheduler need not look: this is for people. */
export async function setMemoryPeak(db: Queryable, key: PodKey, memoryPeakBytes: number): Promise<void> {
  await db.query(
    `update pod set memory_peak_bytes = greatest(memory_peak_bytes, $5)
     where dag_run_id = $1 and task_id = $2 and map_index = $3 and try_number = $4`,
    [...keyValues(key), memoryPeakBytes],
    'set-memory-peak',
  )
}

/**
 * Keeps how the attempt ended, with its result, and wakes the run's scheduler, which decides what it means. The first
 * report counts.
 * @returns false where the attempt is not the current one: then nothing was changed
 */
export async function finishExecution(db: Queryable, key: PodKey, report: FinishRequest): Promise<boolean> {
  const { result, ...finish } = report
  const { rowCount } = await db.query(
    `update pod p set finish = $5, result = $6, revision = p.revision + 1,
       memory_peak_bytes = greatest(p.memory_peak_bytes, $7::bigint)
     where p.dag_run_id = $1 and p.task_id = $2 and p.map_index = $3 and p.try_number = $4 and ${isCurrentSql}
     returning pg_notify('branchline', 'pods')`,
    [
      key.dag_run_id,
      key.task_id,
      key.map_index,
      key.try_number,
      JSON.stringify(finish),
      result,
      report.memory_peak_bytes,
    ],
    'finish-execution',
  )
  return rowCount === 1
}

/** Whether an end was kept by now, whoever brought it. */
export async function hasFinished(db: Queryable, key: PodKey): Promise<boolean> {
  const { rows } = await db.query<{ has_finished: boolean }>(
    `select finish is not null as has_finished from pod
     where dag_run_id = $1 and task_id = $2 and map_index = $3 and try_number = $4`,
    keyValues(key),
  )
  return rows[0]?.has_finished ?? false
}
