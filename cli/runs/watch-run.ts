// Follows a run to its end by the API's live events. A connection that breaks is made again: the API begins each
// with the present state, so nothing is missed. The last word is a read of the run, not an event.
import { setTimeout as delay } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import { ApiUnreachableError, DatabaseUnavailableError } from '../../runtime/errors.ts'
import { finishedDagRunStates } from '../../runtime/states.ts'
import type { DagRunDetails } from '../../web/server/schemas/dag-run.ts'
import type { LiveEvent } from '../../web/server/schemas/live-event.ts'
import type { TaskInstance } from '../../web/server/schemas/task-instance.ts'
import type { Api } from '../api/client.ts'
import { liveEvents } from '../api/events.ts'
import { getGroupIds, getRun } from '../api/runs.ts'
import type { RunSnapshot } from '../output/run-summary.ts'
import type { RunView } from './run-view.ts'

/** Between two tries to reach the API again. Shorter: a restarting server is pestered. Longer: the tree stands still. */
const reconnectMs = 500

/**
 * Shows the run until it has ended, or `signal` fires.
 * @returns the ended run; undefined where the signal fired before
 * @throws NotFoundError; ApiUnreachableError where the API is away from the first (later it is waited for)
 */
export async function watchRun(watch: {
  api: Api
  dagId: string
  runId: string
  view: RunView
  signal: AbortSignal
}): Promise<DagRunDetails | undefined> {
  const { api, dagId, runId, view, signal } = watch
  let snapshot: RunSnapshot | undefined
  try {
    const [first, groupIds] = await Promise.all([getRun(api, dagId, runId), getGroupIds(api, dagId)])
    snapshot = snapshotOf(first, groupIds)
    view.update(snapshot)
    for await (const event of steadyEvents(watch)) {
      // The end is told below, when all that came before it has been told.
      if (event.event === 'dag_run' && isFinished(event.data)) break
      view.event(event)
      snapshot = applyEvent(snapshot, event)
      view.update(snapshot)
    }
    if (signal.aborted) return undefined
    const last = await getRun(api, dagId, runId)
    for (const event of lastEvents(snapshot, last)) view.event(event)
    snapshot = snapshotOf(last, groupIds)
    return last
  } finally {
    view.end(snapshot)
  }
}

function snapshotOf(run: DagRunDetails, groupIds: readonly string[]): RunSnapshot {
  return { run, taskInstances: run.task_instances, groupIds }
}

const isFinished = ({ state }: Pick<DagRunDetails, 'state'>) => finishedDagRunStates.includes(state)

/** What the last read knows beyond the events: task instances that changed since, and the ended run. */
function lastEvents(snapshot: RunSnapshot, last: DagRunDetails): LiveEvent[] {
  const { task_instances: all, ...run } = last
  const known = new Map(snapshot.taskInstances.map((task) => [keyOf(task), task]))
  const changed = all.filter((task) => !isDeepStrictEqual(task, known.get(keyOf(task))))
  const { dag_id, run_id } = last
  return [
    ...(changed.length === 0
      ? []
      : [{ event: 'task_instances', data: { dag_id, run_id, task_instances: changed } } as const]),
    { event: 'dag_run', data: run },
  ]
}

/** The snapshot with what the event says. */
export function applyEvent(snapshot: RunSnapshot, { event, data }: LiveEvent): RunSnapshot {
  if (event === 'dag_run') return { ...snapshot, run: data }
  if (event !== 'task_instances') return snapshot
  const changed = new Map(data.task_instances.map((task) => [keyOf(task), task]))
  const known = new Set(snapshot.taskInstances.map(keyOf))
  return {
    ...snapshot,
    taskInstances: [
      ...snapshot.taskInstances.map((task) => changed.get(keyOf(task)) ?? task),
      ...data.task_instances.filter((task) => !known.has(keyOf(task))),
    ],
  }
}

function keyOf({ task_id, map_index }: Pick<TaskInstance, 'task_id' | 'map_index'>): string {
  return `${task_id} ${map_index}`
}

/** Events of the run over as many connections as it takes; ends when the signal fires. */
async function* steadyEvents(watch: {
  api: Api
  dagId: string
  runId: string
  view: Pick<RunView, 'trouble'>
  signal: AbortSignal
}): AsyncGenerator<LiveEvent> {
  const { api, dagId, runId, view, signal } = watch
  let isInTrouble = false
  while (!signal.aborted) {
    try {
      for await (const event of liveEvents(api, { dag_id: dagId, run_id: runId }, signal)) {
        if (isInTrouble) view.trouble(null)
        isInTrouble = false
        yield event
      }
    } catch (error) {
      if (signal.aborted) return
      if (!isPassing(error)) throw error
    }
    if (!isInTrouble) view.trouble(`${api.url} does not answer, trying again …`)
    isInTrouble = true
    await delay(reconnectMs, undefined, { signal }).catch(() => {})
  }
}

/** An answer that broke off is a TypeError of fetch's body. */
function isPassing(error: unknown): boolean {
  return (
    error instanceof ApiUnreachableError ||
    error instanceof DatabaseUnavailableError ||
    error instanceof TypeError
  )
}
