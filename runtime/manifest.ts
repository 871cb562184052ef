// The manifest: what a Dag module says about its Dags, as plain JSON. The loader's sandboxed process writes it,
// Postgres keeps it with the Dag version, the scheduler decides by it. Its keys are spelled as in JSON and SQL
// (snake_case), because it is JSON wherever it goes; durations are milliseconds, times are ISO 8601 in UTC.
import type { OperatorManifest } from './operator-manifest.ts'

export const TriggerRule = { all_success: 'all_success' } as const
export type TriggerRule = (typeof TriggerRule)[keyof typeof TriggerRule]

/** `warm`: a process that has served other attempts. `fresh`: a process of its own. */
export type Isolation = 'warm' | 'fresh'

/** When runs are made. `cron` includes presets, already spelled out; `interval` counts from start_date. */
export type ScheduleManifest =
  | { type: 'cron'; expression: string; timezone: string }
  | { type: 'interval'; every_ms: number }
  | { type: 'once' }

/** Nodes that may be taken away, for all attempts of a task but the last ones. */
export interface SpotManifest {
  /** Added to the pod's own. */
  node_selector: Record<string, string>
  /** Added to the pod's own; as in a pod. */
  tolerations: Record<string, unknown>[]
  /** In place of the pod's own; as in a pod. */
  affinity: Record<string, unknown> | null
  /** How many of the last attempts stay away from them. */
  on_demand_attempts: number
}

export interface TaskManifest {
  /** Unique in its Dag; with its groups' ids before it, joined by `.`. */
  task_id: string
  /** The last three are operators: `operator` says what they are, and they always run by the executor kubernetes. */
  kind: 'task' | 'bash' | OperatorManifest['kind']
  /** Every direct upstream task, through data or order alone; each is a task of the same Dag. */
  upstream_task_ids: string[]
  /** Input name → task_id whose result is its value. */
  inputs: Record<string, string>
  trigger_rule: TriggerRule
  /** Further attempts after the first failed one. Default 0. */
  retries: number
  /** Default 300,000 (as Airflow). */
  retry_delay_ms: number
  /** Factor by which each further delay grows; 1 keeps it. */
  retry_exponential_backoff: number
  /** Upper bound of the delay; default 86,400,000. */
  max_retry_delay_ms: number
  /** null: no limit. */
  execution_timeout_ms: number | null
  /** Higher goes first among what is queued. Default 1. */
  priority_weight: number
  /** null: the deployment's default executor. */
  executor: string | null
  isolation: Isolation
  /** Laid over its pods, after those of its Dag and groups; a PodOverride of runtime/pod-override.ts. */
  pod_override: Record<string, unknown> | null
  /** From the repository's directory; in place of the deployment's template. */
  pod_template_file: string | null
  spot: SpotManifest | null
  /** null for `task` and `bash`. */
  operator: OperatorManifest | null
  /** Free text for people. */
  doc: string | null
}

export interface TaskGroupManifest {
  /** Full id, with the ids of the groups around it, joined by `.`. */
  group_id: string
  tooltip: string | null
  /** Laid over the pods of all tasks within it. */
  pod_override: Record<string, unknown> | null
}

export interface DagManifest {
  dag_id: string
  description: string | null
  tags: string[]
  /** null: runs only when somebody triggers it. */
  schedule: ScheduleManifest | null
  timezone: string
  start_date: string | null
  end_date: string | null
  catchup: boolean
  max_active_runs: number
  /** Attempts of one run that may be queued or running at once. */
  max_active_tasks: number
  dagrun_timeout_ms: number | null
  is_paused_upon_creation: boolean | null
  /** Default values of params. */
  params: Record<string, unknown>
  /** Laid over the pods of all its tasks, before those of groups and tasks. */
  pod_override: Record<string, unknown> | null
  /** In topological order: an upstream task stands before those that need it. */
  tasks: TaskManifest[]
  task_groups: TaskGroupManifest[]
}
