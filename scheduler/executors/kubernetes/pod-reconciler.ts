// What becomes of the attempts whose pods exist: each row that changed, and each tick of the clock, is judged, and what
// the verdict asks for is done: a start is reported, trouble is told, an end is made whole (its log first), reported, and
// the pod given to whoever tidies up. Whatever fails on the way is left, and judged again at the next tick.
import type { KubernetesClient } from '../../../k8s/client/kubernetes-client.ts'
import { isDeletedAtEnd } from '../../../k8s/operators/operator-logs.ts'
import { hasEnded } from '../../../k8s/pod-observation.ts'
import { DatabaseUnavailableError, messageOf } from '../../../runtime/errors.ts'
import type { Logger } from '../../../runtime/log.ts'
import type { CancelReason, ErrorReport } from '../../../runtime/task-runner/protocol.ts'
import type { Database } from '../../database/connection.ts'
import { setPodWaiting } from '../../database/pod-ledger.ts'
import { type PodRow, readPodResult } from '../../database/pod-rows.ts'
import type { ExecutorReport } from '../executor.ts'
import type { ActivePod } from './active-pod.ts'
import type { AttemptLog } from './attempt-log.ts'
import { judgeOperator } from './judge-operator.ts'
import { type EndedVerdict, endedWithNode, judgeTaskPod } from './judge-pod.ts'
import type { PodCallbacks } from './pod-callbacks.ts'
import { createPodEnder } from './pod-ender.ts'
import type { PodLogs } from './pod-logs.ts'
import type { PodFate, PodTidier } from './pod-tidier.ts'
import { endByClock, noteTrouble, troubleToSay } from './pod-trouble.ts'
import { createPodWarnings } from './pod-warnings.ts'
import type { KubernetesExecutorSettings } from './settings.ts'

/** A pod whose status does not say why it does not run is looked up in the cluster's events after so long. */
const askEventsAfterMs = 3_000

/** Its container runs, and nothing came of it. */
const unheard = {
  name: 'Unheard',
  message:
    'its program runs and has not reached the API: is execution_api_url right, as pods see it, and does a network policy let them through?',
}

export interface PodReconciler {
  /** A row as it is now. */
  see(pod: ActivePod, row: PodRow): void
  /** It could not be created yet. */
  notePushBack(pod: ActivePod, words: Pick<ErrorReport, 'name' | 'message'>): void
  /** The clock has moved on. */
  tick(pods: Iterable<ActivePod>): void
  /** The pod will not be created: its attempt ends with these words. */
  refuse(pod: ActivePod, words: ErrorReport): Promise<void>
  /** The attempt is to end: its pod is told, and by it the reason. May be repeated. */
  end(pod: ActivePod, reason: CancelReason): Promise<void>
}

