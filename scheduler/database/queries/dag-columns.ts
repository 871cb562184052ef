// What the API shows of a Dag, as one select list for the list and for the single Dag. Dates are columns of their own
// so that pg reads them as dates.
import type { ScheduleManifest } from '../../../runtime/manifest.ts'
import type { DagRunState, RunType } from '../../../runtime/states.ts'

export interface DagRow {
  dag_id: string
  description: string | null
  tags: string[]
  schedule: ScheduleManifest | null
  is_paused: boolean
  is_stale: boolean
  has_import_errors: boolean
  file: string
  version_number: number
  commit_sha: string | null
  max_active_runs: number
  next_logical_date: Date | null
  next_run_after: Date | null
  /** Of the newest run; null where there is none. */
  latest_run_id: string | null
  latest_state: DagRunState | null
  latest_run_type: RunType | null
  latest_logical_date: Date | null
  latest_queued_at: Date | null
  latest_start_date: Date | null
  latest_end_date: Date | null
}

// An import error may be that of a folder. -infinity only asks the timetable anew.
export const dagColumns = `d.dag_id, v.manifest->>'description' as description, v.manifest->'tags' as tags,
  nullif(v.manifest->'schedule', 'null') as schedule, d.is_paused, d.is_stale,
  exists (select 1 from import_error e
          where e.file in (v.file, '.') or starts_with(v.file, e.file || '/')) as has_import_errors,
  v.file, v.version_number, d.commit_sha, d.max_active_runs, d.next_logical_date,
  nullif(d.next_run_after, '-infinity') as next_run_after,
  latest.run_id as latest_run_id, latest.state as latest_state, latest.run_type as latest_run_type,
  latest.logical_date as latest_logical_date, latest.queued_at as latest_queued_at,
  latest.start_date as latest_start_date, latest.end_date as latest_end_date`

/** Reads the newest run by the index dag_run_recent. */
export const dagTables = `dag d
  join dag_version v using (dag_version_id)
  left join lateral (
    select run_id, state, run_type, logical_date, queued_at, start_date, end_date
    from dag_run r where r.dag_id = d.dag_id order by r.dag_run_id desc limit 1
  ) latest on true`
