// The task execution API: what attempts in pods say, and what they are told (runtime/execution-api.ts).
import { type Static, Type } from 'typebox'
import { maxTimeMs } from '../../../runtime/task-runner/parse-report.ts'
import { closed, Nullable, Timestamp } from './common.ts'

const maxInteger = 2 ** 31 - 1

const Milliseconds = Type.Integer({ minimum: 0, maximum: maxTimeMs, description: 'Since the epoch.' })
const MemoryPeak = Nullable(
  Type.Integer({
    minimum: 0,
    maximum: Number.MAX_SAFE_INTEGER,
    description: 'Highest use of memory by the container.',
  }),
)

export const StartRequest = Type.Object(
  {
    start_ms: Milliseconds,
    hostname: Type.String({ pattern: '^[^\\x00]*$', maxLength: 255 }),
    pid: Type.Integer({ minimum: 0, maximum: maxInteger }),
  },
  closed,
)
export type StartRequest = Static<typeof StartRequest>

export const StartAnswer = Type.Object({
  order: Type.Object({
    attempt_id: Type.String(),
    dag_id: Type.String(),
    run_id: Type.String(),
    task_id: Type.String(),
    map_index: Type.Integer(),
    try_number: Type.Integer(),
    max_tries: Type.Integer(),
    run_type: Type.String(),
    logical_date: Nullable(Timestamp),
    data_interval_start: Nullable(Timestamp),
    data_interval_end: Nullable(Timestamp),
    params: Type.String({ description: 'JSON text.' }),
    inputs: Type.Record(Type.String(), Type.String(), { description: 'Input → JSON text of its value.' }),
    bundle_hash: Type.String(),
    commit_sha: Nullable(Type.String()),
    execution_timeout_ms: Nullable(Type.Integer()),
  }),
  heartbeat_interval_ms: Type.Integer(),
  xcom_max_bytes: Type.Integer(),
  kill_grace_ms: Type.Integer({ description: 'From the signal to the kill of an attempt that is to end.' }),
  log_bytes: Type.Integer({ description: 'How much of the log is kept already.' }),
})

export const HeartbeatRequest = Type.Object({ memory_peak_bytes: MemoryPeak }, closed)

export const HeartbeatAnswer = Type.Object({
  cancel: Nullable(Type.Enum(['timeout', 'run_timeout', 'cancelled', 'shutdown'])),
})

export const LogsQuery = Type.Object(
  {
    offset: Type.Integer({
      minimum: 0,
      maximum: Number.MAX_SAFE_INTEGER,
      description: 'Bytes before these lines.',
    }),
  },
  closed,
)

export const LogsAnswer = Type.Object({
  log_bytes: Type.Integer({ description: 'How much of it is kept now.' }),
})

export const FinishRequest = Type.Object(
  {
    state: Type.Enum(['success', 'failed', 'skipped']),
    retryable: Type.Boolean(),
    result: Nullable(Type.String({ description: 'JSON text.' })),
    result_sha256: Nullable(
      Type.String({ pattern: '^[0-9a-f]{64}$', description: "Of the result's UTF-8 bytes." }),
    ),
    error: Nullable(
      Type.Object({ name: Type.String(), message: Type.String(), stack: Nullable(Type.String()) }, closed),
    ),
    exit_code: Nullable(Type.Integer({ minimum: -maxInteger - 1, maximum: maxInteger })),
    start_ms: Milliseconds,
    end_ms: Milliseconds,
    memory_peak_bytes: MemoryPeak,
  },
  closed,
)
export type FinishRequest = Static<typeof FinishRequest>

export const Taken = Type.Object({}, { description: 'It is kept.' })
