// What a deployment's own module is called with before a pod is created: Airflow's `pod_mutation_hook`. Only types.
import type { V1Pod } from './kubernetes-types.ts'

/** The attempt that a pod is for. */
export interface PodHookTaskInstance {
  readonly dagId: string
  readonly runId: string
  readonly taskId: string
  /** -1 for a task that is not mapped. */
  readonly mapIndex: number
  /** 1 for the first. */
  readonly tryNumber: number
  /** The last try_number that the task has. */
  readonly maxTries: number
  /** ISO 8601; null for a run without one. */
  readonly logicalDate: string | null
  /** null: the run's source is a plain directory. */
  readonly commitSha: string | null
}

/**
 * The default export of the module that `pod_hook` names. It changes the pod that it is given, or
 * returns another; it may be async.
 * Name, Branchline's labels and annotations, and the first container `base` must stay.
 */
export type PodHook = (pod: V1Pod, taskInstance: PodHookTaskInstance) => unknown
