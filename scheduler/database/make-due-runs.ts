// Makes the scheduled runs that are due, and works out each Dag's next. What is due is asked of the timetable with
// the newest scheduled run at hand, never taken from the columns next_*, which are for people: so a scheduler that
// was away, a Dag that was paused and a schedule that changed are all the same case.
import type { DagManifest } from '../../runtime/manifest.ts'
import { type DagRunInfo, timetableOf } from '../timetable/timetable.ts'
import type { Database, Queryable } from './connection.ts'

interface DueDagRow {
  dag_id: string
  dag_version_id: number
  commit_sha: string | null
  first_seen_at: Date
  manifest: DagManifest
  last_interval_start: Date | null
  last_interval_end: Date | null
  unfinished: number
}

/** Dags of one transaction; more would hold their locks for longer. */
const dagsAtOnce = 100

/**
 * Runs beyond max_active_runs that are unfinished are not made yet, so catching up with years makes no heap of rows.
 * @returns how many runs were made
 */
export function makeDueRuns(db: Database, now: number): Promise<number> {
  return db.transaction(async (connection) => {
    const { rows } = await connection.query<DueDagRow>(
      // Another scheduler that is making runs of a Dag has its row locked; this one leaves it alone.
      `select d.dag_id, d.dag_version_id, d.commit_sha, d.first_seen_at, v.manifest,
              last.data_interval_start as last_interval_start, last.data_interval_end as last_interval_end,
              (select count(*) from dag_run u where u.dag_id = d.dag_id and u.run_type = 'scheduled'
                 and u.state in ('queued', 'running'))::integer as unfinished
       from dag d
       join dag_version v using (dag_version_id)
       left join lateral (
         select data_interval_start, data_interval_end from dag_run r
         where r.dag_id = d.dag_id and r.run_type = 'scheduled'
         order by logical_date desc limit 1
       ) last on true
       where d.next_run_after <= $1 and not d.is_paused and not d.is_stale
       order by d.next_run_after
       limit ${dagsAtOnce}
       for no key update of d skip locked`,
      [new Date(now)],
    )
    let made = 0
    for (const row of rows) made += await makeRunsOf(connection, row, now)
    return made
  })
}

async function makeRunsOf(db: Queryable, dag: DueDagRow, now: number): Promise<number> {
  const { manifest } = dag
  const timetable = timetableOf(manifest.schedule)
  const question = {
    earliest: manifest.start_date === null ? null : Date.parse(manifest.start_date),
    latest: manifest.end_date === null ? null : Date.parse(manifest.end_date),
    catchup: manifest.catchup,
    now,
    firstSeen: dag.first_seen_at.getTime(),
  }
  let after =
    dag.last_interval_end === null
      ? null
      : {
          data_interval: {
            start: dag.last_interval_start!.getTime(),
            end: dag.last_interval_end.getTime(),
          },
        }
  let room = manifest.max_active_runs - dag.unfinished
  let made = 0
  let next = timetable.next({ ...question, after })
  for (; next !== null && next.run_after <= now && room > 0; room -= 1) {
    await insertRun(db, dag, next)
    made += 1
    after = next
    next = timetable.next({ ...question, after })
  }
  await db.query(
    `update dag set next_logical_date = $2, next_data_interval_start = $3, next_data_interval_end = $4,
       next_run_after = $5
     where dag_id = $1`,
    [
      dag.dag_id,
      dateOf(next?.logical_date),
      dateOf(next?.data_interval.start),
      dateOf(next?.data_interval.end),
      dateOf(next?.run_after),
    ],
  )
  return made
}

const dateOf = (ms: number | undefined) => (ms === undefined ? null : new Date(ms))

async function insertRun(db: Queryable, dag: DueDagRow, info: DagRunInfo): Promise<void> {
  const logicalDate = new Date(info.logical_date)
  await db.query(
    `insert into dag_run (dag_id, run_id, dag_version_id, commit_sha, run_type, logical_date,
       data_interval_start, data_interval_end, run_after, triggered_by)
     values ($1, $2, $3, $4, 'scheduled', $5, $6, $7, $8, 'timetable')
     on conflict do nothing`,
    [
      dag.dag_id,
      `scheduled__${logicalDate.toISOString()}`,
      dag.dag_version_id,
      dag.commit_sha,
      logicalDate,
      new Date(info.data_interval.start),
      new Date(info.data_interval.end),
      new Date(info.run_after),
    ],
  )
}
