// What the launch ledger says while pods run, as a benchmark asks for it, and the pods in it once more, for the floor.
import { labelPrefix } from '../../k8s/pod/pod-names.ts'
import type { V1Pod } from '../../runtime/kubernetes-types.ts'
import type { Database } from '../../scheduler/database/connection.ts'

/** How many pods of the runs after this one are not gone yet. Those that are gone are not looked at: they are many. */
export async function countPodsThere(db: Database, afterRunId: number): Promise<number> {
  const { rows } = await db.query<{ count: number }>(
    `select count(*) as count from pod where state in ('planned', 'created', 'ended') and dag_run_id > $1`,
    [afterRunId],
    'count-pods-there',
  )
  return rows[0]!.count
}

/** How many pods of these runs were seen running. Reads each row's observation: not often. */
export async function countPodsRunning(db: Database, afterRunId: number): Promise<number> {
  const { rows } = await db.query<{ count: number }>(
    `select count(*) as count from pod
     where state = 'created' and dag_run_id > $1 and observation ->> 'phase' = 'Running'`,
    [afterRunId],
    'count-pods-running',
  )
  return rows[0]!.count
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
