// What the launch ledger says while pods run, as a benchmark asks for it, and the pods in it once more, for the floor.
import { labelPrefix } from '../../k8s/pod/pod-names.ts'
import type { V1Pod } from '../../runtime/kubernetes-types.ts'
import type { Database } from '../../scheduler/database/connection.ts'

/** Pods of the runs after this one, by what the ledger has of them. */
export interface PodCounts {
  planned: number
  /** Seen running. */
  running: number
  /** Seen gone after their attempt's end. */
  deleted: number
  all: number
}

export async function countPods(db: Database, afterRunId: number): Promise<PodCounts> {
  const { rows } = await db.query<PodCounts>(
    `select count(*) filter (where state = 'planned') as planned,
       count(*) filter (where state = 'created' and observation ->> 'phase' = 'Running') as running,
       count(*) filter (where state = 'deleted') as deleted, count(*) as all
     from pod where dag_run_id > $1`,
    [afterRunId],
    'count-pods',
  )
  return rows[0]!
}

/** The pods of these runs as they were sent, under other names, and so that no scheduler takes them for its own. */
export async function barePodsOf(db: Database, afterRunId: number): Promise<V1Pod[]> {
  const { rows } = await db.query<{ manifest: string }>('select manifest from pod where dag_run_id > $1', [
    afterRunId,
  ])
  return rows.map(({ manifest }, n) => {
    const pod = JSON.parse(manifest) as V1Pod
    const { [`${labelPrefix}deployment_id`]: _, ...labels } = pod.metadata?.labels ?? {}
    return { ...pod, metadata: { ...pod.metadata, labels, name: `bare-${n}` } }
  })
}
