// Which executor runs a task.
import type { TaskManifest } from '../../runtime/manifest.ts'

/** A task that is a pod, a job or another object of the cluster, has no other choice. */
const needsKubernetes = new Set<string>(['pod', 'job', 'resource'])

/** @param defaultExecutor of the tasks that name none */
export function executorOf({ kind, executor }: TaskManifest, defaultExecutor: string): string {
  return needsKubernetes.has(kind) ? 'kubernetes' : (executor ?? defaultExecutor)
}
