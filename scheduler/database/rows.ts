// Rows as Postgres gives them: names and types of the columns, which are also those of the API's JSON.
import type { DagRunState, RunType } from '../../runtime/states.ts'

export interface DagRunRow {
  dag_run_id: number
  dag_id: string
  run_id: string
  dag_version_id: number
  commit_sha: string | null
  run_type: RunType
  state: DagRunState
  logical_date: Date | null
  data_interval_start: Date | null
  data_interval_end: Date | null
  run_after: Date
  /** JSON text. */
  params: string
  triggered_by: string
  queued_at: Date
  start_date: Date | null
  end_date: Date | null
  scheduler_id: number | null
}
