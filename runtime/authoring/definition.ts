// What a process needs to execute a task, beside the data in the manifest: the function, or the command.
import type { OperatorManifest } from '../operator-manifest.ts'
import type { TaskContext } from './context.ts'
import type { PodCallback } from './pod-callbacks.ts'

/** A task made by `task()`. */
interface FunctionDefinition {
  readonly kind: 'task'
  readonly taskId: string
  /** With inputs the function is called with them and the context, without with the context alone. */
  readonly takesInputs: boolean
  readonly run: TaskFunction
}

/** A task made by `bash()`. */
export interface BashDefinition {
  readonly kind: 'bash'
  readonly taskId: string
  readonly command: string
  readonly env: Readonly<Record<string, string>>
  /** Relative to the run's source path; null: the source path itself. */
  readonly cwd: string | null
  readonly skipExitCodes: readonly number[]
}

/** A task made by `pod()`, `job()` or `resource()`: the manifest says all of it but the functions that a pod has. */
interface OperatorDefinition {
  readonly kind: OperatorManifest['kind']
  readonly taskId: string
  /** In the order of the manifest's `callbacks`. */
  readonly callbacks: readonly PodCallback[]
}

export type TaskDefinition = FunctionDefinition | BashDefinition | OperatorDefinition

export type TaskFunction =
  | ((context: TaskContext) => unknown)
  | ((inputs: never, context: TaskContext) => unknown)
