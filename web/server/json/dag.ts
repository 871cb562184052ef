// Rows of Dags as the API's JSON.
import type { DagRow } from '../../../scheduler/database/queries/dag-columns.ts'
import type { DagDetailsRow } from '../../../scheduler/database/queries/read-dag.ts'
import type { Dag, DagDetails } from '../schemas/dag.ts'
import { timetableSummary } from '../timetable-summary.ts'
import { jsonRow } from './dates.ts'

export function dagJson(row: DagRow): Dag {
  const {
    schedule,
    latest_run_id,
    latest_state,
    latest_run_type,
    latest_logical_date,
    latest_queued_at,
    latest_start_date,
    latest_end_date,
    ...dag
  } = jsonRow(row)
  return {
    ...dag,
    timetable_summary: timetableSummary(schedule),
    latest_dag_run:
      latest_run_id === null
        ? null
        : {
            run_id: latest_run_id,
            state: latest_state!,
            run_type: latest_run_type!,
            logical_date: latest_logical_date,
            queued_at: latest_queued_at!,
            start_date: latest_start_date,
            end_date: latest_end_date,
          },
  }
}

export function dagDetailsJson({ manifest, version_created_at, ...row }: DagDetailsRow): DagDetails {
  return { ...dagJson(row), version_created_at: version_created_at.toISOString(), manifest }
}
