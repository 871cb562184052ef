// Reads the log of one container into its attempt's log, to the end, whatever happens to the connection, the database,
// the disk or a right. Each batch of lines is kept in one transaction with the place up to which the container was
// read; so a scheduler that takes over goes on there, and one that was only paused finds that somebody has, and stops.
import { setTimeout as delay } from 'node:timers/promises'
import { backoffMs } from '../../../k8s/backoff.ts'
import type { KubernetesClient } from '../../../k8s/client/kubernetes-client.ts'
import { pushBackOf } from '../../../k8s/kubernetes-error.ts'
import { followPodLog, type LogBatch, readPodLogRest } from '../../../k8s/pod-log.ts'
import { DatabaseUnavailableError, messageOf } from '../../../runtime/errors.ts'
import type { Logger } from '../../../runtime/log.ts'
import type { LogLine } from '../../../runtime/log-line.ts'
import { appendAttemptLog, LogFollowedError } from '../../database/append-attempt-log.ts'
import type { Database } from '../../database/connection.ts'
import type { ActivePod } from './active-pod.ts'
import { lineBytes, ownLine, type PodLogs } from './pod-logs.ts'

/** Between two tries of what fails: doubled from the first to the last. */
const tryAgain = { firstMs: 200, mostMs: 5_000 }
/** A log that may not be read is asked for again after so long: the right may come. */
const refusedMs = 5_000
/** The stream of a container that has ended is given up where it brings nothing for so long, and the rest read without. */
const endSilenceMs = 3_000

export interface ContainerFollower {
  /** Resolves when the log is kept to the end, or somebody else has gone on with it. */
  run(): Promise<void>
  /** Reads on by another stream: one that hangs without a word may not be noticed before the pod, and its log, is gone. */
  reopen(): void
  /**
   * The attempt has ended, and no more is waited for than what there is.
   * @param hasTerminated false: the container goes on without it
   */
  finish(hasTerminated: boolean): void
}

/** @param deps.signal the scheduler stops: the next one goes on */
export function createContainerFollower(deps: {
  db: Database
  client: KubernetesClient
  logsDir: string
  logs: PodLogs
  pod: ActivePod
  container: string
  textOf: (line: string) => string
  /** They are in the attempt's log. */
  onLines: (lines: LogBatch['lines']) => void
  log: Logger
  signal: AbortSignal
}): ContainerFollower {
  const { db, client, logsDir, logs, pod, container, textOf, log, signal } = deps
  const cut = new AbortController()
  let reopening = new AbortController()
  let cursor = pod.row?.log_cursors[container] ?? null
  let isFinishing = false
  let isRefused = false
  let silence: NodeJS.Timeout | undefined

  async function keep({ lines, cursor: to, hasGap }: LogBatch): Promise<void> {
    clearTimeout(silence)
    const kept = lines.map(
      ({ time, text }): LogLine => ({
        // Log lines have milliseconds.
        ts: new Date(time).toISOString(),
        level: 'info',
        stream: 'stdout',
        container,
        msg: textOf(text),
      }),
    )
    if (hasGap) {
      const msg = `lines of container ${container} may be missing here: the node had dropped them already`
      kept.unshift(ownLine('warn', msg))
    }
    const bytes = lineBytes(kept)
    const append = { key: pod.key, logsDir, bytes, offset: null, followed: { container, from: cursor, to } }
    await untilKept(() => appendAttemptLog(db, append))
    cursor = to
    deps.onLines(lines)
    if (isFinishing) awaitSilence()
  }

  /** The database is away, or the disk is full: the log waits on its node. */
  async function untilKept(append: () => Promise<unknown>): Promise<void> {
    for (let failures = 0; ; failures += 1) {
      try {
        await append()
        return
      } catch (error) {
        if (error instanceof LogFollowedError) throw error
        if (failures === 0 && !(error instanceof DatabaseUnavailableError)) {
          log.warn(
            { attempt_id: pod.attemptId, container, error: messageOf(error) },
            'lines of a container cannot be kept, they wait',
          )
        }
        await delay(backoffMs(failures, tryAgain), undefined, { signal })
      }
    }
  }

  /** @returns the kubelet's words where it could not read the log to its end */
  async function follow(): Promise<string | null> {
    for (let refusals = 0; ; ) {
      const ended = AbortSignal.any([signal, cut.signal, reopening.signal])
      try {
        return (await followPodLog({ ...source(), signal: ended, log })).fault
      } catch (error) {
        if (signal.aborted || error instanceof LogFollowedError) throw error
        if (isFinishing) return await readRest()
        if (reopening.signal.aborted) {
          reopening = new AbortController()
          continue
        }
        isRefused = true
        log[refusals === 0 ? 'warn' : 'debug'](
          { attempt_id: pod.attemptId, container, error: messageOf(error) },
          'the log of a container cannot be read now, it waits',
        )
        await delay(refusedMs, undefined, { signal: ended }).catch(() => {})
        isRefused = false
        refusals += 1
      }
    }
  }

  async function readRest(): Promise<string | null> {
    for (let failures = 0; ; failures += 1) {
      try {
        return (await readPodLogRest({ ...source(), signal })).fault
      } catch (error) {
        if (signal.aborted || pushBackOf(error) === null) throw error
        await delay(backoffMs(failures, tryAgain), undefined, { signal })
      }
    }
  }

  function source() {
    const { namespace, podName } = pod
    return { client, namespace, pod: podName, container, cursor, onLines: keep }
  }

  function awaitSilence(): void {
    clearTimeout(silence)
    silence = setTimeout(() => cut.abort(new Error('its stream is silent')), endSilenceMs)
  }

  return {
    async run() {
      try {
        const fault = await follow()
        if (fault !== null)
          await logs.say(pod, 'warn', `the log of container ${container} is cut off: ${fault}`)
      } catch (error) {
        if (signal.aborted || error instanceof LogFollowedError) return
        const message = `the log of container ${container} cannot be read: ${messageOf(error)}`
        await logs.say(pod, 'warn', message).catch(() => {})
      } finally {
        isFinishing = true
        clearTimeout(silence)
      }
    },
    reopen: () => reopening.abort(new Error('the pod is deleted')),
    finish(hasTerminated) {
      if (isFinishing) return
      isFinishing = true
      if (hasTerminated && !isRefused) awaitSilence()
      else cut.abort(new Error('the attempt has ended'))
    },
  }
}
