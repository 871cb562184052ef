// What a request names: the row, or a NotFoundError with the nearest name that there is.
import { NotFoundError } from '../../runtime/errors.ts'
import type { DagManifest } from '../../runtime/manifest.ts'
import { didYouMean } from '../../runtime/nearest.ts'
import type { Queryable } from '../../scheduler/database/connection.ts'
import { readDagVersions } from '../../scheduler/database/dag-versions.ts'
import type { ShownDagRunRow } from '../../scheduler/database/queries/dag-run-columns.ts'
import { type DagDetailsRow, readDag } from '../../scheduler/database/queries/read-dag.ts'
import { readDagIds } from '../../scheduler/database/queries/read-dag-ids.ts'
import { readDagRun } from '../../scheduler/database/queries/read-dag-run.ts'
import { readRecentRunIds } from '../../scheduler/database/queries/read-recent-run-ids.ts'

/** @throws NotFoundError */
export async function findDag(db: Queryable, dagId: string): Promise<DagDetailsRow> {
  return (await readDag(db, dagId)) ?? dagNotFound(dagId, await readDagIds(db))
}

/** @throws NotFoundError where there is no such Dag */
export async function checkDag(db: Queryable, dagId: string): Promise<void> {
  const dagIds = await readDagIds(db)
  if (!dagIds.includes(dagId)) dagNotFound(dagId, dagIds)
}

function dagNotFound(dagId: string, dagIds: readonly string[]): never {
  throw new NotFoundError(`there is no Dag '${dagId}'.${didYouMean(dagId, dagIds)}`, {
    details: { dag_id: dagId },
  })
}

/** @throws NotFoundError for the run, or for its Dag where that is what does not exist */
export async function findDagRun(db: Queryable, dagId: string, runId: string): Promise<ShownDagRunRow> {
  const run = await readDagRun(db, dagId, runId)
  if (run !== undefined) return run
  await checkDag(db, dagId)
  const runIds = await readRecentRunIds(db, dagId)
  throw new NotFoundError(
    `Dag '${dagId}' has no run '${runId}'.${didYouMean(runId, runIds)}${runIds.length === 0 ? ' It has none at all' : ''}`,
    { details: { dag_id: dagId, run_id: runId } },
  )
}

/** The manifest that a run is pinned to. */
export async function manifestOf(db: Queryable, run: ShownDagRunRow): Promise<DagManifest> {
  const [version] = await readDagVersions(db, [run.dag_version_id])
  return version!.manifest
}

/** @throws NotFoundError where the run's version has no such task */
export function checkTasks(manifest: DagManifest, run: ShownDagRunRow, taskIds: readonly string[]): void {
  const known = manifest.tasks.map((task) => task.task_id)
  const unknown = taskIds.find((taskId) => !known.includes(taskId))
  if (unknown === undefined) return
  throw new NotFoundError(
    `run '${run.run_id}' of Dag '${run.dag_id}' has no task '${unknown}'.${didYouMean(unknown, known)}`,
    { details: { dag_id: run.dag_id, run_id: run.run_id, task_id: unknown } },
  )
}
