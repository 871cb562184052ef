// The text of a task's attempts, one after another. Following goes from attempt to attempt until the task instance
// has ended; between them the run's live events say when there is something new to read.
import { NotFoundError } from '../../runtime/errors.ts'
import { finishedTaskInstanceStates } from '../../runtime/states.ts'
import type { TaskInstance } from '../../web/server/schemas/task-instance.ts'
import { type Api, path } from '../api/client.ts'
import { liveEvents } from '../api/events.ts'
import { getTaskInstance, type TaskPlace } from '../api/task-instances.ts'

export interface AttemptLogsRequest {
  api: Api
  place: TaskPlace
  /** Only this attempt; default: the newest. */
  tryNumber: number | undefined
  /** To the end of the attempt; without `tryNumber`, to the end of the task instance. */
  follows: boolean
  /** Before the text of each attempt. */
  onAttempt: (tryNumber: number) => void
  signal: AbortSignal
}

/**
 * Newline-delimited JSON as the API sends it.
 * @throws NotFoundError where there is no such attempt; without `follows`, also where none was made yet
 */
export async function* readAttemptLogs(request: AttemptLogsRequest): AsyncGenerator<string> {
  const { api, place, tryNumber, follows, signal } = request
  if (tryNumber !== undefined) {
    yield* attemptLog(request, tryNumber)
    return
  }
  let task = await getTaskInstance(api, place)
  if (task.try_number === 0 && !follows) throw noAttempt(place, task)
  for (let read = 0; !signal.aborted; ) {
    if (task.try_number > read) {
      // The first that is read is the newest one; further ones follow it without a gap.
      read = read === 0 ? task.try_number : read + 1
      yield* attemptLog(request, read)
    } else if (follows && !finishedTaskInstanceStates.includes(task.state)) {
      await changed(api, place, task, signal)
    } else return
    if (!follows) return
    task = await getTaskInstance(api, place)
  }
}

async function* attemptLog(request: AttemptLogsRequest, tryNumber: number): AsyncGenerator<string> {
  const { api, place, follows, signal } = request
  const { dagId, runId, taskId } = place
  const target = path`/dags/${dagId}/dagRuns/${runId}/taskInstances/${taskId}/logs/${tryNumber}`
  const text = await api.stream(target, { follow: follows ? true : undefined }, signal)
  request.onAttempt(tryNumber)
  yield* text
}

/** Resolves when the task instance is no longer as it was, or the connection ends: look again then. */
async function changed(api: Api, place: TaskPlace, before: TaskInstance, signal: AbortSignal): Promise<void> {
  const { dagId, runId, taskId } = place
  for await (const { event, data } of liveEvents(api, { dag_id: dagId, run_id: runId }, signal)) {
    if (event !== 'task_instances') continue
    const now = data.task_instances.find((task) => task.task_id === taskId)
    if (now !== undefined && (now.try_number !== before.try_number || now.state !== before.state)) return
  }
}

function noAttempt({ dagId, runId, taskId }: TaskPlace, { state }: TaskInstance): NotFoundError {
  const why = finishedTaskInstanceStates.includes(state)
    ? `it is ${state}, so there was none`
    : `it is ${state}; --follow waits for it`
  return new NotFoundError(`task '${taskId}' of run '${runId}' has no attempt to read: ${why}`, {
    details: { dag_id: dagId, run_id: runId, task_id: taskId },
  })
}
