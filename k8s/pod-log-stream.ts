// One stream of a container's log, to its end: what comes after the cursor is handed over.
import { setTimeout as delay } from 'node:timers/promises'
import { KubernetesError } from '../runtime/errors.ts'
import type { KubernetesClient } from './client/kubernetes-client.ts'
import { createLogResume, type LogCursor, type LogResume, sinceTimeOf } from './pod-log-cursor.ts'
import { createLogLineReader, type LogLine } from './pod-log-lines.ts'

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

export interface LogRead {
  /** Kubelet's own words in the stream. */
  fault: string | null
  /** The container has no log yet, in the server's words. */
  refusal: KubernetesError | null
  /** Where it begins is known: the cursor's line was met, or there was none to meet. */
  isPlaced: boolean
  /** The line without an end, with which a followed stream ended. It was not handed over. */
  openLine: LogLine | null
}

/** A stream that has stopped for so long has shown all that there is by now. */
const silenceMs = 1_000

/**
 * @param deps.openLine that of the stream before. It is read again, whole, unless its file is gone
 * @param deps.isNextFile where the cursor's line is not there, this is the file after the one that was read to its end:
 * nothing is missing, and its first line goes on with the open one
 * @throws KubernetesError where the stream breaks
 */
export async function readLogStream(
  deps: PodLogDeps & {
    previous?: boolean
    openLine: LogLine | null
    isNextFile?: boolean
    isFollowing: boolean
    idleMs: number
    onCursor: (cursor: LogCursor) => void
  },
): Promise<LogRead> {
  const { client, namespace, pod, container, cursor, openLine, isFollowing, idleMs, signal } = deps
  const { previous = false, isNextFile = false } = deps
  const reader = createLogLineReader()
  const resume = createLogResume(cursor)
  let fault: string | null = null
  let wasGapTold = false
  const handOver = async (lines: LogLine[]): Promise<void> => {
    if (lines.length === 0) return
    const isAfterGap = resume.hasGap && !wasGapTold
    wasGapTold = resume.hasGap
    const whole = isAfterGap && openLine !== null ? withOpenLine(openLine, lines, isNextFile) : lines
    await deps.onLines({ lines: whole, cursor: resume.cursor!, hasGap: isAfterGap && !isNextFile })
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
    if (isFollowing && isNone) return { fault, refusal: error, isPlaced: false, openLine: null }
    throw error
  } finally {
    reading.abort()
  }
  const rest = reader.rest()
  fault = rest.faults.at(-1) ?? fault
  const isPlaced = !resume.isSearching
  // A log that goes on may end with half a line for now.
  if (isFollowing) return { fault, refusal: null, isPlaced, openLine: rest.lines.at(-1) ?? null }
  await handOver(resume.take(rest.lines))
  await handOver(resume.giveUp())
  if (resume.isSearching && openLine !== null && fault === null) {
    // The next file is there, and empty.
    const last = { time: openLine.time, count: 1 }
    await deps.onLines({ lines: [openLine], cursor: last, hasGap: !isNextFile })
    deps.onCursor(last)
  }
  return { fault, refusal: null, isPlaced, openLine: null }
}

function withOpenLine(openLine: LogLine, lines: LogLine[], isNextFile: boolean): LogLine[] {
  const [first, ...others] = lines
  return isNextFile
    ? [{ time: openLine.time, text: openLine.text + first!.text }, ...others]
    : [openLine, ...lines]
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
