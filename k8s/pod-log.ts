// A container's log, line by line, without loss and without doubling, however often the connection breaks: each batch of
// lines comes with a cursor, and reading goes on behind it. Kubelet keeps a log for as long as the pod is there, of a
// rotated one only the newest file; where that cost lines it is said (`hasGap`).
import { setTimeout as delay } from 'node:timers/promises'
import { InvalidInputError, messageOf } from '../runtime/errors.ts'
import type { V1Pod } from '../runtime/kubernetes-types.ts'
import type { Logger } from '../runtime/log.ts'
import { backoffMs } from './backoff.ts'
import { isNotFound, pushBackOf } from './kubernetes-error.ts'
import type { LogCursor } from './pod-log-cursor.ts'
import type { LogLine } from './pod-log-lines.ts'
import { type LogRead, type PodLogDeps, readLogStream } from './pod-log-stream.ts'

export type { LogCursor } from './pod-log-cursor.ts'
export type { LogLine } from './pod-log-lines.ts'
export type { LogBatch, PodLogDeps } from './pod-log-stream.ts'

export interface PodLogEnd {
  /**
   * `terminated`: the container has ended and all that it wrote was handed over, unless `fault` says otherwise. `gone`:
   * the pod is not there any more. `never-started`: the pod ended without this container.
   */
  reason: 'terminated' | 'gone' | 'never-started'
  exitCode: number | null
  cursor: LogCursor | null
  /** Kubelet's own words where it could not read the log to its end. */
  fault: string | null
}

/** So long a stream may be silent before another is opened: a program may be silent too, so it is no fault. */
const defaultIdleMs = 120_000
/** Streams that end or break sooner than that are begun more and more slowly. */
const shortReadMs = 1_000
const backoff = { firstMs: 200, mostMs: 5_000 }
/** For a container that has not started. */
const lookAgain = { firstMs: 200, mostMs: 1_000 }

/**
 * Follows a container from before it starts until it has terminated and everything was read. Waits for a container that
 * has not started, and for an API server or node that is away: as long as the pod is there, the signal alone ends it.
 * To be called when the container runs, at the latest: a log of many megabytes may be rotated before it is first read, and
 * nobody can tell then. A container that is started again by its pod is another one: only the instance that runs when it is met is followed.
 * @throws the signal's reason, what `onLines` threw, InvalidInputError where the pod has no such container,
 * KubernetesError where the log may not be read
 */
export async function followPodLog(deps: PodLogDeps & { log: Logger; idleMs?: number }): Promise<PodLogEnd> {
  const { client, namespace, pod: name, container, signal, idleMs = defaultIdleMs } = deps
  const log = deps.log.child({ namespace, pod: name, container })
  let { cursor } = deps
  let openLine: LogLine | null = null
  let failures = 0
  let shortTurns = 0
  for (;;) {
    signal?.throwIfAborted()
    const beganAt = performance.now()
    const onCursor = (to: LogCursor): void => {
      cursor = to
      openLine = null
      if (failures > 1) log.info({ failures }, 'pod log is read again')
      failures = 0
    }
    let askedToWaitMs = 0
    try {
      const read = await readLogStream({ ...deps, cursor, openLine, isFollowing: true, idleMs, onCursor })
      openLine = read.openLine ?? openLine
      const pod = await client.readPod(namespace, name, signal === undefined ? {} : { signal })
      // Kubelet ends the stream of a container that has ended with the file that it had open, even where it has begun
      // another one since: that has the rest, and begins where this one ends.
      const isNextFile = read.isPlaced && read.fault === null
      const readRest = () =>
        readLogStream({ ...deps, cursor, openLine, isNextFile, isFollowing: false, idleMs, onCursor })
      const end = await endOf({ deps, pod, read, readRest })
      if (end !== null) return { ...end, cursor }
    } catch (error) {
      signal?.throwIfAborted()
      const push = pushBackOf(error)
      if (push === null) throw error
      failures += 1
      // A stream that breaks is no trouble yet: it goes on at once, if the server is there.
      if (failures === 2) log.warn({ err: messageOf(error) }, 'pod log is interrupted')
      askedToWaitMs = push.waitMs ?? 0
    }
    shortTurns = performance.now() - beganAt < shortReadMs ? shortTurns + 1 : 0
    const waitMs = Math.max(
      askedToWaitMs,
      shortTurns > 1 || failures > 1 ? backoffMs(shortTurns, failures > 0 ? backoff : lookAgain) : 0,
    )
    if (waitMs > 0) await pause(waitMs, signal)
  }
}

/**
 * Reads what a container that has ended wrote after the cursor.
 * @param deps.previous of the instance before this one, where its pod has started it again
 * @throws KubernetesError: 404 where the pod is gone, 400 where the container never started
 */
export async function readPodLogRest(
  deps: PodLogDeps & { previous?: boolean },
): Promise<{ cursor: LogCursor | null; fault: string | null }> {
  let { cursor } = deps
  const { fault } = await readLogStream({
    ...deps,
    openLine: null,
    isFollowing: false,
    idleMs: defaultIdleMs,
    onCursor: (to) => {
      cursor = to
    },
  })
  return { cursor, fault }
}

/** How it ended; null where it has not. */
async function endOf(state: {
  deps: PodLogDeps
  pod: V1Pod | undefined
  read: LogRead
  readRest: () => Promise<LogRead>
}): Promise<Omit<PodLogEnd, 'cursor'> | null> {
  const { deps, pod, read, readRest } = state
  if (pod === undefined) return { reason: 'gone', exitCode: null, fault: null }
  const { spec, status } = pod
  const names = [spec?.initContainers, spec?.containers, spec?.ephemeralContainers].flatMap(
    (containers) => containers?.map((one) => one.name) ?? [],
  )
  if (!names.includes(deps.container)) {
    throw new InvalidInputError(
      `pod ${deps.namespace}/${deps.pod} has no container '${deps.container}'. It has: ${names.join(', ')}`,
    )
  }
  const found = [status?.initContainerStatuses, status?.containerStatuses, status?.ephemeralContainerStatuses]
    .flatMap((statuses) => statuses ?? [])
    .find((one) => one.name === deps.container)
  const terminated = found?.state?.terminated
  if (terminated === undefined) {
    const isOver = status?.phase === 'Succeeded' || status?.phase === 'Failed'
    return isOver ? { reason: 'never-started', exitCode: null, fault: null } : null
  }
  // It ended while nobody could read it: some never ran (their image is missing), and have no log.
  if (read.refusal !== null && terminated.startedAt === undefined) {
    return { reason: 'never-started', exitCode: terminated.exitCode, fault: null }
  }
  // A stream may end before the file does; and what a program wrote without an end of line is handed over now.
  try {
    const { fault } = await readRest()
    return { reason: 'terminated', exitCode: terminated.exitCode, fault }
  } catch (error) {
    if (isNotFound(error)) return { reason: 'gone', exitCode: terminated.exitCode, fault: null }
    throw error
  }
}

async function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  await delay(ms, undefined, signal === undefined ? {} : { signal }).catch(() => {})
}
