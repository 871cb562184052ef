// How many pods of the launch ledger are not gone.
import type { Queryable } from '../connection.ts'
import type { PodState } from '../pod-rows.ts'

/** By namespace and state; a state without pods has no row. Uses the index `pod_live`. */
export async function countLivePods(
  db: Queryable,
): Promise<{ namespace: string; state: PodState; pods: number }[]> {
  const { rows } = await db.query<{ namespace: string; state: PodState; pods: number }>(
    `select namespace, state, count(*) as pods from pod
     where state in ('planned', 'created', 'ended') group by namespace, state order by namespace, state`,
  )
  return rows
}
