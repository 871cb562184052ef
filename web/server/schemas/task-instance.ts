// Task instances and their attempts: …/dagRuns/{run_id}/taskInstances/{task_id}, and their logs.
import { type Static, Type } from 'typebox'
import { AttemptState, TaskInstanceState } from '../../../runtime/states.ts'
import {
  closed,
  DagIdParameter,
  DurationSeconds,
  Nullable,
  RunIdParameter,
  TaskIdParameter,
  Timestamp,
} from './common.ts'
import { Pod } from './pod.ts'

const taskInstanceProperties = {
  task_id: Type.String(),
  map_index: Type.Integer({ description: '-1: not mapped.' }),
  kind: Type.Enum(['task', 'bash', 'pod', 'job', 'resource']),
  upstream_task_ids: Type.Array(Type.String()),
  state: Type.Enum(TaskInstanceState),
  try_number: Type.Integer({ description: 'Number of the newest attempt; 0: none was made.' }),
  max_tries: Type.Integer({ description: 'The number up to which failed attempts are retried.' }),
  next_try_at: Nullable(Timestamp),
  start_date: Nullable(Timestamp),
  end_date: Nullable(Timestamp),
  duration: DurationSeconds,
}

export const TaskInstance = Type.Object(taskInstanceProperties)
export type TaskInstance = Static<typeof TaskInstance>

export const Attempt = Type.Object({
  try_number: Type.Integer(),
  state: Type.Enum(AttemptState),
  executor: Type.String(),
  hostname: Nullable(Type.String()),
  pid: Nullable(Type.Integer()),
  queued_at: Timestamp,
  start_date: Nullable(Timestamp),
  end_date: Nullable(Timestamp),
  duration: DurationSeconds,
  exit_code: Nullable(Type.Integer({ description: 'Of a bash task.' })),
  error: Nullable(
    Type.Object({ name: Type.String(), message: Type.String(), stack: Nullable(Type.String()) }),
  ),
  pod: Nullable(Pod),
})
export type Attempt = Static<typeof Attempt>

/** A result: `value` is whatever JSON the task returned. */
export const XComEntry = Type.Object({ key: Type.String(), value: Type.Unknown(), created_at: Timestamp })
export type XComEntry = Static<typeof XComEntry>

/** One task instance with all its attempts, oldest first, and its result. */
export const TaskInstanceDetails = Type.Object({
  dag_id: Type.String(),
  run_id: Type.String(),
  ...taskInstanceProperties,
  attempts: Type.Array(Attempt),
  xcom: Nullable(XComEntry),
})
export type TaskInstanceDetails = Static<typeof TaskInstanceDetails>

export const TaskInstanceParameters = Type.Object({
  dag_id: DagIdParameter,
  run_id: RunIdParameter,
  task_id: TaskIdParameter,
})

export const LogParameters = Type.Object({
  ...TaskInstanceParameters.properties,
  try_number: Type.Integer({ minimum: 1 }),
})

export const LogQuery = Type.Object(
  {
    follow: Type.Optional(
      Type.Boolean({ description: 'Send what is appended until the attempt has ended; default false.' }),
    ),
    offset: Type.Optional(Type.Integer({ minimum: 0, description: 'Bytes to leave out; default 0.' })),
  },
  closed,
)
export type LogQuery = Static<typeof LogQuery>
