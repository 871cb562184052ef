// What tells how the system does: import errors, health, the audit.
import { type Static, Type } from 'typebox'
import { closed, Nullable, pageQuery, Timestamp, totalEntries } from './common.ts'

export const ImportError = Type.Object({
  file: Type.String({ description: 'Module, or folder, relative to the top of the source.' }),
  error_file: Type.String({
    description: 'Where line and column are: the module or a file that it imports.',
  }),
  line: Nullable(Type.Integer()),
  column: Nullable(Type.Integer()),
  message: Type.String(),
  hint: Nullable(Type.String()),
  stack: Nullable(Type.String()),
  commit_sha: Nullable(Type.String()),
  created_at: Timestamp,
})
export type ImportError = Static<typeof ImportError>

export const ImportErrorCollection = Type.Object({
  import_errors: Type.Array(ImportError),
  total_entries: totalEntries,
})
export type ImportErrorCollection = Static<typeof ImportErrorCollection>

const status = Type.Enum(['healthy', 'unhealthy'])

/** Answered with 200 also while Postgres is away: it is this server's finding, not its failure. */
export const Health = Type.Object({
  version: Type.String({ description: 'Release of this server.' }),
  deployment_id: Nullable(
    Type.String({ description: "Label branchline.dev/deployment_id of this deployment's pods." }),
  ),
  metadatabase: Type.Object({
    status,
    schema_version: Nullable(Type.Integer()),
    message: Nullable(Type.String({ description: 'What is wrong with it.' })),
  }),
  scheduler: Type.Object({
    status: Nullable(
      Type.Enum(['healthy', 'unhealthy'], {
        description: 'healthy: at least one scheduler has a lease. null: not known, Postgres is away.',
      }),
    ),
  }),
  schedulers: Type.Array(
    Type.Object({
      scheduler_id: Type.Integer(),
      hostname: Type.String(),
      pid: Type.Integer(),
      started_at: Timestamp,
      status,
      lease_expires_in_ms: Type.Integer({ description: 'Negative: it ran out so long ago.' }),
      running_dag_runs: Type.Integer(),
    }),
  ),
})
export type Health = Static<typeof Health>

const EventLog = Type.Object({
  audit_event_id: Type.Integer(),
  created_at: Timestamp,
  actor: Type.String(),
  action: Type.String({ description: 'trigger, cancel, clear, pause, unpause.' }),
  dag_id: Nullable(Type.String()),
  run_id: Nullable(Type.String()),
  task_id: Nullable(Type.String()),
  details: Type.Record(Type.String(), Type.Unknown()),
})

export const EventLogCollection = Type.Object({
  event_logs: Type.Array(EventLog, { description: 'Newest first.' }),
  total_entries: totalEntries,
})
export type EventLogCollection = Static<typeof EventLogCollection>

export const EventLogQuery = Type.Object(
  {
    ...pageQuery,
    dag_id: Type.Optional(Type.String()),
    run_id: Type.Optional(Type.String()),
  },
  closed,
)
export type EventLogQuery = Static<typeof EventLogQuery>

export const PageQuery = Type.Object(pageQuery, closed)
