// The log of an attempt as a whole: what its containers write, where no program of ours sends it, what Kubernetes' events
// say of the pod, and at the end all that is missing, with the reason why it failed as the last line.
import type { KubernetesClient } from '../../../k8s/client/kubernetes-client.ts'
import { followedContainers, logLineText } from '../../../k8s/operators/operator-logs.ts'
import type { ContainerObservation, PodObservation } from '../../../k8s/pod-observation.ts'
import { withoutSecrets } from '../../../k8s/without-secrets.ts'
import { messageOf } from '../../../runtime/errors.ts'
import type { V1Pod } from '../../../runtime/kubernetes-types.ts'
import type { Logger } from '../../../runtime/log.ts'
import type { LogLine } from '../../../runtime/log-line.ts'
import type { ActivePod } from './active-pod.ts'
import type { EndedVerdict } from './judge-pod.ts'
import { readPodEvents } from './pod-events.ts'
import type { PodFollowers } from './pod-followers.ts'
import { ownLine, type PodLogs } from './pod-logs.ts'

export interface AttemptLog {
  /**
   * Begins to read the logs of a pod that is no program of ours. May be repeated.
   * @returns false where it could not begin, since the database is away
   */
  follow(pod: ActivePod): Promise<boolean>
  /** The pod is told to end. Once is enough. */
  hurry(pod: ActivePod): void
  /** Adds what Kubernetes' events say; only logged where they cannot be had. */
  sayEvents(pod: ActivePod): Promise<void>
  /**
   * Makes the log whole. May be repeated.
   * @throws DatabaseUnavailableError; KubernetesError where the API server or the node does not answer now
   */
  complete(pod: ActivePod, verdict: EndedVerdict): Promise<void>
}

/** @param deps.manifestOf the pod as it was sent */
export function createAttemptLog(deps: {
  client: KubernetesClient
  logs: PodLogs
  followers: PodFollowers
  manifestOf: (pod: ActivePod) => Promise<V1Pod | undefined>
  log: Logger
}): AttemptLog {
  const { client, logs, followers, log } = deps

  async function follow(pod: ActivePod): Promise<boolean> {
    const { operator } = pod
    if (!operator?.get_logs || pod.isLogFollowed) return true
    pod.isLogFollowed = true
    try {
      const manifest = await deps.manifestOf(pod)
      if (manifest === undefined) return true
      const textOf = (container: string, line: string) => logLineText(container, line, operator)
      followers.follow(pod, followedContainers(manifest, operator), textOf)
      return true
    } catch {
      pod.isLogFollowed = false
      return false
    }
  }

  function hurry(pod: ActivePod): void {
    if (pod.isLogHurried) return
    pod.isLogHurried = true
    followers.reopen(pod)
  }

  async function sayEvents(pod: ActivePod): Promise<void> {
    const lines = await eventLines(pod)
    if (lines.length === 0) return
    await logs.add(pod, lines).catch((error: unknown) => untold(pod, error))
  }

  async function eventLines(pod: ActivePod): Promise<LogLine[]> {
    try {
      const events = await readPodEvents(client, pod)
      return events.map(({ name, message }) => ownLine('info', `event ${name}: ${message}`))
    } catch (error) {
      untold(pod, error)
      return []
    }
  }

  function untold(pod: ActivePod, error: unknown): void {
    log.debug({ attempt_id: pod.attemptId, error: messageOf(error) }, 'events of a pod cannot be told')
  }

  async function complete(
    pod: ActivePod,
    { outcome, hasUnsentLog, isInfrastructure }: EndedVerdict,
  ): Promise<void> {
    const { operator } = pod
    if (hasUnsentLog) await logs.fetchRest(pod)
    const observation = pod.row?.observation ?? null
    if (operator?.get_logs && observation !== null && !observation.is_deleted) {
      const manifest = await deps.manifestOf(pod)
      const begun =
        manifest === undefined ? [] : followedContainers(manifest, operator).filter(hasBegun(observation))
      followers.follow(pod, begun, (container, line) => logLineText(container, line, operator))
    }
    await followers.finished(pod, hasTerminated(pod.row?.is_gone ? null : observation))
    const isOwnAccount = operator === null && pod.row?.finish != null
    if (outcome.error === null || (isOwnAccount && !isInfrastructure)) return
    const lines: LogLine[] = []
    if (outcome.state === 'failed' && operator?.log_events_on_failure) lines.push(...(await eventLines(pod)))
    if (outcome.state === 'failed' && operator?.log_pod_spec_on_failure) {
      const manifest = await deps.manifestOf(pod)
      if (manifest !== undefined)
        lines.push(ownLine('info', `the pod was: ${JSON.stringify(withoutSecrets(manifest))}`))
    }
    const level = outcome.state === 'skipped' ? 'info' : 'error'
    lines.push(ownLine(level, `${outcome.error.name}: ${outcome.error.message}`))
    await logs.add(pod, lines, { isEnd: true })
  }

  return { follow, hurry, sayEvents, complete }
}

const hasBegun = (observation: PodObservation) => (name: string) =>
  containersOf(observation).some((one) => one.name === name && one.state !== 'waiting')

/** Nothing comes any more of those of a pod that is gone either. */
const hasTerminated = (observation: PodObservation | null) => (name: string) =>
  observation === null ||
  observation.is_deleted ||
  containersOf(observation).some((one) => one.name === name && one.state === 'terminated')

function containersOf({ init_containers, containers }: PodObservation): ContainerObservation[] {
  return [...init_containers, ...containers]
}
