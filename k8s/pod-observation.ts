// What was seen of a pod, in as few words as deciding needs: kept in Postgres with the resourceVersion that it came
// with, and read by whichever scheduler has the pod's run. Keys are spelled as in JSON and SQL. Pure.

import type { V1ContainerStatus, V1Pod, V1PodCondition } from '../runtime/kubernetes-types.ts'
import { storableText } from '../runtime/storable.ts'
import { attemptIdAnnotation } from './pod/pod-names.ts'

export interface ContainerObservation {
  name: string
  state: 'waiting' | 'running' | 'terminated'
  reason: string | null
  message: string | null
  exit_code: number | null
  signal: number | null
  /** ISO 8601; null where it has not started. */
  started_at: string | null
  finished_at: string | null
  restart_count: number
  /** Why it ended the time before, where it was started again: `OOMKilled`, `Error`. */
  last_reason: string | null
}

/** A condition or a status that says why. */
export interface Words {
  reason: string | null
  message: string | null
}

export interface PodObservation {
  name: string
  /** As its annotation names it; null: it has none, so it is no attempt's. */
  attempt_id: string | null
  uid: string
  resource_version: string
  phase: 'Pending' | 'Running' | 'Succeeded' | 'Failed' | 'Unknown'
  /** Of the pod's status: `Evicted`, `NodeLost`, `DeadlineExceeded`, `UnexpectedAdmissionError`. */
  reason: string | null
  message: string | null
  node_name: string | null
  created_at: string | null
  /** Somebody asked for its deletion; it may still run until then. */
  deletion_timestamp: string | null
  /** It is not in the API server any more; the rest is what was seen last. */
  is_deleted: boolean
  /** The cluster's scheduler finds no node, in its own words; null where it has one. */
  unschedulable: Words | null
  /** The cluster ends it: eviction, preemption, a drained or lost node. */
  disruption: Words | null
  init_containers: ContainerObservation[]
  /** In the order of the pod's spec. */
  containers: ContainerObservation[]
}

export function observePod(pod: V1Pod, isDeleted = false): PodObservation {
  const { metadata, status } = pod
  const condition = (type: string, value: string): Words | null => {
    const found = status?.conditions?.find((one) => one.type === type && one.status === value)
    return found === undefined ? null : wordsOf(found)
  }
  return {
    name: metadata?.name ?? '',
    attempt_id: metadata?.annotations?.[attemptIdAnnotation] ?? null,
    uid: metadata?.uid ?? '',
    resource_version: metadata?.resourceVersion ?? '',
    phase: (status?.phase ?? 'Pending') as PodObservation['phase'],
    reason: textOf(status?.reason),
    message: textOf(status?.message),
    node_name: pod.spec?.nodeName ?? null,
    created_at: timeText(metadata?.creationTimestamp),
    deletion_timestamp: timeText(metadata?.deletionTimestamp),
    is_deleted: isDeleted,
    unschedulable: condition('PodScheduled', 'False'),
    disruption: condition('DisruptionTarget', 'True'),
    init_containers: inOrder(pod.spec?.initContainers, status?.initContainerStatuses),
    containers: inOrder(pod.spec?.containers, status?.containerStatuses),
  }
}

/** Whether its task has: containers beside it may go on. */
export function hasEnded({ phase, containers }: PodObservation): boolean {
  return phase === 'Succeeded' || phase === 'Failed' || containers[0]?.state === 'terminated'
}

/** Whether it waits, and not only for what every container waits for. */
export function isStuck({ state, reason }: ContainerObservation): boolean {
  return (
    state === 'waiting' && reason !== null && reason !== 'PodInitializing' && reason !== 'ContainerCreating'
  )
}

/** Whether an attempt may have begun or ended by it, so that somebody waits for it. One that is deleted is over anyhow. */
export function isDecisive(pod: PodObservation): boolean {
  return pod.deletion_timestamp === null && (pod.containers[0]?.state === 'running' || hasEnded(pod))
}

function wordsOf({ reason, message }: V1PodCondition): Words {
  return { reason: textOf(reason), message: textOf(message) }
}

/** What a task's program says may be part of it. */
function textOf(text: string | undefined): string | null {
  return text === undefined ? null : storableText(text)
}

/** The API server sorts statuses by name; what follows reads them by place. */
function inOrder(
  containers: readonly { name: string }[] | undefined,
  statuses: readonly V1ContainerStatus[] | undefined,
): ContainerObservation[] {
  const byName = new Map(statuses?.map((status) => [status.name, status]))
  return (containers ?? []).flatMap(({ name }) => {
    const status = byName.get(name)
    return status === undefined ? [] : containerObservation(status)
  })
}

function containerObservation({
  name,
  state,
  lastState,
  restartCount,
}: V1ContainerStatus): ContainerObservation {
  const { running, terminated, waiting } = state ?? {}
  return {
    name,
    state: terminated ? 'terminated' : running ? 'running' : 'waiting',
    reason: textOf(terminated?.reason ?? waiting?.reason),
    message: textOf(terminated?.message ?? waiting?.message),
    exit_code: terminated?.exitCode ?? null,
    signal: terminated?.signal ?? null,
    started_at: timeText(terminated?.startedAt ?? running?.startedAt),
    finished_at: timeText(terminated?.finishedAt),
    restart_count: restartCount,
    last_reason: lastState?.terminated?.reason ?? null,
  }
}

/** The generated types say Date; what comes from a watch is text. */
function timeText(time: Date | string | undefined): string | null {
  if (time === undefined || time === null) return null
  return typeof time === 'string' ? time : time.toISOString()
}
