// Dags: GET /api/v2/dags, GET and PATCH /api/v2/dags/{dag_id}.
import { type Static, Type } from 'typebox'
import { DagRunState, RunType } from '../../../runtime/states.ts'
import { closed, DagIdParameter, Nullable, pageQuery, Timestamp, totalEntries } from './common.ts'
import { DagManifest } from './manifest.ts'

const LatestDagRun = Type.Object({
  run_id: Type.String(),
  state: Type.Enum(DagRunState),
  run_type: Type.Enum(RunType),
  logical_date: Nullable(Timestamp),
  queued_at: Timestamp,
  start_date: Nullable(Timestamp),
  end_date: Nullable(Timestamp),
})

const dagProperties = {
  dag_id: Type.String(),
  description: Nullable(Type.String()),
  tags: Type.Array(Type.String()),
  is_paused: Type.Boolean(),
  is_stale: Type.Boolean({ description: 'No module of the published commit has this Dag any more.' }),
  has_import_errors: Type.Boolean({
    description: 'Its file fails to load at present; this is the last good version.',
  }),
  file: Type.String({ description: 'The module, relative to the top of the source.' }),
  version_number: Type.Integer({ description: 'Counts from 1; the version that new runs get.' }),
  commit_sha: Nullable(Type.String({ description: 'The commit that new runs are pinned to.' })),
  timetable_summary: Nullable(
    Type.String({ description: "The schedule, such as '0 6 * * 1-5 (Europe/Berlin)' or 'every 30s'." }),
  ),
  max_active_runs: Type.Integer(),
  next_logical_date: Nullable(Timestamp),
  next_run_after: Nullable(
    Type.String({
      format: 'date-time',
      description: 'null: no run follows, or the timetable has not been asked yet.',
    }),
  ),
  latest_dag_run: Nullable(LatestDagRun),
}

export const Dag = Type.Object(dagProperties)
export type Dag = Static<typeof Dag>

/** One Dag with all that its module says of it. */
export const DagDetails = Type.Object({
  ...dagProperties,
  version_created_at: Timestamp,
  manifest: DagManifest,
})
export type DagDetails = Static<typeof DagDetails>

export const DagCollection = Type.Object({ dags: Type.Array(Dag), total_entries: totalEntries })
export type DagCollection = Static<typeof DagCollection>

export const DagListQuery = Type.Object(
  {
    ...pageQuery,
    dag_id_pattern: Type.Optional(
      Type.String({ description: 'Part of the dag_id, whatever its case; % stands for any letters.' }),
    ),
    paused: Type.Optional(Type.Boolean()),
    include_stale: Type.Optional(
      Type.Boolean({ description: 'Also Dags that no module has any more; default false.' }),
    ),
  },
  closed,
)
export type DagListQuery = Static<typeof DagListQuery>

export const DagParameters = Type.Object({ dag_id: DagIdParameter })

export const DagPatch = Type.Object({ is_paused: Type.Boolean() }, closed)
export type DagPatch = Static<typeof DagPatch>
