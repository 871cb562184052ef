// How a pod is, in words for people: what `kubectl get pods` would have in its column STATUS, and a sentence that says
// why it does not run yet, or how it ended, in the cluster's own words where it gave some. Pure; used wherever a pod is
// shown. What an attempt's outcome is does not follow from these words.
import { constants } from 'node:os'
import { type ContainerObservation, isStuck, type PodObservation, type Words } from './pod-observation.ts'

export interface PodWords {
  /** One word, Kubernetes' own where it has one: `Running`, `ImagePullBackOff`, `Init:0/1`, `OOMKilled`. */
  status: string
  /** A sentence without a full stop; null where `status` says all. */
  message: string | null
}

/** What the words are made of: columns of the launch ledger. */
export interface SeenPod {
  state: 'planned' | 'created' | 'ended' | 'deleted'
  /** The API server's; null: it never said that it made one. */
  uid?: string | null | undefined
  /** Null: nothing was seen of it yet. */
  observation: PodObservation | null
  /** It is not in the API server any more, also where nobody saw it go. */
  is_gone: boolean
  /** Why it could not be created yet, as the API server said; or what the cluster's events say of one that was. */
  waiting_reason: string | null
  waiting_message: string | null
}

/** Exit codes above this are those of a shell for a signal. */
const signalOffset = 128

export function podWords(seen: SeenPod): PodWords {
  const { observation: pod } = seen
  if (pod === null) return unseenWords(seen)
  const base = pod.containers[0]
  const isOver = pod.phase === 'Succeeded' || pod.phase === 'Failed'
  if (isOver || base?.state === 'terminated') return endWords(pod, base, isOver)
  if (pod.is_deleted || seen.is_gone) return goneWords(pod)
  if (pod.deletion_timestamp !== null) return terminatingWords(pod)
  if (pod.phase === 'Unknown') {
    return { status: 'Unknown', message: `nothing is heard of its node ${pod.node_name ?? ''}`.trimEnd() }
  }
  return startWords(pod, seen)
}

/** `Evicted: the node was low on resource: memory`. */
export function wordsText({ status, message }: PodWords): string {
  return message === null ? status : `${status}: ${message}`
}

function unseenWords({ state, uid, is_gone, waiting_reason, waiting_message }: SeenPod): PodWords {
  if (uid === null && (state === 'ended' || state === 'deleted')) {
    return { status: 'NotMade', message: 'it was never in the cluster' }
  }
  if (is_gone || state === 'ended' || state === 'deleted') {
    return { status: 'Deleted', message: 'nothing was seen of it in the cluster' }
  }
  if (waiting_reason !== null) {
    const why = waiting_message ?? waiting_reason
    return { status: waiting_reason, message: `it could not be created yet: ${why}` }
  }
  return state === 'planned'
    ? { status: 'Planned', message: 'it is about to be created' }
    : { status: 'Pending', message: 'it was created, and nothing was seen of it yet' }
}

/** Before `base` has ended. */
function startWords(pod: PodObservation, { waiting_reason, waiting_message }: SeenPod): PodWords {
  const { unschedulable } = pod
  if (unschedulable !== null) {
    const status = unschedulable.reason ?? 'Unschedulable'
    return { status, message: `no node takes it: ${unschedulable.message ?? status}` }
  }
  const initial = pod.init_containers.find(isStillInitial)
  if (initial !== undefined) return initialWords(pod, initial, { waiting_reason, waiting_message })
  const stuck = pod.containers.find(isStuck)
  if (stuck !== undefined) return { status: stuck.reason!, message: stuckText(stuck) }
  if (pod.containers.some(({ state }) => state === 'running')) return runningWords(pod)
  if (pod.node_name === null) return { status: 'Pending', message: 'it waits for a node' }
  if (waiting_reason !== null) return { status: waiting_reason, message: waiting_message }
  return { status: 'ContainerCreating', message: `its containers are made on node ${pod.node_name}` }
}

function runningWords({ containers }: PodObservation): PodWords {
  const again = containers.find(({ restart_count }) => restart_count > 0)
  const message =
    again === undefined
      ? null
      : `container ${again.name} was started again ${timesText(again.restart_count)}, after ${again.last_reason ?? 'it had ended'}`
  return { status: 'Running', message }
}

/** An init container without an end that let the next one begin. One that runs beside the others (a native sidecar) is none. */
function isStillInitial(
  container: ContainerObservation,
  place: number,
  all: ContainerObservation[],
): boolean {
  const { state, exit_code } = container
  if (state === 'terminated') return exit_code !== 0
  const isNextBegun = all[place + 1]?.started_at != null || all[place + 1]?.state === 'running'
  return !(state === 'running' && isNextBegun)
}

