// Questions about runs that several commands ask.

import { NotFoundError } from '../../runtime/errors.ts'
import type { DagDetails } from '../../web/server/schemas/dag.ts'
import type { DagRun, DagRunCollection, DagRunDetails } from '../../web/server/schemas/dag-run.ts'
import { callText } from '../call-text.ts'
import type { Api } from './client.ts'
import { path } from './client.ts'

/** What stands for the newest run where a run_id is asked for. */
export const latest = 'latest'

/**
 * The run_id that is meant by `run`: itself, or that of the newest run for 'latest' or nothing.
 * @throws NotFoundError where the Dag does not exist or has no run
 */
export async function resolveRunId(api: Api, dagId: string, run: string | undefined): Promise<string> {
  if (run !== undefined && run !== latest) return run
  const { dag_runs } = await api.get<DagRunCollection>(path`/dags/${dagId}/dagRuns`, { limit: 1 })
  const newest: DagRun | undefined = dag_runs[0]
  if (newest !== undefined) return newest.run_id
  throw new NotFoundError(
    `Dag '${dagId}' has no run yet: start one with \`${callText(`dags trigger ${dagId}`)}\``,
    { details: { dag_id: dagId } },
  )
}

/** A run with its task instances, in topological order. */
export function getRun(api: Api, dagId: string, runId: string): Promise<DagRunDetails> {
  return api.get(path`/dags/${dagId}/dagRuns/${runId}`)
}

/** Ids of the Dag's task groups: those of its present version, which an older run may not have. */
export async function getGroupIds(api: Api, dagId: string): Promise<string[]> {
  const { manifest } = await api.get<DagDetails>(path`/dags/${dagId}`)
  return manifest.task_groups.map((group) => group.group_id)
}
