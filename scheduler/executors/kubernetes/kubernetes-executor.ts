// The `kubernetes` executor: a pod for each attempt. Nothing is kept in memory that is not in the launch ledger, and
// nothing is done that may not be done twice: a pod is planned in the ledger, created under the attempt's own name,
// watched, judged by what its row says, and deleted when its log is kept and its end is committed. So a scheduler's
// death leaves pods alone, and whoever takes its runs over goes on by reading.
//
//   dispatch → plan (ledger) → launch (API server) → watch (ledger) → reconcile → report → tidy (API server)
//
// What happens to a pod reaches this executor as rows that changed (`look`): written by whichever scheduler holds
// the namespace's watch, and by the servers that the attempts report to.
import type { KubernetesClient } from '../../../k8s/client/kubernetes-client.ts'
import { messageOf } from '../../../runtime/errors.ts'
import type { V1Pod } from '../../../runtime/kubernetes-types.ts'
import type { Logger } from '../../../runtime/log.ts'
import type { CancelReason } from '../../../runtime/task-runner/protocol.ts'
import type { Database } from '../../database/connection.ts'
import { setPodWaiting } from '../../database/pod-ledger.ts'
import { attemptIdOf, readPodManifests, readPodsOf, takeUnseenPods } from '../../database/pod-rows.ts'
import { createPass, type Pass } from '../../pass.ts'
import type { Adoption, Executor, ExecutorReport } from '../executor.ts'
import { type ActivePod, activePod } from './active-pod.ts'
import { createAttemptLog } from './attempt-log.ts'
import type { ObjectsManifest } from './build-objects.ts'
import type { BuildPod } from './build-pod.ts'
import { createObjectTasks } from './object-tasks.ts'
import { whosePod } from './own-pod.ts'
import { createPodCallbacks } from './pod-callbacks.ts'
import { createPodFollowers } from './pod-followers.ts'
import { createPodLauncher, type LaunchedPod } from './pod-launcher.ts'
import { createPodLogs } from './pod-logs.ts'
import { createPodPlanner } from './pod-planner.ts'
import { createPodReconciler } from './pod-reconciler.ts'
import { createPodTidier } from './pod-tidier.ts'
import { createPodWatches, type WatchStatus } from './pod-watches.ts'
import type { KubernetesExecutorSettings } from './settings.ts'

/** Rows that one look takes; the next follows at once where there are more. */
const lookAtOnce = 500
/** How often changes of any pods are taken for room, where a quota is used up. Shorter: more requests in vain. */
const tryForRoomMs = 1_000
/** How often the clock is asked what has waited for too long. */
const tickMs = 500

export interface KubernetesExecutor extends Executor {
  /** Rows of the ledger may have changed. */
  look(): void
  /** A renewal of the lease: namespaces without a watch may be claimed. */
  beat(): void
  /** Of the namespaces that this scheduler watches. */
  watches(): WatchStatus[]
  /** For who judges whether they hang. Each ends within a moment, unless Postgres does not answer. */
  readonly passes: readonly Pass[]
}

/**
 * @param deps.env environment of pods' callbacks; must not hold the database's credentials
 * @param deps.build the pod of an order; throws for what cannot be one
 * @param deps.committedUntil milliseconds since the epoch: everything that was reported before is committed
 * @param deps.mayCreate false while the lease may be another's
 */
