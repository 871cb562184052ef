// Rows of runs as the API's JSON.
import type { ShownDagRunRow } from '../../../scheduler/database/queries/dag-run-columns.ts'
import type { DagRun } from '../schemas/dag-run.ts'
import { durationSeconds, jsonRow } from './dates.ts'

export function dagRunJson(row: ShownDagRunRow): DagRun {
  const { dag_run_id: _, dag_version_id: __, params, ...run } = jsonRow(row)
  return {
    ...run,
    duration: durationSeconds(row.start_date, row.end_date),
    params: JSON.parse(params) as Record<string, unknown>,
  }
}
