// What a subscriber is told after a change: each view reads the present state of what it shows, and gives the events.
// A view may be asked again at any time; it never depends on having heard of every change.
import type { Queryable } from '../../../scheduler/database/connection.ts'
import type { ShownDagRunRow } from '../../../scheduler/database/queries/dag-run-columns.ts'
import { readChangedRuns } from '../../../scheduler/database/queries/read-changed-runs.ts'
import { readDagRuns } from '../../../scheduler/database/queries/read-dag-runs.ts'
import { readTaskInstances } from '../../../scheduler/database/queries/read-task-instances.ts'
import { manifestOf } from '../find.ts'
import { dagRunJson } from '../json/dag-run.ts'
import { taskInstancesJson } from '../json/task-instance.ts'
import type { LiveEvent } from '../schemas/live-event.ts'
import type { TaskInstance } from '../schemas/task-instance.ts'
import type { Pending } from './pending-changes.ts'

export interface View {
  /** What to look at although no change was heard of: at the beginning, and whenever it has been quiet. */
  readonly first: Pending
  /** @throws DatabaseUnavailableError: give the same again later */
  eventsFor(pending: Pending): Promise<LiveEvent[]>
}

/** Runs of one Dag that are told after an interruption; older ones hardly ever change. */
const newestRuns = 100

/** Every run, or those of one Dag. @param dagId null: every Dag */
export function runsView(db: Queryable, dagId: string | null): View {
  return {
    first: { dagRunIds: new Set(), dags: false, missed: false },
    async eventsFor(pending) {
      const events: LiveEvent[] = []
      if (pending.dags || pending.missed) events.push({ event: 'dags', data: {} })
      let rows: readonly ShownDagRunRow[] = []
      if (pending.missed && dagId !== null) {
        rows = (
          await readDagRuns(db, { dagId, states: null, limit: newestRuns, offset: 0 })
        ).rows.toReversed()
      } else if (pending.dagRunIds.size > 0) {
        rows = await readChangedRuns(db, [...pending.dagRunIds], dagId)
      }
      if (pending.missed) events.push({ event: 'reload', data: {} })
      for (const row of rows) events.push({ event: 'dag_run', data: dagRunJson(row) })
      return events
    },
  }
}

/** One run with its task instances: first all of it, then what differs from what was told. */
export async function runView(db: Queryable, run: ShownDagRunRow): Promise<View> {
  const manifest = await manifestOf(db, run)
  const { dag_run_id, dag_id, run_id } = run
  let toldRun = ''
  const toldInstances = new Map<string, string>()

  function changedInstances(instances: readonly TaskInstance[]): TaskInstance[] {
    return instances.filter((instance) => {
      const key = `${instance.task_id}[${instance.map_index}]`
      const text = JSON.stringify(instance)
      if (toldInstances.get(key) === text) return false
      toldInstances.set(key, text)
      return true
    })
  }

  return {
    first: { dagRunIds: new Set([dag_run_id]), dags: false, missed: false },
    async eventsFor(pending) {
      if (!pending.missed && !pending.dagRunIds.has(dag_run_id)) return []
      // The run before its instances: an end that is told is never followed by a task that still runs.
      const [[row], rows] = [
        await readChangedRuns(db, [dag_run_id], null),
        await readTaskInstances(db, dag_run_id),
      ]
      const events: LiveEvent[] = []
      const changed = changedInstances(taskInstancesJson(manifest, rows))
      if (changed.length > 0) {
        events.push({ event: 'task_instances', data: { dag_id, run_id, task_instances: changed } })
      }
      const text = row === undefined ? toldRun : JSON.stringify(row)
      if (text !== toldRun) events.push({ event: 'dag_run', data: dagRunJson(row!) })
      toldRun = text
      return events
    },
  }
}
