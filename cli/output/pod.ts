// How pods look in a terminal. Pure.
import { wordsText } from '../../k8s/pod-words.ts'
import type { Pod } from '../../web/server/schemas/pod.ts'
import type { Format, Style } from './style.ts'
import { relativeTime } from './time.ts'

/** `Unschedulable: no node takes it: …`, its status in a colour that says how bad it is. */
function podText(pod: Pod, style: Style): string {
  return wordsText({ status: style(formatOf(pod), pod.status), message: pod.message })
}

/** Names and values about one pod. */
export function podFields(pod: Pod, style: Style): [string, string][] {
  const { memory_peak_bytes: peak } = pod
  return [
    ['pod', `${pod.namespace}/${pod.pod_name}${pod.is_gone ? style('dim', ' (gone)') : ''}`],
    ...(pod.node_name === null ? [] : [['node', pod.node_name] as [string, string]]),
    ['status', podText(pod, style)],
    ...pod.containers.flatMap((container): [string, string][] =>
      container.restart_count === 0
        ? []
        : [
            [
              'restarts',
              `${container.name} ${container.restart_count}, last ${container.last_reason ?? '-'}`,
            ],
          ],
    ),
    ...(peak === null ? [] : [['memory', `${memoryText(peak)} at most`] as [string, string]]),
  ]
}

/** A row of `pods list`; the last column is free text. */
export function podRow(pod: Pod, style: Style, now: number): string[] {
  return [
    `${pod.namespace}/${pod.pod_name}`,
    pod.dag_id,
    pod.run_id,
    pod.task_id,
    String(pod.try_number),
    style(formatOf(pod), pod.status),
    pod.node_name ?? '-',
    relativeTime(pod.created_at ?? pod.planned_at, now).replace(/ ago$/, ''),
    pod.message ?? '',
  ]
}

/** Titles of these columns. */
export const podHead = ['pod', 'dag_id', 'run_id', 'task_id', 'try', 'status', 'node', 'age', 'message']

function formatOf({ status, exit_code, phase, state }: Pod): Format {
  if (status === 'Running') return 'cyan'
  if (status === 'Completed') return 'green'
  if (phase === 'Failed' || (exit_code !== null && exit_code !== 0)) return 'red'
  const isQuiet = /^(Planned|Pending|ContainerCreating|Terminating|Init:\d)/.test(status)
  return isQuiet || state === 'ended' || state === 'deleted' ? 'dim' : 'yellow'
}

/** `512 MiB`, `1.5 GiB`. */
function memoryText(bytes: number): string {
  const mebibytes = bytes / 1024 / 1024
  return mebibytes < 1_024 ? `${Math.ceil(mebibytes)} MiB` : `${(mebibytes / 1_024).toFixed(1)} GiB`
}
