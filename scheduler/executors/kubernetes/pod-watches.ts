// The watches that this scheduler holds: one for each namespace that no other living scheduler watches. What a watch
// brings becomes part of the ledger together with the version up to which it was seen; from there the schedulers
// that lease the runs take it up. Where the watch is another's by now, this one ends.
//
// A pod that carries this deployment's label and is no attempt's was created late, by a scheduler that did not know
// that its runs were another's. It is deleted.
import type { KubernetesClient } from '../../../k8s/client/kubernetes-client.ts'
import { labelPrefix } from '../../../k8s/pod/pod-names.ts'
import { isDecisive, observePod, type PodObservation } from '../../../k8s/pod-observation.ts'
import {
  createPodWatch,
  type PodBatch,
  type PodWatch,
  type PodWatchCounters,
} from '../../../k8s/pod-watch.ts'
import { messageOf } from '../../../runtime/errors.ts'
import type { Logger } from '../../../runtime/log.ts'
import type { Database } from '../../database/connection.ts'
import { applyPodEvents, claimPodWatches, isWatchLost, type StrayPod } from '../../database/pod-watches.ts'
import { createPass, type Pass } from '../../pass.ts'

/** Pods of a list that one statement applies. */
const applyAtOnce = 500

/** A watch that this scheduler holds, as its metrics show it. */
export interface WatchStatus {
  namespace: string
  /** Since anything was heard of the API server, or since it is waited for. */
  ageMs: number
  hasHeard: boolean
  /** Why nothing is heard, or what is heard cannot be written down; null where all is well. */
  trouble: string | null
  /** How long what was heard is being written down; 0 where there is nothing. */
  applyBusyMs: number
  counters: Readonly<PodWatchCounters>
}

export interface PodWatches {
  /** Takes namespaces that nobody watches, or not any more. */
  claim(): void
  /** Watches this namespace too: it has pods of a time when it was configured. */
  add(namespace: string): void
  status(): WatchStatus[]
  /** For who judges whether they hang. Each ends within a moment, unless Postgres does not answer. */
  readonly passes: readonly Pass[]
  stop(): Promise<void>
}

export function createPodWatches(deps: {
  db: Database
  client: KubernetesClient
  schedulerId: number
  deploymentId: string
  namespaces: readonly string[]
  relistIntervalMs: number
  log: Logger
}): PodWatches {
  const { db, client, schedulerId, log } = deps
  const namespaces = new Set(deps.namespaces)
  const held = new Map<string, PodWatch>()

  const claimPass = createPass('claim-pod-watches', log, async () => {
    const free = [...namespaces].filter((namespace) => !held.has(namespace))
    if (free.length === 0) return
    for (const row of await claimPodWatches(db, schedulerId, free)) hold(row.namespace, row.resource_version)
  })

  function hold(namespace: string, resourceVersion: string | null): void {
    const watch = createPodWatch<PodObservation>({
      client,
      namespace,
      labelSelector: `${labelPrefix}deployment_id=${deps.deploymentId}`,
      resourceVersion,
      relistIntervalMs: deps.relistIntervalMs,
      summarise: observePod,
      isDecisive,
      apply: (batch) => applyOrLetGo(namespace, batch),
      log,
    })
    held.set(namespace, watch)
    watch.start()
    log.info({ namespace, resource_version: resourceVersion }, 'watching pods')
  }

  async function applyOrLetGo(namespace: string, batch: PodBatch<PodObservation>): Promise<void> {
    try {
      removeStrays(namespace, await apply(namespace, batch))
    } catch (error) {
      if (!isWatchLost(error)) throw error
      log.warn(
        { namespace, error: messageOf(error) },
        'another scheduler has the watch of a namespace by now',
      )
      // Not waited for: it waits for this.
      void held.get(namespace)?.stop()
      held.delete(namespace)
    }
  }

  async function apply(namespace: string, batch: PodBatch<PodObservation>): Promise<StrayPod[]> {
    const { resourceVersion } = batch
    if (batch.kind === 'events') {
      const pods = batch.pods.map(({ pod }) => pod)
      return applyPodEvents(db, { schedulerId, namespace, resourceVersion, pods, listed: null })
    }
    const { pods, beganAt } = batch
    const strays: StrayPod[] = []
    for (let at = 0; at < pods.length; at += applyAtOnce) {
      const some = pods.slice(at, at + applyAtOnce)
      // Without the version: the list is not applied before all of it is.
      strays.push(
        ...(await applyPodEvents(db, {
          schedulerId,
          namespace,
          resourceVersion: null,
          pods: some,
          listed: null,
        })),
      )
    }
    const listed = { uids: pods.map(({ uid }) => uid), ageMs: Date.now() - beganAt.getTime() }
    await applyPodEvents(db, { schedulerId, namespace, resourceVersion, pods: [], listed })
    return strays
  }

  function removeStrays(namespace: string, strays: readonly StrayPod[]): void {
    for (const { pod_name, uid } of strays) {
      client.deletePod(namespace, pod_name, { uid }).then(
        (wasThere) => wasThere && log.warn({ namespace, pod_name }, 'a pod that is no attempt’s is deleted'),
        (error: unknown) =>
          log.warn(
            { namespace, pod_name, error: messageOf(error) },
            'a pod that is no attempt’s stays for now',
          ),
      )
    }
  }

  return {
    claim: () => claimPass.wake(),
    add(namespace) {
      if (namespaces.has(namespace)) return
      namespaces.add(namespace)
      claimPass.wake()
    },
    status: () =>
      [...held].map(([namespace, watch]) => ({
        namespace,
        ageMs: watch.ageMs(),
        hasHeard: watch.hasHeard(),
        trouble: watch.trouble(),
        applyBusyMs: watch.applyBusyMs(),
        counters: watch.counters,
      })),
    passes: [claimPass],
    async stop() {
      await claimPass.stop()
      await Promise.all([...held.values()].map((watch) => watch.stop()))
    },
  }
}
