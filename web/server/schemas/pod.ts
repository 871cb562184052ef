// Pods of attempts: as part of an attempt, in lists, and alone with the object that was sent.
import { type Static, Type } from 'typebox'
import { closed, Nullable, pageQuery, Timestamp, totalEntries } from './common.ts'

const Words = Type.Object({ reason: Nullable(Type.String()), message: Nullable(Type.String()) })

const Container = Type.Object({
  name: Type.String(),
  state: Type.Enum(['waiting', 'running', 'terminated']),
  reason: Nullable(Type.String({ description: "The kubelet's: ImagePullBackOff, OOMKilled, Completed." })),
  message: Nullable(Type.String()),
  exit_code: Nullable(Type.Integer()),
  signal: Nullable(Type.Integer()),
  started_at: Nullable(Type.String()),
  finished_at: Nullable(Type.String()),
  restart_count: Type.Integer(),
  last_reason: Nullable(Type.String({ description: 'Why it ended before it was started again.' })),
})

const PodState = Type.Enum(['planned', 'created', 'ended', 'deleted'], {
  description:
    "planned: it may or may not exist. created: it does, or did. ended: its attempt's end and log are known. deleted: it is gone.",
})

const podProperties = {
  dag_id: Type.String(),
  run_id: Type.String(),
  task_id: Type.String(),
  map_index: Type.Integer({ description: '-1: not mapped.' }),
  try_number: Type.Integer(),
  kind: Type.Enum(['task', 'pod', 'job', 'resource']),
  namespace: Type.String(),
  pod_name: Type.String(),
  uid: Nullable(Type.String()),
  state: PodState,
  status: Type.String({
    description:
      'What kubectl shows in its column STATUS: Running, Unschedulable, ImagePullBackOff, OOMKilled.',
  }),
  message: Nullable(
    Type.String({
      description: "Why it does not run yet, or how it ended, in the cluster's own words where it has some.",
    }),
  ),
  phase: Nullable(
    Type.Enum(['Pending', 'Running', 'Succeeded', 'Failed', 'Unknown'], {
      description: 'As it was seen last; null: nothing was seen of it yet.',
    }),
  ),
  node_name: Nullable(Type.String()),
  is_gone: Type.Boolean({ description: 'It is not in the cluster any more.' }),
  waiting_reason: Nullable(Type.String({ description: 'Why it could not be created yet.' })),
  waiting_message: Nullable(Type.String({ description: "In the API server's words." })),
  unschedulable: Nullable(Words),
  disruption: Nullable(Words),
  init_containers: Type.Array(Container),
  containers: Type.Array(Container, { description: 'The first one runs the task.' }),
  exit_code: Nullable(Type.Integer({ description: 'Of the container that runs the task.' })),
  signal: Nullable(Type.Integer({ description: 'Of the container that runs the task.' })),
  memory_peak_bytes: Nullable(Type.Integer({ description: 'As far as the attempt told it.' })),
  planned_at: Timestamp,
  created_at: Nullable(Timestamp),
  started_at: Nullable(Type.String({ description: 'When the attempt said that it began.' })),
  ended_at: Nullable(Timestamp),
  delete_after: Nullable(Timestamp),
}

export const Pod = Type.Object(podProperties)
export type Pod = Static<typeof Pod>

export const PodDetails = Type.Object({
  ...podProperties,
  manifest: Type.Unknown({
    description:
      "The object as it was sent. Values of environment variables with names of secrets, and those of a Secret's data, are '***'.",
  }),
})
export type PodDetails = Static<typeof PodDetails>

export const PodCollection = Type.Object({ pods: Type.Array(Pod), total_entries: totalEntries })
export type PodCollection = Static<typeof PodCollection>

export const PodListQuery = Type.Object(
  {
    ...pageQuery,
    dag_id: Type.Optional(Type.String()),
    run_id: Type.Optional(Type.String()),
    namespace: Type.Optional(Type.String()),
    state: Type.Optional(Type.Array(PodState, { description: 'Default: every state.' })),
  },
  closed,
)

export const PodParameters = Type.Object({ namespace: Type.String(), pod_name: Type.String() })