export function createKubernetesExecutor(deps: {
  schedulerId: number
  deploymentId: string
  db: Database
  client: KubernetesClient
  settings: KubernetesExecutorSettings
  env: NodeJS.ProcessEnv
  build: BuildPod
  logsDir: string
  onReport: (report: ExecutorReport) => void
  committedUntil: () => number
  mayCreate: () => boolean
  log: Logger
}): KubernetesExecutor {
  const { schedulerId, deploymentId, db, client, settings, logsDir, onReport, log } = deps
  const active = new Map<string, ActivePod>()
  let tick: NodeJS.Timeout | undefined

  const logs = createPodLogs({ db, client, logsDir })
  const callbacks = createPodCallbacks({ client, logs, env: deps.env, log })
  const followers = createPodFollowers({ db, client, logsDir, logs, onLines: callbacks.lines, log })
  const tidier = createPodTidier({
    db,
    client,
    deploymentId,
    keep: settings.keep,
    deleteDelayMs: settings.deleteDelayMs,
    committedUntil: deps.committedUntil,
    log,
  })
  const watches = createPodWatches({ ...settings, db, client, schedulerId, deploymentId, log })
  const attemptLog = createAttemptLog({
    client,
    logs,
    followers,
    manifestOf: async (pod) => parsed((await readPodManifests(db, [pod.key])).get(pod.attemptId)),
    log,
  })
  const reconciler = createPodReconciler({
    db,
    client,
    deploymentId,
    settings,
    logs,
    attemptLog,
    callbacks,
    tidier,
    onReport,
    onEnded(pod) {
      active.delete(pod.attemptId)
      launcher.settle(pod.attemptId)
      launcher.tryNext(pod.namespace)
    },
    log,
  })
  const launcher = createPodLauncher({
    ...settings,
    client,
    mayCreate: deps.mayCreate,
    whose: (existing, { active: pod }) => whosePod(existing, deploymentId, pod.attemptId),
    onCreated(pod, uid) {
      tidier.created(pod.key, uid)
      callbacks.call(pod, 'onPodCreation')
      if (pod.cancelReason === null) return
      pod.tellAgainAt = 0
      void reconciler.end(pod, pod.cancelReason)
    },
    onPushedBack(pod, words) {
      reconciler.notePushBack(pod, { name: words.reason, message: words.message })
      setPodWaiting(db, pod.key, words).catch(() => {})
    },
    onRefused(pod, error) {
      const name = pod.cancelReason === null ? 'PodRefused' : 'AttemptCancelled'
      void reconciler.refuse(pod, { name, message: messageOf(error), stack: null })
    },
  })
  const objectTasks = createObjectTasks({
    db,
    client,
    logs,
    tidier,
    mayCreate: deps.mayCreate,
    onReport,
    log,
  })
  const planner = createPodPlanner({
    db,
    schedulerId,
    build: deps.build,
    logs,
    onPlanned(planned) {
      const pods: LaunchedPod[] = []
      for (const { active: one, order, work } of planned) {
        if (work.pod === null) {
          objectTasks.follow(one, work.objects)
          continue
        }
        active.set(one.attemptId, one)
        callbacks.begin(
          one,
          () => order,
          () => work.pod,
        )
        callbacks.call(one, 'onPodManifestCreated')
        pods.push({ active: one, manifest: work.pod })
      }
      launcher.launch(pods)
    },
    onCancelled: cancel,
    onReport,
    log,
  })
  /** Rows were marked as seen, perhaps, and the answer with them was lost: all are to be read again. */
  let mayHaveMissed = false
  const lookPass = createPass('look-at-pods', log, async () => {
    const rows = await inTurn(async () => {
      const isAll = mayHaveMissed
      mayHaveMissed = true
      const taken = isAll
        ? await readPodsOf(
            db,
            [...active.values()].map(({ key }) => key),
          )
        : await takeUnseenPods(db, schedulerId, lookAtOnce)
      mayHaveMissed = false
      for (const row of taken) {
        const pod = active.get(attemptIdOf(row))
        if (pod === undefined) continue
        if (row.uid !== null) launcher.settle(pod.attemptId)
        reconciler.see(pod, row)
      }
      return isAll ? [] : taken
    })
    if (rows.length === lookAtOnce) lookPass.wake()
  })

  let triedAt = 0
  let turn: Promise<unknown> = Promise.resolve()
  /** What reads rows and marks them seen, one after another. */
  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = turn.then(work)
    turn = done.catch(() => {})
    return done
  }

  function onTick(): void {
    if (mayHaveMissed) lookPass.wake()
    planner.tick()
    reconciler.tick(active.values())
    objectTasks.tick()
    tidier.tick()
  }

  function cancel(attemptId: string, reason: CancelReason): void {
    if (planner.withdraw(attemptId, reason) || objectTasks.cancel(attemptId, reason)) return
    const pod = active.get(attemptId)
    if (!pod || pod.cancelReason !== null) return
    pod.cancelReason = reason
    if (launcher.withdraw(attemptId)) void reconciler.end(pod, reason)
    else {
      const message = `ended before it began: ${reason}`
      void reconciler.refuse(pod, { name: 'AttemptCancelled', message, stack: null })
    }
  }

  /** @param manifest of objects, or of a pod that may not have been created */
  function follow(pod: ActivePod, manifest: string | undefined): void {
    pod.isFollowed = true
    if (isObjects(pod)) {
      objectTasks.follow(pod, JSON.parse(manifest!) as ObjectsManifest)
      return
    }
    callbacks.resume(pod)
    const made = parsed(manifest)
    if (made !== undefined) launcher.launch([{ active: pod, manifest: made }], { mayExist: true })
    reconciler.see(pod, pod.row!)
  }

  return {
    name: 'kubernetes',
    async start() {
      watches.claim()
      tick = setInterval(onTick, tickMs)
    },
    dispatch: (orders) => planner.plan(orders),
    cancel,
    async adopt(_schedulerId, orphans) {
      // A look in between would mark rows as seen that are nobody's yet.
      const pods = await inTurn(async () => {
        const keys = orphans.map((orphan) => ({ dag_run_id: orphan.dag_run_id, ...orphan.place }))
        const rows = new Map((await readPodsOf(db, keys)).map((row) => [attemptIdOf(row), row]))
        const found = orphans.flatMap(({ attempt_id, token, place, task }) => {
          const row = rows.get(attempt_id)
          if (row === undefined) return []
          const { kind, namespace, pod_name: podName } = row
          return activePod({ key: row, token, place, task, kind, namespace, podName, row })
        })
        for (const pod of found) {
          if (isObjects(pod)) continue
          active.set(pod.attemptId, pod)
          watches.add(pod.namespace)
        }
        return new Map(found.map((pod) => [pod.attemptId, pod]))
      })
      const planned = [...pods.values()].filter((pod) => isObjects(pod) || pod.row!.state === 'planned')
      const manifests = await readPodManifests(
        db,
        planned.map(({ key }) => key),
      )
      return orphans.map(({ attempt_id, order }): Adoption => {
        const pod = pods.get(attempt_id)
        if (pod === undefined) return { attempt_id, fate: 'not_begun' }
        const manifest = manifests.get(attempt_id)
        callbacks.begin(pod, order, () => parsed(manifest))
        return { attempt_id, fate: 'running', follow: () => follow(pod, manifest) }
      })
    },
    look() {
      lookPass.wake()
      // Pods of any scheduler have changed, and may have left room.
      if (Date.now() - triedAt < tryForRoomMs) return
      triedAt = Date.now()
      launcher.tryNext()
    },
    beat: () => watches.claim(),
    watches: () => watches.status(),
    passes: [lookPass, ...planner.passes, ...watches.passes, ...tidier.passes],
    async stop() {
      clearInterval(tick)
      await Promise.all([
        planner.stop(),
        launcher.stop(),
        watches.stop(),
        followers.stop(),
        callbacks.stop(),
        objectTasks.stop(),
        lookPass.stop(),
      ])
      await tidier.stop()
    },
  }
}

/** Not watched, but asked for. */
function isObjects({ kind }: ActivePod): boolean {
  return kind === 'job' || kind === 'resource'
}

function parsed(manifest: string | undefined): V1Pod | undefined {
  return manifest === undefined ? undefined : (JSON.parse(manifest) as V1Pod)
}
