// A task instance with its attempts, for people. Pure.
import type { Attempt, TaskInstanceDetails } from '../../web/server/schemas/task-instance.ts'
import { podFields } from './pod.ts'
import { stateText } from './state.ts'
import type { Style } from './style.ts'
import { renderFields } from './table.ts'
import { elapsed, localTime, relativeTime } from './time.ts'

/** More of a result is for `--json`. */
const maxResultLength = 200

/** From the start of its container to the first word of an attempt it takes a second or two. */
const unheardMs = 20_000

/**
 * The task instance's own lines, then a block for each attempt, oldest first.
 * @param now milliseconds since the epoch
 */
export function renderTaskInstance(task: TaskInstanceDetails, style: Style, now: number): string[] {
  const fields: [string, string][] = [
    ['task_id', style('bold', task.task_id)],
    ['dag_id', task.dag_id],
    ['run_id', task.run_id],
    ['kind', task.kind],
    ['after', task.upstream_task_ids.join(', ') || '-'],
    ['state', stateText(task.state, style)],
    ['attempts', attemptsText(task, now)],
    ['result', resultText(task)],
  ]
  return [...renderFields(fields, style), ...task.attempts.flatMap((one) => attemptLines(one, style, now))]
}

function attemptsText({ try_number, max_tries, next_try_at }: TaskInstanceDetails, now: number): string {
  if (try_number === 0) return 'none'
  const next = next_try_at === null ? '' : `, the next one ${relativeTime(next_try_at, now)}`
  return `${try_number} of at most ${max_tries}${next}`
}

function resultText({ xcom }: TaskInstanceDetails): string {
  if (xcom === null) return '-'
  const text = JSON.stringify(xcom.value)
  return text.length <= maxResultLength ? text : `${text.slice(0, maxResultLength)}… (--json has all of it)`
}

function attemptLines(attempt: Attempt, style: Style, now: number): string[] {
  const { try_number, state, error, pod } = attempt
  const took = elapsed(attempt, now)
  const head = `attempt ${try_number}  ${stateText(state, style)}${took === '' ? '' : `  ${took}`}`
  // What runs outside of our own processes (a pod of `pod()`) has none here.
  const process = attempt.pid === null ? '' : `, process ${attempt.pid}`
  const where = attempt.hostname === null ? '' : ` on ${attempt.hostname}${process}`
  const fields: [string, string][] = [
    ['queued', localTime(attempt.queued_at)],
    ['started', localTime(attempt.start_date)],
    ['ended', localTime(attempt.end_date)],
    ['executor', `${attempt.executor}${where}`],
    ...(pod === null ? [] : podFields(pod, style)),
    ...unheardFields(attempt, now),
    ...(attempt.exit_code === null ? [] : [['exit code', String(attempt.exit_code)] as [string, string]]),
    ...(error === null ? [] : [['error', `${error.name}: ${error.message}`] as [string, string]]),
  ]
  return ['', head, ...renderFields(fields, style).map((line) => `  ${line}`)]
}

/** What to look at where the container runs and its program has not said so: as a rule it does not reach the API. */
function unheardFields({ pod, start_date, end_date }: Attempt, now: number): [string, string][] {
  const begun = pod?.containers[0]?.started_at
  if (pod?.kind !== 'task' || pod.status !== 'Running' || begun == null) return []
  if (start_date !== null || end_date !== null || now - Date.parse(begun) < unheardMs) return []
  const { namespace, pod_name } = pod
  const look = `kubectl --namespace ${namespace} logs ${pod_name} --container base`
  return [['unheard', `its program has not reached the API (execution_api_url) yet. What it says: ${look}`]]
}