/** @param deps.onEnded the attempt is reported, or was another's all along */
export function createPodReconciler(deps: {
  db: Database
  client: KubernetesClient
  deploymentId: string
  settings: KubernetesExecutorSettings
  logs: PodLogs
  attemptLog: AttemptLog
  callbacks: PodCallbacks
  tidier: PodTidier
  onReport: (report: ExecutorReport) => void
  onEnded: (pod: ActivePod) => void
  log: Logger
}): PodReconciler {
  const { db, client, deploymentId, settings, logs, attemptLog, callbacks, log } = deps
  const end = createPodEnder({ db, client, deploymentId, logs, refuse, log })
  /** Those that the clock may end, or whose end could not be made whole yet. */
  const waiting = new Set<ActivePod>()
  const warnings = createPodWarnings({
    client,
    onWarning(pod, warning) {
      // What is fatal by the status stays so: its time would begin anew with each event.
      if (pod.startedAt !== null || pod.isEnding || pod.trouble?.isFatal) return
      noteTrouble(pod, warning, false)
      setPodWaiting(db, pod.key, { reason: warning.name, message: warning.message }).catch(() => {})
    },
  })

  function see(pod: ActivePod, row: PodRow): void {
    pod.row = row
    pod.cancelReason ??= row.cancel_reason
    if (!pod.isFollowed) return
    reportStart(pod, row)
    judge(pod)
  }

  /** Our own program says when it begins; of any other image the kubelet does. */
  function reportStart(pod: ActivePod, row: PodRow): void {
    if (pod.startedAt !== null) return
    const base = pod.operator === null ? undefined : row.observation?.containers[0]
    const startedAt = row.started_at ?? (base?.started_at == null ? null : new Date(base.started_at))
    if (startedAt === null) return
    pod.startedAt = startedAt.getTime()
    deps.onReport({
      type: 'start',
      attempt_id: pod.attemptId,
      token: pod.token,
      start_ms: pod.startedAt,
      hostname: row.hostname ?? pod.podName,
      pid: row.pid ?? 0,
    })
    callbacks.call(pod, 'onPodStarting')
    // An earlier scheduler has told them.
    if (pod.operator?.log_events_on_startup && !pod.isAdopted) void attemptLog.sayEvents(pod)
  }

  function judge(pod: ActivePod): void {
    if (pod.isEnding || !pod.isFollowed) return
    if (pod.refusal !== null) {
      void conclude(pod, refused(pod.refusal))
      return
    }
    const { row, operator } = pod
    if (row === null) return
    const { fatalReasons } = settings
    const verdict =
      operator === null
        ? judgeTaskPod(row, fatalReasons)
        : judgeOperator(row, operator, { fatalReasons, nowMs: Date.now() })
    if (verdict.type === 'ended') {
      void conclude(pod, verdict)
      return
    }
    const lost = endedWithNode(row, Date.now())
    if (lost !== null) {
      void conclude(pod, lost)
      return
    }
    if (row.observation?.deletion_timestamp != null) {
      attemptLog.hurry(pod)
      // The clock tells whether a node that should end it is still there.
      waiting.add(pod)
    }
    if (verdict.type === 'running' && operator === null && row.started_at === null) {
      // Its program may never be heard: the time for that is the time for starting.
      noteTrouble(pod, unheard, false)
      waiting.add(pod)
      return
    }
    if (verdict.type === 'running') {
      pod.trouble = null
      void attemptLog.follow(pod).then((isDone) => {
        if (!isDone && !pod.isEnding) waiting.add(pod)
      })
      const hasClock = pod.executionTimeoutMs !== null && operator !== null
      if (!hasClock && row.observation?.deletion_timestamp == null) waiting.delete(pod)
      else waiting.add(pod)
      return
    }
    waiting.add(pod)
    // What the events said stays until the status says something.
    if (verdict.words !== null || pod.eventsReadAt === 0) noteTrouble(pod, verdict.words, verdict.isFatal)
  }

  function tick(pods: Iterable<ActivePod>): void {
    const now = Date.now()
    const toAsk: ActivePod[] = []
    for (const pod of waiting) {
      judge(pod)
      if (pod.isEnding || pod.cancelReason !== null) continue
      heedClock(pod, now)
      if (mayTellMore(pod, now)) toAsk.push(pod)
    }
    warnings.ask(toAsk, now)
    // Those that could not be told yet, or whose pod came after it was.
    for (const pod of pods) {
      const isTold = pod.row?.observation?.deletion_timestamp != null
      if (pod.cancelReason !== null && !isTold && !pod.isEnding) void end(pod, pod.cancelReason)
    }
  }

  function heedClock(pod: ActivePod, now: number): void {
    const { executionTimeoutMs, startedAt } = pod
    if (startedAt !== null) {
      if (executionTimeoutMs !== null && now - startedAt >= executionTimeoutMs) {
        pod.cancelReason = 'timeout'
        void end(pod, 'timeout')
      }
      return
    }
    const toSay = troubleToSay(pod, now)
    if (toSay !== null) {
      toSay.isSaid = true
      toSay.saidAt = now
      logs.say(pod, 'warn', `the pod waits: ${toSay.name}: ${toSay.message}`).catch(() => {
        toSay.isSaid = false
      })
    }
    const verdict = endByClock(pod, settings, now)
    if (verdict !== null) void conclude(pod, verdict)
  }

  /** The attempt is over: its log is made whole, then it is reported, and its pod may go. */
  async function conclude(pod: ActivePod, verdict: EndedVerdict): Promise<void> {
    if (pod.isEnding) return
    pod.isEnding = true
    let result: string | null = null
    try {
      const hasResult = verdict.outcome.state === 'success' && pod.row?.finish?.result_sha256 != null
      if (hasResult) result = await readPodResult(db, pod.key)
      await attemptLog.complete(pod, verdict)
      await callbacks.ended(pod)
    } catch (error) {
      // The database or the API server is away, or the disk is full: it is judged again at the next tick.
      const fault = messageOf(error)
      const isNew = fault !== pod.endFault && !(error instanceof DatabaseUnavailableError)
      log[isNew ? 'warn' : 'debug'](
        { attempt_id: pod.attemptId, error: fault },
        'the log of an ended pod waits',
      )
      pod.endFault = fault
      pod.isEnding = false
      waiting.add(pod)
      return
    }
    const { row } = pod
    const { outcome } = verdict
    const now = Date.now()
    const startMs = row?.finish?.start_ms ?? pod.startedAt ?? now
    deps.onReport({
      type: 'finish',
      attempt_id: pod.attemptId,
      token: pod.token,
      ...outcome,
      result,
      isInfrastructure: verdict.isInfrastructure,
      start_ms: pod.operator === null ? startMs : (pod.startedAt ?? now),
      end_ms: pod.operator === null ? (row?.finish?.end_ms ?? now) : endOf(row, now),
      hostname: row?.hostname ?? pod.podName,
      pid: row?.pid ?? null,
    })
    waiting.delete(pod)
    deps.onEnded(pod)
    const fate = fateOf(pod, outcome.state)
    deps.tidier.ended(pod.key, fate)
    callbacks.cleanUp(pod, fate !== 'kept')
  }

  function fateOf({ operator, row, cancelReason }: ActivePod, state: string): PodFate {
    const observation = row?.observation ?? null
    const isKilled = cancelReason !== null
    const isKept = operator !== null && !isDeletedAtEnd(operator, { observation, isKilled })
    // What has not ended may start, or go on, beside the next attempt: the rules are for pods that have.
    const isOver = observation !== null && hasEnded(observation)
    if (!isOver) return isKept && isKilled ? 'kept' : 'deleted at once'
    if (operator !== null) return isKept ? 'kept' : 'deleted'
    const isDeleted =
      settings.keep === 'on_completion' || (settings.keep === 'on_success' && state !== 'failed')
    return isDeleted ? 'deleted' : 'kept'
  }

  async function refuse(pod: ActivePod, words: ErrorReport): Promise<void> {
    pod.refusal = words
    await conclude(pod, refused(words))
  }

  return {
    see,
    notePushBack(pod, words) {
      if (pod.isEnding) return
      noteTrouble(pod, words, false)
      // So that its log says so.
      waiting.add(pod)
    },
    tick,
    refuse,
    end,
  }
}

function refused(error: ErrorReport): EndedVerdict {
  const outcome = { state: 'failed', retryable: true, error, exit_code: null } as const
  return { type: 'ended', outcome, isInfrastructure: false, hasUnsentLog: false }
}

/** Whether it waits for long and its status does not say why, so that events may. */
function mayTellMore(
  { row, startedAt, trouble, isEnding, plannedAt, eventsReadAt }: ActivePod,
  now: number,
): boolean {
  if (isEnding || startedAt !== null || row?.uid == null || row.state !== 'created') return false
  if (trouble !== null && eventsReadAt === 0) return false
  return now - plannedAt >= askEventsAfterMs
}

function endOf(row: PodRow | null, now: number): number {
  const finishedAt = row?.observation?.containers[0]?.finished_at
  return finishedAt == null ? now : Date.parse(finishedAt)
}
