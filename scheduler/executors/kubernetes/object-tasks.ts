// Tasks that are objects of Kubernetes: `job()` and `resource()`. Their rows in the launch ledger say whether the
// objects were made; what became of them is asked every few seconds, since they may be of any kind and are few. Making
// them again does no harm: what is created carries the attempt's name, what is applied, patched or deleted ends the same.
import type {
  KubernetesClient,
  KubernetesObject,
  ObjectReference,
} from '../../../k8s/client/kubernetes-client.ts'
import { isAlreadyExists, pushBackOf } from '../../../k8s/kubernetes-error.ts'
import { judgeJob, judgeObjects, type ObjectVerdict } from '../../../k8s/operators/judge-operator-object.ts'
import { attemptIdAnnotation } from '../../../k8s/pod/pod-names.ts'
import {
  BranchlineError,
  DatabaseUnavailableError,
  KubernetesError,
  messageOf,
} from '../../../runtime/errors.ts'
import type { V1Job } from '../../../runtime/kubernetes-types.ts'
import type { Logger } from '../../../runtime/log.ts'
import type { CancelReason, ErrorReport } from '../../../runtime/task-runner/protocol.ts'
import type { Database } from '../../database/connection.ts'
import { markPodsCreated, setPodCancelReason, setPodWaiting } from '../../database/pod-ledger.ts'
import type { ExecutorReport } from '../executor.ts'
import type { ActivePod } from './active-pod.ts'
import type { ObjectsManifest } from './build-objects.ts'
import type { PodLogs } from './pod-logs.ts'
import type { PodTidier } from './pod-tidier.ts'

/** How late the end of an object is known. Shorter: more requests, one for each object. */
const pollMs = 2_000

export interface ObjectTasks {
  /** May be called again for one that an earlier scheduler began. */
  follow(active: ActivePod, manifest: ObjectsManifest): void
  /** @returns whether it is one of these */
  cancel(attemptId: string, reason: CancelReason): boolean
  tick(): void
  stop(): Promise<void>
}

interface ObjectTask {
  active: ActivePod
  manifest: ObjectsManifest
  isMade: boolean
  lookedAt: number
  isBusy: boolean
}

