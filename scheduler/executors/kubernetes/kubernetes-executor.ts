// The `kubernetes` executor: a pod for each attempt. Nothing is kept in memory that is not in the launch ledger, and
// nothing is done that may not be done twice: a pod is planned in the ledger, created under the attempt's own name,
// watched, judged by what its row says, and deleted when its log is kept and its end is committed. So a scheduler's
// death leaves pods alone, and whoever takes its runs over goes on by reading.
//
//   dispatch → plan (ledger) → launch (API server) → watch (ledger) → judge → report → tidy (API server)
//
// What happens to a pod reaches this executor as rows that changed (`look`): written by whichever scheduler holds
// the namespace's watch, and by the servers that the attempts report to.

import type { KubernetesClient } from '../../../k8s/client/kubernetes-client.ts'
import { messageOf } from '../../../runtime/errors.ts'
import type { V1Pod } from '../../../runtime/kubernetes-types.ts'
import type { Logger } from '../../../runtime/log.ts'
import type { AttemptPlace } from '../../../runtime/log-line.ts'
import type { CancelReason, ErrorReport } from '../../../runtime/task-runner/protocol.ts'
import type { Database } from '../../database/connection.ts'
import { type PlannedPod, planPods, setPodCancelReason, setPodWaiting } from '../../database/pod-ledger.ts'
import {
  type PodKey,
  type PodKind,
  type PodRow,
  readPodManifests,
  readPodsOf,
  takeUnseenPods,
} from '../../database/pod-rows.ts'
import { createPass } from '../../pass.ts'
import { endedWithoutRunner } from '../ended-without-runner.ts'
import type { Adoption, DispatchOrder, Executor, ExecutorReport, Orphan } from '../executor.ts'
import type { ActivePod } from './active-pod.ts'
import type { BuildPod } from './build-pod.ts'
import { endedPending, judgeTaskPod, type PodVerdict } from './judge-pod.ts'
import { createPodLauncher } from './pod-launcher.ts'
import type { PodLogs } from './pod-logs.ts'
import { createPodTidier } from './pod-tidier.ts'
import { createPodWatches } from './pod-watches.ts'
import type { KubernetesExecutorSettings } from './settings.ts'

/** Rows that one look takes; the next follows at once where there are more. */
const lookAtOnce = 500
/** Pods that one statement plans. Larger: fewer statements; their manifests are some kilobytes each. */
const planAtOnce = 200
/** How often pods that do not run yet are judged by the clock. */
const tickMs = 500
/** Trouble is told in the attempt's log once it has lasted so long; most of it is over sooner. */
const sayTroubleAfterMs = 2_000

export interface KubernetesExecutor extends Executor {
  /** Rows of the ledger may have changed. */
  look(): void
  /** A renewal of the lease: namespaces without a watch may be claimed. */
  beat(): void
}

/**
 * @param deps.build the pod of an order; throws for what cannot be one
 * @param deps.committedUntil milliseconds since the epoch: everything that was reported before is committed
 * @param deps.mayCreate false while the lease may be another's
 */
