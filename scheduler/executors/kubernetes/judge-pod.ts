// What a pod's row means for its attempt. Pure: the same row and time give the same verdict, so that any scheduler may
// judge any pod, any number of times. An attempt succeeds by two things together: the record that it sent, and the
// exit code 0 of its container. Where the pod is gone and nobody can tell the exit code any more, the record decides,
// since it was sent by the program's last step.
//
// What the cluster did to the pod (evicted, node lost, no room, image not pulled, deleted by somebody) is told apart
// from what the task did, by conditions and reasons that Kubernetes gives, never by their texts.

import { nodeReasons, unseenEndReasons } from '../../../k8s/node-reasons.ts'
import { baseContainer } from '../../../k8s/pod/pod-names.ts'
import { type ContainerObservation, isStuck, type PodObservation } from '../../../k8s/pod-observation.ts'
import type { CancelReason, ErrorReport, FinishReport } from '../../../runtime/task-runner/protocol.ts'
import type { PodRow } from '../../database/pod-rows.ts'

/** The result is read when it is wanted: it may be large. */
export type PodOutcome = Pick<FinishReport, 'state' | 'retryable' | 'error' | 'exit_code'>

export type PodVerdict =
  /** Not running yet. `words`: why, where it is known; `isFatal`: time does not mend it. */
  { type: 'pending'; words: ErrorReport | null; isFatal: boolean } | { type: 'running' } | EndedVerdict

export interface EndedVerdict {
  type: 'ended'
  outcome: PodOutcome
  isInfrastructure: boolean
  /** The attempt could not say that it ended: what its container wrote last is to be fetched. */
  hasUnsentLog: boolean
}

/** What a verdict looks at. */
export type JudgedPod = Pick<
  PodRow,
  'observation' | 'is_gone' | 'started_at' | 'finish' | 'cancel_reason' | 'memory_peak_bytes'
>

/** Fatal reasons that are the cluster's fault, or a registry's, and not the configuration's. */
const imageReasons = new Set(['ErrImagePull', 'ImagePullBackOff', 'ImageInspectError', 'RegistryUnavailable'])

/**
 * From the time by which a node should have ended a pod until the node counts as lost. Shorter: one that is busy is taken
 * for lost, and what runs there overlaps with the next attempt.
 */
const nodeSilenceMs = 60_000

/** Of SIGKILL and SIGTERM. */
const killedExitCodes: ReadonlySet<number> = new Set([137, 143])

/** @param fatalReasons of waiting containers */
export function judgeTaskPod(pod: JudgedPod, fatalReasons: readonly string[]): PodVerdict {
  const { observation, finish } = pod
  if (observation === null) {
    if (!pod.is_gone) return { type: 'pending', words: null, isFatal: false }
    return finish === null ? endedGone(pod, null) : ended(recorded(pod, null))
  }
  const base = observation.containers.find(({ name }) => name === baseContainer)
  const isOver =
    observation.phase === 'Failed' || observation.phase === 'Succeeded' || base?.state === 'terminated'
  if (isOver || pod.is_gone) {
    const exitCode = base?.state === 'terminated' ? base.exit_code : null
    if (finish !== null) return endedWithRecord(pod, observation, exitCode)
    if (isOver) return endedWithoutRecord(pod, observation, base)
    return endedGone(pod, observation)
  }
  if (base?.state === 'running') return { type: 'running' }
  return pending(observation, fatalReasons)
}

/** Why it does not run yet, in the cluster's own words; null where nothing is amiss. */
function pending(observation: PodObservation, fatalReasons: readonly string[]): PodVerdict {
  const { unschedulable } = observation
  if (unschedulable !== null) {
    const words = wordsOf(
      unschedulable.reason ?? 'Unschedulable',
      unschedulable.message ?? 'no node takes it',
    )
    return { type: 'pending', words, isFatal: false }
  }
  const waiting = [...observation.init_containers, ...observation.containers].find(isStuck)
  if (waiting === undefined) return { type: 'pending', words: null, isFatal: false }
  const reason = waiting.reason!
  const words = wordsOf(reason, `container ${waiting.name}: ${waiting.message ?? reason}`)
  return { type: 'pending', words, isFatal: fatalReasons.includes(reason) }
}