export function createObjectTasks(deps: {
  db: Database
  client: KubernetesClient
  logs: PodLogs
  tidier: PodTidier
  mayCreate: () => boolean
  onReport: (report: ExecutorReport) => void
  log: Logger
}): ObjectTasks {
  const { db, client, logs, log } = deps
  const tasks = new Map<string, ObjectTask>()
  const underWay = new Set<Promise<void>>()
  let isStopping = false

  function look(task: ObjectTask): void {
    if (task.isBusy || isStopping) return
    task.isBusy = true
    task.lookedAt = Date.now()
    const work = reconcile(task)
      .catch((error: unknown) => troubled(task, error))
      .finally(() => {
        task.isBusy = false
        underWay.delete(work)
      })
    underWay.add(work)
  }

  async function reconcile(task: ObjectTask): Promise<void> {
    const { active, manifest } = task
    if (active.cancelReason !== null) {
      await end(task, active.cancelReason)
      return
    }
    if (!task.isMade) {
      if (!deps.mayCreate()) return
      for (const object of manifest.objects) await make(active, manifest, object)
      await markPodsCreated(db, [{ ...active.key, uid: null }])
      task.isMade = true
    }
    if (active.startedAt === null) {
      active.startedAt = active.row?.created_at?.getTime() ?? Date.now()
      const { attemptId: attempt_id, token, startedAt: start_ms, podName: hostname } = active
      deps.onReport({ type: 'start', attempt_id, token, start_ms, hostname, pid: 0 })
    }
    if (active.executionTimeoutMs !== null && Date.now() - active.startedAt >= active.executionTimeoutMs) {
      active.cancelReason = 'timeout'
      await end(task, 'timeout')
      return
    }
    const verdict = await judge(manifest)
    if (verdict.type === 'ended') await conclude(task, verdict)
  }

  async function make(
    active: ActivePod,
    { action, patchType }: ObjectsManifest,
    object: KubernetesObject,
  ): Promise<void> {
    const reference = referenceOf(object)
    switch (action) {
      case 'create':
        await createOnce(active, object)
        break
      case 'apply':
        await client.patchObject(reference, object, { type: 'apply' })
        break
      case 'patch':
        await client.patchObject(reference, object, { type: patchType })
        break
      case 'delete':
        await client.deleteObject(reference)
        break
      case 'get':
        if ((await client.readObject(reference)) === undefined)
          throw new ObjectTaskError('NotFound', `there is no ${object.kind} '${reference.name}'`)
    }
  }

  /** 'Already exists' is success where it is this attempt's own: an answer was lost, or a scheduler died. */
  async function createOnce(active: ActivePod, object: KubernetesObject): Promise<void> {
    try {
      await client.createObject(object)
    } catch (error) {
      if (!isAlreadyExists(error)) throw error
      const existing = await client.readObject(referenceOf(object))
      if (existing === undefined || !isOwn(existing, active)) {
        throw new ObjectTaskError('AlreadyExists', messageOf(error))
      }
    }
  }

  /** Where the attempt has not made it, somebody else's may have its name. */
  async function deleteOwn(active: ActivePod, object: KubernetesObject): Promise<void> {
    const existing = await client.readObject(referenceOf(object))
    if (existing === undefined || !isOwn(existing, active)) return
    const { uid } = existing.metadata
    await client.deleteObject(referenceOf(object), {
      propagation: 'Background',
      ...(uid === undefined ? {} : { uid }),
    })
  }

  async function judge({ kind, action, objects, ...conditions }: ObjectsManifest): Promise<ObjectVerdict> {
    const isOver = conditions.success_condition === null && conditions.failure_condition === null
    if (kind === 'resource' && isOver && action !== 'delete')
      return { type: 'ended', state: 'success', error: null }
    const found = await Promise.all(objects.map((object) => client.readObject(referenceOf(object))))
    if (action === 'delete') {
      const isGone = found.every((object) => object === undefined)
      return isGone ? { type: 'ended', state: 'success', error: null } : { type: 'running' }
    }
    if (kind === 'resource') return judgeObjects(found, conditions)
    const [job] = found
    if (job === undefined) {
      const error = { name: 'JobDeleted', message: 'somebody deleted the job', stack: null }
      return { type: 'ended', state: 'failed', error }
    }
    return judgeJob(job as unknown as V1Job, conditions.waits)
  }

  async function conclude(
    { active }: ObjectTask,
    { state, error }: { state: 'success' | 'failed'; error: ErrorReport | null },
  ): Promise<void> {
    if (error !== null) await logs.say(active, 'error', `${error.name}: ${error.message}`)
    tasks.delete(active.attemptId)
    const now = Date.now()
    deps.onReport({
      type: 'finish',
      attempt_id: active.attemptId,
      token: active.token,
      state,
      retryable: true,
      result: null,
      error,
      exit_code: null,
      start_ms: active.startedAt ?? now,
      end_ms: now,
      hostname: active.podName,
      pid: null,
    })
    deps.tidier.ended(active.key, 'kept')
  }

  /** A job's pods end with it; other objects may be of use to somebody, and stay. */
  async function end(task: ObjectTask, reason: CancelReason): Promise<void> {
    const { active, manifest } = task
    await setPodCancelReason(db, active.key, reason)
    if (manifest.kind === 'job') {
      for (const object of manifest.objects) await deleteOwn(active, object)
    }
    const message = `it was ended: ${reason}`
    await conclude(task, { state: 'failed', error: { name: 'AttemptKilled', message, stack: null } })
  }

  /** What can be waited for is tried again at the next look; anything else fails the attempt. */
  async function troubled(task: ObjectTask, error: unknown): Promise<void> {
    const { active } = task
    const pushBack = pushBackOf(error)
    // What was made is not given up for a fault of looking: it would go on beside the next attempt.
    const isLooking = task.isMade && error instanceof KubernetesError
    if (pushBack !== null || isLooking) {
      const waiting = { reason: 'PushedBack', message: messageOf(error) }
      await setPodWaiting(db, active.key, waiting).catch(() => {})
      return
    }
    if (error instanceof DatabaseUnavailableError) return
    if (!(error instanceof BranchlineError || error instanceof ObjectTaskError)) {
      log.error({ err: error, attempt_id: active.attemptId }, 'an object of a task could not be looked after')
    }
    const name = error instanceof ObjectTaskError ? error.reason : 'ObjectRefused'
    const words = { name, message: messageOf(error), stack: null }
    await conclude(task, { state: 'failed', error: words }).catch(() => {})
  }

  return {
    follow(active, manifest) {
      const isMade = active.row !== null && active.row.state !== 'planned'
      const task = { active, manifest, isMade, lookedAt: 0, isBusy: false }
      tasks.set(active.attemptId, task)
      look(task)
    },
    cancel(attemptId, reason) {
      const task = tasks.get(attemptId)
      if (task === undefined) return false
      task.active.cancelReason ??= reason
      look(task)
      return true
    },
    tick() {
      const now = Date.now()
      for (const task of tasks.values()) if (now - task.lookedAt >= pollMs) look(task)
    },
    async stop() {
      isStopping = true
      await Promise.all(underWay)
    },
  }
}

/** A refusal of our own. */
class ObjectTaskError extends Error {
  readonly reason: string
  constructor(reason: string, message: string) {
    super(message)
    this.reason = reason
  }
}

function isOwn({ metadata }: KubernetesObject, { attemptId }: ActivePod): boolean {
  return (metadata.annotations as Record<string, string> | undefined)?.[attemptIdAnnotation] === attemptId
}

function referenceOf({ apiVersion, kind, metadata }: KubernetesObject): ObjectReference {
  const { name = '', namespace } = metadata
  return { apiVersion, kind, name, ...(namespace === undefined ? {} : { namespace }) }
}