export function createKubernetesExecutor(deps: {
  schedulerId: number
  db: Database
  client: KubernetesClient
  settings: KubernetesExecutorSettings
  build: BuildPod
  logs: PodLogs
  deploymentId: string
  onReport: (report: ExecutorReport) => void
  committedUntil: () => number
  mayCreate: () => boolean
  log: Logger
}): KubernetesExecutor {
  const { schedulerId, db, client, settings, logs, log } = deps
  const active = new Map<string, ActivePod>()
  /** Those that do not run yet: the clock may end them. */
  const pending = new Set<ActivePod>()
  let toPlan: DispatchOrder[] = []
  let isStopping = false
  let tick: NodeJS.Timeout | undefined

  const launcher = createPodLauncher({
    client,
    concurrency: settings.concurrency,
    rate: settings.rate,
    burst: settings.burst,
    mayCreate: deps.mayCreate,
    isOurs: (existing, { active: pod, manifest }) =>
      existing.metadata?.annotations?.['branchline.dev/deployment_id'] === deps.deploymentId &&
      existing.metadata.name === pod.podName &&
      existing.metadata.annotations['branchline.dev/try_number'] ===
        manifest.metadata?.annotations?.['branchline.dev/try_number'],
    onCreated(pod, uid) {
      tidier.created(pod.key, uid)
      if (pod.cancelReason !== null) void end(pod, pod.cancelReason)
    },
    onPushedBack(pod, words) {
      noteTrouble(pod, { name: words.reason, message: words.message }, false)
      setPodWaiting(db, pod.key, words).catch(() => {})
    },
    onRefused(pod, error) {
      void refuse(pod, error)
    },
  })
  const watches = createPodWatches({
    db,
    client,
    schedulerId,
    deploymentId: deps.deploymentId,
    namespaces: settings.namespaces,
    relistIntervalMs: settings.relistIntervalMs,
    log,
  })
  const tidier = createPodTidier({
    db,
    client,
    keep: settings.keep,
    deleteDelayMs: settings.deleteDelayMs,
    committedUntil: deps.committedUntil,
    log,
  })
  const planPass = createPass('plan-pods', log, plan)
  const lookPass = createPass('look-at-pods', log, async () => {
    const rows = await inTurn(async () => {
      const taken = await takeUnseenPods(db, schedulerId, lookAtOnce)
      for (const row of taken) {
        const pod = active.get(attemptIdOf(row))
        if (pod) see(pod, row)
      }
      return taken
    })
    if (rows.length === lookAtOnce) lookPass.wake()
  })

  let turn: Promise<unknown> = Promise.resolve()
  /** What reads rows and marks them seen, one after another. */
  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = turn.then(work)
    turn = done.catch(() => {})
    return done
  }

  /** Writes orders into the ledger and has their pods created. An order that fails here is its own fault. */
  async function plan(): Promise<void> {
    while (toPlan.length > 0 && !isStopping) {
      const orders = toPlan.slice(0, planAtOnce)
      const built = await Promise.all(orders.map(buildOne))
      const planned = built.filter((one) => one !== null)
      await planPods(
        db,
        schedulerId,
        planned.map(({ row }) => row),
      )
      toPlan = toPlan.slice(orders.length)
      for (const one of planned) {
        active.set(one.active.attemptId, one.active)
        pending.add(one.active)
      }
      launcher.launch(planned.filter(({ active: pod }) => !withdrawn.delete(pod.attemptId)))
    }
  }
  /** Cancelled before they were planned. */
  const withdrawn = new Set<string>()

  async function buildOne(
    dispatch: DispatchOrder,
  ): Promise<{ active: ActivePod; manifest: V1Pod; row: PlannedPod } | null> {
    const { order, dagRunId, task } = dispatch
    const key = {
      dag_run_id: dagRunId,
      task_id: order.task_id,
      map_index: order.map_index,
      try_number: order.try_number,
    }
    try {
      const manifest = await deps.build(dispatch)
      const kind: PodKind = 'task'
      const namespace = manifest.metadata!.namespace!
      const podName = manifest.metadata!.name!
      if (!settings.namespaces.includes(namespace)) {
        throw new Error(
          `the pod would be in namespace '${namespace}', which this deployment does not watch: name it in kubernetes_namespaces (there is: ${settings.namespaces.join(', ')})`,
        )
      }
      const pod: ActivePod = {
        attemptId: order.attempt_id,
        token: order.token,
        key,
        place: placeOf(order),
        kind,
        namespace,
        podName,
        priorityWeight: task.priority_weight,
        plannedAt: Date.now(),
        row: null,
        isFollowed: true,
        isStartReported: false,
        trouble: null,
        cancelReason: null,
        isEnding: false,
      }
      const row = {
        ...key,
        token: order.token,
        kind,
        namespace,
        pod_name: podName,
        manifest: JSON.stringify(manifest),
      }
      return { active: pod, manifest, row }
    } catch (error) {
      const words = {
        name: 'PodNotMade',
        message: `its pod cannot be made: ${messageOf(error)}`,
        stack: null,
      }
      deps.onReport({ ...endedWithoutRunner(order, words), retryable: false })
      return null
    }
  }

  /** A row as it is now: what it means for the attempt. */
  function see(pod: ActivePod, row: PodRow): void {
    pod.row = row
    if (!pod.isFollowed) return
    if (row.started_at !== null && !pod.isStartReported) {
      pod.isStartReported = true
      deps.onReport({
        type: 'start',
        attempt_id: pod.attemptId,
        token: pod.token,
        start_ms: row.started_at.getTime(),
        hostname: row.hostname ?? pod.podName,
        pid: row.pid ?? 0,
      })
    }
    judge(pod)
  }

  function judge(pod: ActivePod): void {
    if (pod.isEnding || pod.row === null) return
    const verdict = judgeTaskPod(pod.row, settings.fatalReasons)
    if (verdict.type === 'running') {
      pending.delete(pod)
      pod.trouble = null
    } else if (verdict.type === 'pending') {
      pending.add(pod)
      noteTrouble(pod, verdict.words, verdict.isFatal)
      judgeByClock(pod)
    } else {
      void conclude(pod, verdict)
    }
  }

  function noteTrouble(
    pod: ActivePod,
    words: Pick<ErrorReport, 'name' | 'message'> | null,
    isFatal: boolean,
  ): void {
    const now = Date.now()
    if (words === null) {
      pod.trouble = null
      return
    }
    const { name, message } = words
    const same = pod.trouble !== null && pod.trouble.isFatal === isFatal
    pod.trouble = {
      name,
      message,
      isFatal,
      since: same ? pod.trouble!.since : now,
      isLogged: same && pod.trouble!.message === message && pod.trouble!.isLogged,
    }
  }

  /** What does not run yet may have waited for long enough. */
  function judgeByClock(pod: ActivePod): void {
    if (pod.isEnding || pod.cancelReason !== null) return
    const now = Date.now()
    const { trouble } = pod
    if (trouble !== null && !trouble.isLogged && now - trouble.since >= sayTroubleAfterMs) {
      trouble.isLogged = true
      logs.say(pod, 'warn', `the pod waits: ${trouble.name}: ${trouble.message}`).catch(() => {
        trouble.isLogged = false
      })
    }
    if (trouble?.isFatal && now - trouble.since >= settings.fatalGraceMs) {
      void conclude(pod, endedPending({ ...trouble, stack: null }, 'fatal', now - trouble.since))
      return
    }
    // A pod that was not taken yet waits for the API server, which may say 'not now' for hours.
    const isTaken = pod.row !== null && pod.row.state !== 'planned'
    if (isTaken && now - pod.plannedAt >= settings.pendingTimeoutMs) {
      const words = trouble ?? { name: 'PendingTimeout', message: 'the node did not say why' }
      void conclude(
        pod,
        endedPending(
          { name: words.name, message: words.message, stack: null },
          'timeout',
          now - pod.plannedAt,
        ),
      )
    }
  }

  /** The attempt is over: its log is made whole, then it is reported, and its pod may go. */
  async function conclude(pod: ActivePod, verdict: Extract<PodVerdict, { type: 'ended' }>): Promise<void> {
    if (pod.isEnding) return
    pod.isEnding = true
    const { outcome, isInfrastructure } = verdict
    try {
      if (verdict.hasUnsentLog) await logs.fetchRest(pod)
      if (pod.row?.finish === null && outcome.error) {
        await logs.say(pod, 'error', `${outcome.error.name}: ${outcome.error.message}`)
      }
    } catch (error) {
      // The database or the API server is away: the row is judged again at the next tick.
      log.debug({ attempt_id: pod.attemptId, error: messageOf(error) }, 'the log of an ended pod waits')
      pod.isEnding = false
      pending.add(pod)
      return
    }
    const now = Date.now()
    const { row } = pod
    deps.onReport({
      type: 'finish',
      attempt_id: pod.attemptId,
      token: pod.token,
      ...outcome,
      isInfrastructure,
      start_ms: row?.finish?.start_ms ?? row?.started_at?.getTime() ?? now,
      end_ms: row?.finish?.end_ms ?? now,
      hostname: row?.hostname ?? pod.podName,
      pid: row?.pid ?? null,
    })
    forget(pod)
    tidier.ended(pod.key, outcome.state)
  }

  /** The API server does not take it: it will not, however often it is asked. */
  async function refuse(pod: ActivePod, error: unknown): Promise<void> {
    if (pod.isEnding) return
    const words: ErrorReport =
      pod.cancelReason === null
        ? { name: 'PodRefused', message: messageOf(error), stack: null }
        : { name: 'AttemptCancelled', message: `ended before it began: ${pod.cancelReason}`, stack: null }
    const outcome = { state: 'failed', retryable: true, result: null, error: words, exit_code: null } as const
    await conclude(pod, { type: 'ended', outcome, isInfrastructure: false, hasUnsentLog: false })
  }

  /** Asks the pod to end: first the reason, which its program reads when it is told. */
  async function end(pod: ActivePod, reason: CancelReason): Promise<void> {
    try {
      await setPodCancelReason(db, pod.key, reason)
      if (pod.row) pod.row.cancel_reason ??= reason
      const isThere = await client.deletePod(pod.namespace, pod.podName)
      if (!isThere && pod.row?.observation == null) await refuse(pod, new Error('it was cancelled'))
    } catch (error) {
      log.debug({ attempt_id: pod.attemptId, error: messageOf(error) }, 'a pod could not be told to end yet')
    }
  }

  function forget(pod: ActivePod): void {
    active.delete(pod.attemptId)
    pending.delete(pod)
  }

  function onTick(): void {
    for (const pod of pending) {
      if (pod.row !== null) judge(pod)
      else judgeByClock(pod)
    }
    // Those that could not be told yet, or whose pod came after it was.
    for (const pod of active.values()) {
      const isTold = pod.row?.observation?.deletion_timestamp != null
      if (pod.cancelReason !== null && !isTold && !pod.isEnding) void end(pod, pod.cancelReason)
    }
    if (toPlan.length > 0) planPass.wake()
    tidier.tick()
  }

  /** @param manifest of a pod that may not have been created */
  function follow(pod: ActivePod, manifest: string | undefined): void {
    pod.isFollowed = true
    pending.add(pod)
    if (manifest !== undefined) launcher.launch([{ active: pod, manifest: JSON.parse(manifest) as V1Pod }])
    see(pod, pod.row!)
  }

  function adopted(orphan: Orphan, row: PodRow): ActivePod {
    return {
      attemptId: orphan.attempt_id,
      token: orphan.token,
      key: keyOf(row),
      place: orphan.place,
      kind: row.kind,
      namespace: row.namespace,
      podName: row.pod_name,
      priorityWeight: 0,
      plannedAt: row.planned_at.getTime(),
      row,
      isFollowed: false,
      isStartReported: false,
      trouble: null,
      cancelReason: row.cancel_reason,
      isEnding: false,
    }
  }

  return {
    name: 'kubernetes',
    async start() {
      await watches.start()
      tick = setInterval(onTick, tickMs)
    },
    dispatch(orders) {
      toPlan.push(...orders)
      planPass.wake()
    },
    cancel(attemptId, reason) {
      const waiting = toPlan.find(({ order }) => order.attempt_id === attemptId)
      if (waiting) {
        toPlan = toPlan.filter((one) => one !== waiting)
        withdrawn.add(attemptId)
      }
      const pod = active.get(attemptId)
      if (!pod || pod.cancelReason !== null) return
      pod.cancelReason = reason
      if (launcher.withdraw(attemptId)) void end(pod, reason)
      else void refuse(pod, new Error('it was cancelled'))
    },
    async adopt(_schedulerId, orphans) {
      // A look in between would mark rows as seen that are nobody's yet.
      const pods = await inTurn(async () => {
        const keys = orphans.map((orphan) => ({ dag_run_id: orphan.dag_run_id, ...orphan.place }))
        const rows = new Map((await readPodsOf(db, keys)).map((row) => [attemptIdOf(row), row]))
        const found = orphans.flatMap((orphan) => {
          const row = rows.get(orphan.attempt_id)
          return row === undefined ? [] : [adopted(orphan, row)]
        })
        for (const pod of found) active.set(pod.attemptId, pod)
        return new Map(found.map((pod) => [pod.attemptId, pod]))
      })
      const planned = [...pods.values()].filter(({ row }) => row!.state === 'planned')
      const manifests = await readPodManifests(
        db,
        planned.map(({ row }) => row!),
      )
      return orphans.map(({ attempt_id }): Adoption => {
        const pod = pods.get(attempt_id)
        if (pod === undefined) return { attempt_id, fate: 'not_begun' }
        const manifest = manifests.get(`${pod.namespace}/${pod.podName}`)
        return { attempt_id, fate: 'running', follow: () => follow(pod, manifest) }
      })
    },
    look: () => lookPass.wake(),
    beat: () => watches.claim(),
    async stop() {
      isStopping = true
      clearInterval(tick)
      await Promise.all([launcher.stop(), watches.stop(), planPass.stop(), lookPass.stop()])
      await tidier.stop()
    },
  }
}

function keyOf({ dag_run_id, task_id, map_index, try_number }: PodKey): PodKey {
  return { dag_run_id, task_id, map_index, try_number }
}

function attemptIdOf({ dag_run_id, task_id, map_index, try_number }: PodKey): string {
  return `${dag_run_id}/${task_id}/${map_index}/${try_number}`
}

function placeOf({ dag_id, run_id, task_id, map_index, try_number }: AttemptPlace): AttemptPlace {
  return { dag_id, run_id, task_id, map_index, try_number }
}
