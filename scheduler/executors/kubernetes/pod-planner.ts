// From orders to rows of the ledger: the pod of each order is built and written down, many in one statement, and only
// then handed on to be created. An order of which no pod can be made fails by itself; while Postgres is away, all wait.
import { messageOf } from '../../../runtime/errors.ts'
import type { Logger } from '../../../runtime/log.ts'
import type { AttemptOrder, CancelReason } from '../../../runtime/task-runner/protocol.ts'
import type { Database } from '../../database/connection.ts'
import { type PlannedPod, planPods } from '../../database/pod-ledger.ts'
import { createPass, type Pass } from '../../pass.ts'
import { endedWithoutRunner } from '../ended-without-runner.ts'
import type { DispatchOrder, ExecutorReport } from '../executor.ts'
import { type ActivePod, activePod } from './active-pod.ts'
import type { BuildPod, Work } from './build-pod.ts'
import type { PodLogs } from './pod-logs.ts'

/** Pods that one statement plans. Larger: fewer statements; their manifests are some kilobytes each. */
const planAtOnce = 200

/** What the ledger has by now. */
export interface PlannedWork {
  active: ActivePod
  order: AttemptOrder
  work: Work
}

export interface PodPlanner {
  plan(orders: readonly DispatchOrder[]): void
  /** @returns whether it was not planned yet: its end is seen to */
  withdraw(attemptId: string, reason: CancelReason): boolean
  /** Tries again what could not be planned. */
  tick(): void
  /** For who judges whether they hang. Each ends within a moment, unless Postgres does not answer. */
  readonly passes: readonly Pass[]
  stop(): Promise<void>
}

export function createPodPlanner(deps: {
  db: Database
  schedulerId: number
  build: BuildPod
  logs: PodLogs
  /** They are in the ledger. */
  onPlanned: (planned: PlannedWork[]) => void
  /** It was cancelled while it was planned. */
  onCancelled: (attemptId: string, reason: CancelReason) => void
  onReport: (report: ExecutorReport) => void
  log: Logger
}): PodPlanner {
  const { db, schedulerId, log } = deps
  const waiting = new Map<string, DispatchOrder>()
  /** Those that are being written into the ledger; those of them that were cancelled meanwhile have a reason. */
  const underWay = new Map<string, { cancelReason: CancelReason | null }>()
  let isStopping = false

  const pass = createPass('plan-pods', log, async () => {
    while (waiting.size > 0 && !isStopping) {
      const orders = [...waiting.values()].slice(0, planAtOnce)
      const built = (await Promise.all(orders.map(buildOne))).filter((one) => one !== null)
      const planned = built.filter(({ launched }) => waiting.delete(launched.active.attemptId))
      for (const { launched } of planned) underWay.set(launched.active.attemptId, { cancelReason: null })
      try {
        await planPods(
          db,
          schedulerId,
          planned.map(({ row }) => row),
        )
      } catch (error) {
        for (const { launched, dispatch } of planned) putBack(launched.active.attemptId, dispatch)
        throw error
      }
      deps.onPlanned(planned.map(({ launched }) => launched))
      for (const { launched } of planned) {
        const { attemptId } = launched.active
        const reason = underWay.get(attemptId)?.cancelReason ?? null
        underWay.delete(attemptId)
        if (reason !== null) deps.onCancelled(attemptId, reason)
      }
    }
  })

  /** It may or may not be in the ledger by now; either way it is planned again, or ends. */
  function putBack(attemptId: string, dispatch: DispatchOrder): void {
    const reason = underWay.get(attemptId)?.cancelReason ?? null
    underWay.delete(attemptId)
    if (reason === null) waiting.set(attemptId, dispatch)
    else endUnplanned(dispatch, reason)
  }

  function endUnplanned({ order }: DispatchOrder, reason: CancelReason): void {
    const message = `ended before it began: ${reason}`
    deps.onReport(endedWithoutRunner(order, { name: 'AttemptCancelled', message, stack: null }))
  }

  /** @returns null where no pod can be made of it: then its end is reported */
  async function buildOne(
    dispatch: DispatchOrder,
  ): Promise<{ dispatch: DispatchOrder; launched: PlannedWork; row: PlannedPod } | null> {
    const { order, dagRunId, task } = dispatch
    const { dag_id, run_id, task_id, map_index, try_number, token } = order
    const key = { dag_run_id: dagRunId, task_id, map_index, try_number }
    const place = { dag_id, run_id, task_id, map_index, try_number }
    try {
      const work = await deps.build(dispatch)
      const manifest = work.pod ?? work.objects
      const { metadata } = work.pod ?? work.objects.objects[0]!
      const { namespace, name: podName } = metadata as { namespace: string; name: string }
      const kind = task.operator?.kind ?? 'task'
      const active = activePod({ key, token, place, task, kind, namespace, podName, row: null })
      return {
        dispatch,
        launched: { active, order, work },
        row: { ...key, token, kind, namespace, pod_name: podName, manifest: JSON.stringify(manifest) },
      }
    } catch (error) {
      waiting.delete(order.attempt_id)
      const words = { name: 'PodNotMade', message: messageOf(error), stack: null }
      await deps.logs.say({ key, place }, 'error', `${words.name}: ${words.message}`).catch(() => {})
      deps.onReport({ ...endedWithoutRunner(order, words), retryable: false })
      return null
    }
  }

  return {
    plan(orders) {
      for (const dispatch of orders) waiting.set(dispatch.order.attempt_id, dispatch)
      pass.wake()
    },
    withdraw(attemptId, reason) {
      const planning = underWay.get(attemptId)
      if (planning !== undefined) {
        planning.cancelReason ??= reason
        return true
      }
      const dispatch = waiting.get(attemptId)
      if (dispatch === undefined) return false
      waiting.delete(attemptId)
      endUnplanned(dispatch, reason)
      return true
    },
    tick() {
      if (waiting.size > 0) pass.wake()
    },
    passes: [pass],
    async stop() {
      isStopping = true
      await pass.stop()
    },
  }
}
