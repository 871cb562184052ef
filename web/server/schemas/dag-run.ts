// DagRuns: /api/v2/dags/{dag_id}/dagRuns and below. A run's `run_id` is the text that people know it by; where Airflow
// says `conf`, the run's values are `params`.
import { type Static, Type } from 'typebox'
import { DagRunState, RunType, TaskInstanceState } from '../../../runtime/states.ts'
import {
  closed,
  DagIdOrAll,
  DagIdParameter,
  DurationSeconds,
  Nullable,
  pageQuery,
  RunIdParameter,
  Timestamp,
  totalEntries,
} from './common.ts'
import { TaskInstance } from './task-instance.ts'

const dagRunProperties = {
  dag_id: Type.String(),
  run_id: Type.String(),
  run_type: Type.Enum(RunType),
  state: Type.Enum(DagRunState),
  version_number: Type.Integer({ description: 'The Dag version that it is pinned to.' }),
  commit_sha: Nullable(Type.String()),
  logical_date: Nullable(Timestamp),
  data_interval_start: Nullable(Timestamp),
  data_interval_end: Nullable(Timestamp),
  run_after: Timestamp,
  queued_at: Timestamp,
  start_date: Nullable(Timestamp),
  end_date: Nullable(Timestamp),
  duration: DurationSeconds,
  params: Type.Record(Type.String(), Type.Unknown(), {
    description: "As given by whoever triggered it; the Dag's defaults are not merged in.",
  }),
  triggered_by: Type.String(),
}

export const DagRun = Type.Object(dagRunProperties)
export type DagRun = Static<typeof DagRun>

/** A run with the instances of all its tasks, in topological order; those not reached yet are `none`. */
export const DagRunDetails = Type.Object({
  ...dagRunProperties,
  task_instances: Type.Array(TaskInstance),
})
export type DagRunDetails = Static<typeof DagRunDetails>

export const DagRunCollection = Type.Object({
  dag_runs: Type.Array(DagRun, { description: 'Newest first.' }),
  total_entries: totalEntries,
})
export type DagRunCollection = Static<typeof DagRunCollection>

export const DagRunListParameters = Type.Object({ dag_id: DagIdOrAll })

export const DagRunListQuery = Type.Object(
  {
    ...pageQuery,
    state: Type.Optional(
      Type.Array(Type.Enum(DagRunState), { description: 'Runs in any of these; may be repeated.' }),
    ),
  },
  closed,
)
export type DagRunListQuery = Static<typeof DagRunListQuery>

export const DagRunParameters = Type.Object({ dag_id: DagIdParameter, run_id: RunIdParameter })

export const TriggerBody = Type.Object(
  {
    run_id: Type.Optional(Type.String({ description: 'Default: manual__ and the present time.' })),
    logical_date: Type.Optional(Nullable(Timestamp)),
    params: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
  },
  closed,
)
export type TriggerBody = Static<typeof TriggerBody>

export const ClearBody = Type.Object(
  {
    task_ids: Type.Optional(Type.Array(Type.String(), { minItems: 1, description: 'Default: all tasks.' })),
    only_failed: Type.Optional(
      Type.Boolean({
        description:
          'Of these tasks, only the failed and upstream_failed ones. Default: true without task_ids, otherwise false.',
      }),
    ),
    include_downstream: Type.Optional(
      Type.Boolean({ description: 'Also every task below these; default true.' }),
    ),
    dry_run: Type.Optional(Type.Boolean({ description: 'Only say what would be cleared; default false.' })),
  },
  closed,
)
export type ClearBody = Static<typeof ClearBody>

/** What is cleared, in topological order, each with the state that it leaves. */
export const ClearResult = Type.Object({
  dry_run: Type.Boolean(),
  task_instances: Type.Array(
    Type.Object({
      task_id: Type.String(),
      map_index: Type.Integer(),
      state: Type.Enum(TaskInstanceState),
    }),
  ),
})
export type ClearResult = Static<typeof ClearResult>
