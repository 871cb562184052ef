// Questions about task instances and their attempts that several commands ask.
import { ConflictError, NotFoundError } from '../../runtime/errors.ts'
import type { Pod } from '../../web/server/schemas/pod.ts'
import type { Attempt, TaskInstanceDetails } from '../../web/server/schemas/task-instance.ts'
import { type Api, path } from './client.ts'

export interface TaskPlace {
  dagId: string
  runId: string
  taskId: string
}

/** A task instance with its attempts, oldest first. */
export function getTaskInstance(api: Api, { dagId, runId, taskId }: TaskPlace): Promise<TaskInstanceDetails> {
  return api.get(path`/dags/${dagId}/dagRuns/${runId}/taskInstances/${taskId}`)
}

/**
 * The attempt with this number, or the newest one.
 * @throws NotFoundError where there is none of that number; ConflictError where none was made yet
 */
function attemptOf(task: TaskInstanceDetails, tryNumber: number | undefined): Attempt {
  const { attempts, dag_id, run_id, task_id, state } = task
  const details = { dag_id, run_id, task_id }
  const newest = attempts.at(-1)
  if (newest === undefined) {
    throw new ConflictError(`task '${task_id}' of run '${run_id}' is ${state}: no attempt of it was made`, {
      details,
    })
  }
  if (tryNumber === undefined) return newest
  const found = attempts.find((attempt) => attempt.try_number === tryNumber)
  if (found !== undefined) return found
  const numbers = attempts.map((attempt) => attempt.try_number).join(', ')
  throw new NotFoundError(
    `task '${task_id}' of run '${run_id}' has no attempt ${tryNumber}: there ${attempts.length === 1 ? 'is' : 'are'} ${numbers}`,
    { details: { ...details, try_number: tryNumber } },
  )
}

/** @throws ConflictError for the attempt of a job or another object, whose pods are not ours to name */
function checkPod({ kind, namespace, pod_name, task_id, try_number }: Pod): void {
  if (kind === 'task' || kind === 'pod') return
  const [what, see] =
    kind === 'job'
      ? [
          'job',
          `its pods are the job's own: kubectl --namespace ${namespace} get pods --selector job-name=${pod_name}`,
        ]
      : ['object', 'it has no pod that is known here']
  throw new ConflictError(
    `attempt ${try_number} of task '${task_id}' is the ${what} ${namespace}/${pod_name}, and ${see}`,
    { details: { task_id, try_number, kind, namespace, pod_name } },
  )
}

function withoutPod({ dag_id, run_id, task_id }: TaskInstanceDetails, state: string | null): string {
  return state === 'queued' || state === 'running'
    ? `it is ${state}, and no pod was planned for it yet`
    : `it is ${state}, and never had one: branchline tasks show ${dag_id} ${run_id} ${task_id} says why`
}

/**
 * The pod of that attempt.
 * @throws what `attemptOf` throws; ConflictError where it has none
 */
export function podOf(task: TaskInstanceDetails, tryNumber: number | undefined): Pod {
  const { pod, try_number, executor, hostname, state } = attemptOf(task, tryNumber)
  if (pod !== null) {
    checkPod(pod)
    return pod
  }
  const where =
    executor === 'kubernetes'
      ? withoutPod(task, state)
      : `its executor is '${executor}'${hostname === null ? '' : `, on ${hostname}`}`
  throw new ConflictError(`attempt ${try_number} of task '${task.task_id}' has no pod: ${where}`, {
    details: { dag_id: task.dag_id, run_id: task.run_id, task_id: task.task_id, try_number },
  })
}
