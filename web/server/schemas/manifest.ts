// The manifest of runtime/manifest.ts as a schema, for the OpenAPI document. The types of both are held equal below.
import { type Static, Type } from 'typebox'
import { type DagManifest as Manifest, TriggerRule } from '../../../runtime/manifest.ts'
import type { OperatorManifest } from '../../../runtime/operator-manifest.ts'
import { Nullable } from './common.ts'

const Schedule = Type.Union([
  Type.Object({ type: Type.Literal('cron'), expression: Type.String(), timezone: Type.String() }),
  Type.Object({ type: Type.Literal('interval'), every_ms: Type.Number() }),
  Type.Object({ type: Type.Literal('once') }),
])

const PodOverride = Nullable(
  Type.Record(Type.String(), Type.Unknown(), { description: 'A part of a pod, laid over what is made.' }),
)

const Spot = Type.Object({
  node_selector: Type.Record(Type.String(), Type.String()),
  tolerations: Type.Array(Type.Record(Type.String(), Type.Unknown())),
  affinity: Nullable(Type.Record(Type.String(), Type.Unknown())),
  on_demand_attempts: Type.Integer(),
})

const Operator = Type.Unsafe<OperatorManifest>({
  type: 'object',
  additionalProperties: true,
  description:
    "A pod, a job or another object of Kubernetes, by `kind`, with the parameters of Airflow's operators; null for other tasks.",
})

const TaskManifest = Type.Object({
  task_id: Type.String(),
  kind: Type.Enum(['task', 'bash', 'pod', 'job', 'resource']),
  upstream_task_ids: Type.Array(Type.String()),
  inputs: Type.Record(Type.String(), Type.String()),
  trigger_rule: Type.Enum(TriggerRule),
  retries: Type.Integer(),
  retry_delay_ms: Type.Number(),
  retry_exponential_backoff: Type.Number(),
  max_retry_delay_ms: Type.Number(),
  execution_timeout_ms: Nullable(Type.Number()),
  priority_weight: Type.Number(),
  executor: Nullable(Type.String()),
  isolation: Type.Enum(['warm', 'fresh']),
  pod_override: PodOverride,
  pod_template_file: Nullable(Type.String()),
  spot: Nullable(Spot),
  operator: Nullable(Operator),
  doc: Nullable(Type.String()),
})

export const DagManifest = Type.Object({
  dag_id: Type.String(),
  description: Nullable(Type.String()),
  tags: Type.Array(Type.String()),
  schedule: Nullable(Schedule),
  timezone: Type.String(),
  start_date: Nullable(Type.String()),
  end_date: Nullable(Type.String()),
  catchup: Type.Boolean(),
  max_active_runs: Type.Integer(),
  max_active_tasks: Type.Integer(),
  dagrun_timeout_ms: Nullable(Type.Number()),
  is_paused_upon_creation: Nullable(Type.Boolean()),
  params: Type.Record(Type.String(), Type.Unknown()),
  pod_override: PodOverride,
  tasks: Type.Array(TaskManifest, {
    description: 'In topological order: an upstream task stands before those that need it.',
  }),
  task_groups: Type.Array(
    Type.Object({ group_id: Type.String(), tooltip: Nullable(Type.String()), pod_override: PodOverride }),
  ),
})
export type DagManifest = Static<typeof DagManifest>

type Equal<A, B> = [A] extends [B] ? ([B] extends [A] ? true : false) : false
true satisfies Equal<DagManifest, Manifest>
