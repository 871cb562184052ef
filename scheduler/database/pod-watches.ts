// The watches of namespaces: who holds each, and the resourceVersion up to which its events are part of the ledger.
import type { PodObservation } from '../../k8s/pod-observation.ts'
import { parseAttemptId } from '../../runtime/ids.ts'
import { type Queryable, sqlState } from './connection.ts'

export interface PodWatchRow {
  namespace: string
  /** Null: nothing was applied yet. */
  resource_version: string | null
}

/**
 * Makes this scheduler the holder of those of these namespaces' watches that no living scheduler holds.
 * @returns those that it holds since
 */
export async function claimPodWatches(
  db: Queryable,
  schedulerId: number,
  namespaces: readonly string[],
): Promise<PodWatchRow[]> {
  const { rows } = await db.query<PodWatchRow>(
    'select namespace, resource_version from claim_pod_watches($1, $2)',
    [schedulerId, namespaces],
    'claim-pod-watches',
  )
  return rows
}

/** A pod that carries this deployment's label and is no attempt's. */
export interface StrayPod {
  pod_name: string
  uid: string
}

/**
 * Applies what was seen, and with it the version up to which it was.
 * @param input.resourceVersion null: more of the same list follows
 * @param input.listed uids of all pods, at the end of a list that was asked for so long ago; null: events
 * @throws Error where the lease or the watch is another's (see `isWatchLost`)
 */
export async function applyPodEvents(
  db: Queryable,
  input: {
    schedulerId: number
    namespace: string
    resourceVersion: string | null
    pods: readonly PodObservation[]
    listed: { uids: readonly string[]; ageMs: number } | null
  },
): Promise<StrayPod[]> {
  // Without an attempt's name it was made by somebody who copied our labels.
  const ours = input.pods.flatMap((observation) => {
    const key = observation.attempt_id === null ? undefined : parseAttemptId(observation.attempt_id)
    return key === undefined ? [] : [{ key, observation }]
  })
  const pods = ours.map(({ key, observation }) => ({
    ...key,
    pod_name: observation.name,
    uid: observation.uid,
    resource_version: observation.resource_version,
    is_gone: observation.is_deleted,
    observation,
  }))
  const { rows } = await db.query<StrayPod>(
    "select pod_name, uid from apply_pod_events($1, $2, $3, $4, $5, $6 * interval '1 ms')",
    [
      input.schedulerId,
      input.namespace,
      input.resourceVersion,
      JSON.stringify(pods),
      input.listed?.uids ?? null,
      input.listed?.ageMs ?? null,
    ],
    'apply-pod-events',
  )
  return rows
}

/** Whether `error` says that another scheduler holds the watch, or all of this one's runs, by now. */
export function isWatchLost(error: unknown): boolean {
  const state = sqlState(error)
  return state === 'BL001' || state === 'BL003'
}