/**
 * Nobody answers for the pod's end any more: its node should have ended it, and has not said so for a minute. Null
 * where that is not so. What may still run there is heard by nobody.
 */
export function endedWithNode(pod: JudgedPod, nowMs: number): EndedVerdict | null {
  const deadline = pod.observation?.deletion_timestamp
  if (deadline == null || nowMs < Date.parse(deadline) + nodeSilenceMs) return null
  const node = pod.observation?.node_name ?? 'its node'
  const message = `${node} was to end the pod by ${deadline}, and has not said that it did`
  const words = pod.cancel_reason === null ? wordsOf('NodeLost', message) : cancelledWords(pod.cancel_reason)
  return {
    type: 'ended',
    outcome: failed(words),
    isInfrastructure: pod.cancel_reason === null,
    hasUnsentLog: false,
  }
}

/** An end that was waited for in vain. */
export function endedPending(words: ErrorReport, cause: 'fatal' | 'timeout', waitedMs: number): EndedVerdict {
  const seconds = Math.round(waitedMs / 1_000)
  const message =
    cause === 'fatal' ? words.message : `the pod did not run within ${seconds} seconds: ${words.message}`
  return {
    type: 'ended',
    outcome: failed({ ...words, message }),
    isInfrastructure: cause === 'timeout' || imageReasons.has(words.name),
    hasUnsentLog: false,
  }
}

/** Where it was told to end by somebody who is not us, and failed, that was not its doing. */
function endedWithRecord(pod: JudgedPod, observation: PodObservation, exitCode: number | null): PodVerdict {
  const outcome = recorded(pod, exitCode)
  const told = toldWords(observation)
  if (outcome.state !== 'failed' || pod.cancel_reason !== null || told === null) return ended(outcome)
  const own = outcome.error
  const error =
    own === null
      ? told
      : { ...told, message: `${told.message}; the task: ${own.name}: ${own.message}`, stack: own.stack }
  return { ...ended({ ...outcome, error }), isInfrastructure: true }
}

/** Why the cluster, or somebody in it, told the pod to end; null: nobody did. */
function toldWords({ disruption, deletion_timestamp }: PodObservation): ErrorReport | null {
  if (disruption !== null) {
    return wordsOf(disruption.reason ?? 'DisruptionTarget', disruption.message ?? 'the cluster ended the pod')
  }
  return deletion_timestamp === null ? null : wordsOf('PodDeleted', 'somebody deleted the pod')
}

/** The attempt's own account, checked against its container's. */
function recorded({ finish }: JudgedPod, exitCode: number | null): PodOutcome {
  const { state, retryable, error, exit_code } = finish!
  if (state !== 'success' || exitCode === null || exitCode === 0) {
    return { state, retryable, error, exit_code }
  }
  return {
    ...failed(
      wordsOf(
        'PodFailed',
        `the task's result was taken, but its container ended with exit code ${exitCode} after it`,
      ),
    ),
    exit_code: exitCode,
  }
}

