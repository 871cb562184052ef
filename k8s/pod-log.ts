// A container's log, line by line, without loss and without doubling, however often the connection breaks: each batch of
// lines comes with a cursor, and reading goes on behind it. Kubelet keeps a log for as long as the pod is there, of a
// rotated one only the newest file; where that cost lines it is said (`hasGap`).
import { setTimeout as delay } from 'node:timers/promises'
import { InvalidInputError, KubernetesError, messageOf } from '../runtime/errors.ts'
import type { V1Pod } from '../runtime/kubernetes-types.ts'
import type { Logger } from '../runtime/log.ts'
import { backoffMs } from './backoff.ts'
import type { KubernetesClient } from './client/kubernetes-client.ts'
import { isNotFound, pushBackOf } from './kubernetes-error.ts'
import { createLogResume, type LogCursor, type LogResume, sinceTimeOf } from './pod-log-cursor.ts'
import { createLogLineReader, type LogLine } from './pod-log-lines.ts'

export type { LogCursor } from './pod-log-cursor.ts'
export type { LogLine } from './pod-log-lines.ts'

export interface LogBatch {
  lines: LogLine[]
  /** After the last of the lines. To be kept with them: whoever goes on from it gets all others, once. */
  cursor: LogCursor
  /** Lines before these may be missing: kubelet's file was rotated while nobody read it. */
  hasGap: boolean
}

export interface PodLogDeps {
  client: KubernetesClient
  namespace: string
  pod: string
  container: string
  /** Where an earlier reader stopped; null for the whole log. */
  cursor: LogCursor | null
  /** Called for one batch at a time; the next is read when it has resolved. What it throws ends the reading. */
  onLines: (batch: LogBatch) => Promise<void>
  signal?: AbortSignal
}

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
/** A stream that has stopped for so long has shown all that there is by now. */
const silenceMs = 1_000
/** Streams that end or break sooner than that are begun more and more slowly. */
const shortReadMs = 1_000
const backoff = { firstMs: 200, mostMs: 5_000 }
/** For a container that has not started. */
const lookAgain = { firstMs: 200, mostMs: 1_000 }

/**
 * Follows a container from before it starts until it has terminated and everything was read. Waits for a container that
 * has not started, and for an API server or node that is away: as long as the pod is there, the signal alone ends it.
 * A container that is started again by its pod is another one: only the instance that runs when it is met is followed.
 * @throws the signal's reason, what `onLines` threw, InvalidInputError where the pod has no such container,
 * KubernetesError where the log may not be read
 */
export async function followPodLog(deps: PodLogDeps & { log: Logger; idleMs?: number }): Promise<PodLogEnd> {
  const { client, namespace, pod: name, container, signal, idleMs = defaultIdleMs } = deps
  const log = deps.log.child({ namespace, pod: name, container })
  let { cursor } = deps
  let failures = 0
  let shortTurns = 0
  for (;;) {
    signal?.throwIfAborted()
    const beganAt = performance.now()
    const onCursor = (to: LogCursor): void => {
      cursor = to
      if (failures > 1) log.info({ failures }, 'pod log is read again')
      failures = 0
    }
    let askedToWaitMs = 0
    try {
      const read = await readStream({ ...deps, cursor, isFollowing: true, idleMs, onCursor })
      const pod = await client.readPod(namespace, name, signal === undefined ? {} : { signal })
      const readRest = () => readStream({ ...deps, cursor, isFollowing: false, idleMs, onCursor })
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
  const { fault } = await readStream({
    ...deps,
    isFollowing: false,
    idleMs: defaultIdleMs,
    onCursor: (to) => {
      cursor = to
    },
  })
  return { cursor, fault }
}

interface Read {
  /** Kubelet's own words in the stream. */
  fault: string | null
  /** The container has no log yet, in the server's words. */
  refusal: KubernetesError | null
}

/** One stream to its end: everything after the cursor is handed over. Throws where the stream breaks. */
async function readStream(
  deps: PodLogDeps & {
    previous?: boolean
    isFollowing: boolean
    idleMs: number
    onCursor: (cursor: LogCursor) => void
  },
): Promise<Read> {
  const { client, namespace, pod, container, cursor, isFollowing, idleMs, previous = false, signal } = deps
  const reader = createLogLineReader()
  const resume = createLogResume(cursor)
  let fault: string | null = null
  let wasGapTold = false
  const handOver = async (lines: LogLine[]): Promise<void> => {
    if (lines.length === 0) return
    const hasGap = resume.hasGap && !wasGapTold
    wasGapTold = resume.hasGap
    await deps.onLines({ lines, cursor: resume.cursor!, hasGap })
    deps.onCursor(resume.cursor!)
  }
  // Ends the stream with its reader, also where that stops while the stream is silent.
  const reading = new AbortController()
  const ended = signal === undefined ? reading.signal : AbortSignal.any([signal, reading.signal])
  const stream = client.podLog(namespace, pod, {
    container,
    timestamps: true,
    follow: isFollowing,
    idleMs,
    previous,
    ...(cursor === null ? {} : { sinceTime: sinceTimeOf(cursor) }),
    signal: ended,
  })
  try {
    for await (const piece of withSilence(stream, resume)) {
      if (piece === null) {
        await handOver(resume.giveUp())
        continue
      }
      const { lines, faults } = reader.take(piece)
      fault = faults.at(-1) ?? fault
      await handOver(resume.take(lines))
    }
  } catch (error) {
    // 400: the container has not begun, or there is none of that name. 404: the pod is gone. The pod says which.
    const isNone = error instanceof KubernetesError && (error.status === 400 || error.status === 404)
    if (isFollowing && isNone) return { fault, refusal: error }
    throw error
  } finally {
    reading.abort()
  }
  // The end of a log that goes on may be half a line; it is read again, whole.
  if (!isFollowing) {
    const { lines, faults } = reader.rest()
    fault = faults.at(-1) ?? fault
    await handOver(resume.take(lines))
    await handOver(resume.giveUp())
  }
  return { fault, refusal: null }
}

/** The pieces of a stream, and null where it is silent while lines wait for the cursor's own to be found. */
async function* withSilence(
  stream: AsyncGenerator<Buffer, void, void>,
  resume: LogResume,
): AsyncGenerator<Buffer | null, void, void> {
  for (;;) {
    const next = stream.next()
    if (resume.isHolding) {
      // Whoever reads may stop at the silence; the stream's end is then nobody's.
      next.catch(() => {})
      const quiet = new AbortController()
      const silence = delay(silenceMs, null, { signal: quiet.signal }).catch(() => null)
      const first = await Promise.race([next, silence]).finally(() => quiet.abort())
      if (first === null) yield null
    }
    const result = await next
    if (result.done === true) return
    yield result.value
  }
}

/** How it ended; null where it has not. */
async function endOf(state: {
  deps: PodLogDeps
  pod: V1Pod | undefined
  read: Read
  readRest: () => Promise<Read>
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
