// What the API shows of a DagRun, as one select list for the list, the single run and live events.
import type { DagRunRow } from '../rows.ts'

export interface ShownDagRunRow extends Omit<DagRunRow, 'scheduler_id'> {
  version_number: number
}

export const dagRunColumns = `r.dag_run_id, r.dag_id, r.run_id, r.dag_version_id, v.version_number, r.commit_sha,
  r.run_type, r.state, r.logical_date, r.data_interval_start, r.data_interval_end, r.run_after, r.params,
  r.triggered_by, r.queued_at, r.start_date, r.end_date`

export const dagRunTables = 'dag_run r join dag_version v using (dag_version_id)'