function initialWords(
  pod: PodObservation,
  container: ContainerObservation,
  { waiting_reason, waiting_message }: Pick<SeenPod, 'waiting_reason' | 'waiting_message'>,
): PodWords {
  const { name, state } = container
  if (state === 'terminated') {
    return { status: `Init:${endReason(container)}`, message: `init ${endText(container)}` }
  }
  if (isStuck(container))
    return { status: `Init:${container.reason}`, message: `init ${stuckText(container)}` }
  const done = pod.init_containers.indexOf(container)
  // A native sidecar is the last one that begins, and `base` waits for nothing but its start.
  if (pod.containers.some((one) => one.state === 'running')) return runningWords(pod)
  const status = `Init:${done}/${pod.init_containers.length}`
  if (state === 'waiting' && waiting_reason !== null)
    return { status: waiting_reason, message: waiting_message }
  return state === 'running'
    ? { status, message: `init container ${name} runs` }
    : { status, message: `init container ${name} is made on node ${pod.node_name ?? '(none yet)'}` }
}

/** How it ended, or that `base` did and others go on. */
function endWords(pod: PodObservation, base: ContainerObservation | undefined, isOver: boolean): PodWords {
  const { disruption } = pod
  if (disruption !== null && pod.phase !== 'Succeeded') return disruptionWords(disruption)
  if (pod.reason !== null && pod.phase === 'Failed') {
    return { status: pod.reason, message: pod.message?.trim() || `the node ended it` }
  }
  const isInitial = (one: ContainerObservation) => one.state === 'terminated' && one.exit_code !== 0
  const initial = pod.init_containers.find(isInitial)
  if (initial !== undefined && base?.state !== 'terminated') {
    return { status: `Init:${endReason(initial)}`, message: `init ${endText(initial)}` }
  }
  if (base?.state !== 'terminated') {
    return pod.phase === 'Succeeded'
      ? { status: 'Completed', message: null }
      : { status: pod.phase, message: pod.message?.trim() || 'it ended without a word why' }
  }
  const others = pod.containers.filter(({ state }) => state === 'running').map(({ name }) => name)
  const goOn =
    isOver || others.length === 0
      ? ''
      : `, and ${others.join(', ')} ${others.length === 1 ? 'goes' : 'go'} on`
  if (base.exit_code !== 0) return { status: endReason(base), message: `${endText(base)}${goOn}` }
  const failed = pod.containers.find(({ state, exit_code }) => state === 'terminated' && exit_code !== 0)
  if (failed !== undefined) return { status: endReason(failed), message: `${endText(failed)}${goOn}` }
  return {
    status: 'Completed',
    message: goOn === '' ? null : `container ${base.name} ended with exit code 0${goOn}`,
  }
}

function goneWords(pod: PodObservation): PodWords {
  if (pod.disruption !== null) return disruptionWords(pod.disruption)
  const before = pod.containers[0]?.state === 'running' ? 'while it ran' : 'before it ran'
  return { status: 'Deleted', message: `it was deleted ${before}` }
}

function terminatingWords({ disruption }: PodObservation): PodWords {
  if (disruption === null) return { status: 'Terminating', message: 'somebody asked for its deletion' }
  return { status: 'Terminating', message: wordsText(disruptionWords(disruption)) }
}

function disruptionWords({ reason, message }: Words): PodWords {
  return { status: reason ?? 'DisruptionTarget', message: message?.trim() || 'the cluster ended it' }
}

function stuckText({ name, reason, message, restart_count, last_reason }: ContainerObservation): string {
  const why = message?.trim() || reason!
  const before =
    restart_count > 0
      ? `; it ended ${timesText(restart_count)}, last with ${last_reason ?? 'an unknown reason'}`
      : ''
  return `container ${name} does not start: ${why}${before}`
}

/** The kubelet's reason, unless that says less than the exit code does. */
function endReason({ reason, exit_code }: ContainerObservation): string {
  if (exit_code === 0) return 'Completed'
  return reason === null || reason === '' ? `ExitCode:${exit_code}` : reason
}

/** `container base ran out of memory (OOMKilled, exit code 137, SIGKILL)`. */
function endText({ name, reason, exit_code, signal, message }: ContainerObservation): string {
  const number = signal || (exit_code !== null && exit_code > signalOffset ? exit_code - signalOffset : 0)
  const signalName = Object.entries(constants.signals).find(([, value]) => value === number)?.[0]
  const facts = [
    ...(reason === null || reason === 'Error' || reason === 'Completed' ? [] : [reason]),
    `exit code ${exit_code ?? 'unknown'}`,
    ...(signalName === undefined ? [] : [signalName]),
  ]
  const how =
    reason === 'OOMKilled'
      ? 'ran out of memory'
      : reason === 'ContainerCannotRun' || reason === 'StartError'
        ? 'could not be started'
        : 'ended'
  const said = message?.trim() ? `: ${message.trim()}` : ''
  return `container ${name} ${how} (${facts.join(', ')})${said}`
}

function timesText(count: number): string {
  return count === 1 ? 'once' : `${count} times`
}