function endedWithoutRecord(
  pod: JudgedPod,
  observation: PodObservation,
  base: ContainerObservation | undefined,
): PodVerdict {
  const hasUnsentLog = pod.started_at !== null
  const end = (error: ErrorReport, isInfrastructure: boolean): PodVerdict => ({
    type: 'ended',
    outcome: { ...failed(error), exit_code: base?.exit_code ?? null },
    isInfrastructure,
    hasUnsentLog,
  })
  if (pod.cancel_reason !== null) return end(cancelledWords(pod.cancel_reason), false)
  const told = toldWords(observation)
  // It may have failed by itself before it was deleted: then its exit code is no signal's.
  const isBySignal = base?.exit_code == null || killedExitCodes.has(base.exit_code)
  if (told !== null && (observation.disruption !== null || (isBySignal && base?.reason !== 'OOMKilled'))) {
    return end(told, true)
  }
  if (observation.reason !== null && nodeReasons.has(observation.reason)) {
    return end(wordsOf(observation.reason, observation.message ?? 'the node ended the pod'), true)
  }
  const init = observation.init_containers.find(({ exit_code }) => exit_code !== null && exit_code !== 0)
  if (init !== undefined && base?.state !== 'terminated') {
    return end(containerWords(init, 'before the task began'), init.name === 'git-sync-clone')
  }
  if (base === undefined || base.exit_code === null) {
    const reason = observation.reason ?? 'PodFailed'
    return end(
      wordsOf(reason, observation.message ?? `the pod ended as ${observation.phase}, without a word why`),
      false,
    )
  }
  if (base.exit_code === 0) {
    return end(
      wordsOf('NoResult', 'the container ended with exit code 0, but the task never said how it ended'),
      false,
    )
  }
  if (base.reason !== null && unseenEndReasons.has(base.reason)) {
    return end(wordsOf(base.reason, 'the node was down, and did not see how the container ended'), true)
  }
  // Killed before the task's code ran: not its doing.
  const isBeforeStart =
    pod.started_at === null && (base.reason === 'OOMKilled' || base.reason === 'StartError')
  const memory =
    base.reason === 'OOMKilled' && pod.memory_peak_bytes !== null
      ? `, with ${Math.round(pod.memory_peak_bytes / 1024 / 1024)} MiB in use at most`
      : ''
  // Without a message of its own the end of the log stands for it (FallbackToLogsOnError), which is in the log anyway.
  const words = containerWords(
    pod.started_at === null ? base : { ...base, message: null },
    isBeforeStart ? 'before the task began' : 'before the task said how it ended',
  )
  return end({ ...words, message: words.message + memory }, isBeforeStart)
}

/** `OOMKilled: container base ended with exit code 137 (signal 9) before …: message`. */
function containerWords(
  { name, reason, exit_code, signal, message }: ContainerObservation,
  when: string,
): ErrorReport {
  const bySignal = signal ? ` (signal ${signal})` : ''
  const why = message ? `: ${message.trim()}` : ''
  return wordsOf(
    reason === null || reason === 'Error' ? 'PodFailed' : reason,
    `container ${name} ended with exit code ${exit_code}${bySignal} ${when}${why}`,
  )
}

/** Nobody saw how it ended. */
export function endedGone(pod: JudgedPod, observation: PodObservation | null): PodVerdict {
  const hasUnsentLog = false
  if (pod.cancel_reason !== null) {
    return {
      type: 'ended',
      outcome: failed(cancelledWords(pod.cancel_reason)),
      isInfrastructure: false,
      hasUnsentLog,
    }
  }
  const disruption = observation?.disruption
  const words = disruption
    ? wordsOf(disruption.reason ?? 'DisruptionTarget', disruption.message ?? 'the cluster ended the pod')
    : wordsOf('PodDeleted', 'somebody deleted the pod, or its node is gone')
  return { type: 'ended', outcome: failed(words), isInfrastructure: true, hasUnsentLog }
}

export function cancelledWords(reason: CancelReason): ErrorReport {
  const why = {
    timeout: 'it took longer than its execution timeout',
    run_timeout: "its run took longer than its Dag's dagrunTimeout",
    cancelled: 'it was cancelled',
    shutdown: 'the scheduler shut down',
  }
  return wordsOf('AttemptKilled', `the attempt's pod was ended: ${why[reason]}`)
}

const wordsOf = (name: string, message: string): ErrorReport => ({ name, message, stack: null })

function failed(error: ErrorReport): PodOutcome {
  return { state: 'failed', retryable: true, error, exit_code: null }
}

function ended(outcome: PodOutcome): EndedVerdict {
  return { type: 'ended', outcome, isInfrastructure: false, hasUnsentLog: false }
}
