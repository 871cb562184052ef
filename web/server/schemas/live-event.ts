// GET /api/v2/events: server-sent events. Each has a name (`event:`) and JSON (`data:`); comment lines are heartbeats.
import { type Static, Type } from 'typebox'
import { closed } from './common.ts'
import { DagRun } from './dag-run.ts'
import { TaskInstance } from './task-instance.ts'

export const LiveQuery = Type.Object(
  {
    dag_id: Type.Optional(Type.String({ description: 'Only runs of this Dag.' })),
    run_id: Type.Optional(
      Type.String({
        description:
          'Only this run, with its task instances; needs dag_id. The present state of both comes first, so no other request is needed.',
      }),
    ),
  },
  closed,
)
export type LiveQuery = Static<typeof LiveQuery>

/** Event name → its data. */
const liveEvents = {
  /** A run changed: its present row. States that were left again in the meantime are not told. */
  dag_run: DagRun,
  /** With run_id only: the task instances that changed; in the first event all of them, in topological order. */
  task_instances: Type.Object({
    dag_id: Type.String(),
    run_id: Type.String(),
    task_instances: Type.Array(TaskInstance),
  }),
  /** Dags were loaded, paused or unpaused: read the list again. */
  dags: Type.Object({}),
  /** Without run_id: changes may have been missed while Postgres was away; read again what you show. */
  reload: Type.Object({}),
} as const

type LiveEventName = keyof typeof liveEvents
export type LiveEvent = {
  [Name in LiveEventName]: { event: Name; data: Static<(typeof liveEvents)[Name]> }
}[LiveEventName]
