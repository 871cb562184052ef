// The logs of pods whose image is somebody's own: nothing in them sends lines, so they are read from the API server as
// they come. Each batch is kept in one transaction with the place up to which the container was read; so a scheduler
// that takes over goes on there, and one that was only paused finds that somebody has, and stops.
import { setTimeout as delay } from 'node:timers/promises'
import { backoffMs } from '../../../k8s/backoff.ts'
import type { KubernetesClient } from '../../../k8s/client/kubernetes-client.ts'
import { followPodLog, type LogBatch, readPodLogRest } from '../../../k8s/pod-log.ts'
import { DatabaseUnavailableError, messageOf } from '../../../runtime/errors.ts'
import type { Logger } from '../../../runtime/log.ts'
import { appendAttemptLog, LogFollowedError } from '../../database/append-attempt-log.ts'
import type { Database } from '../../database/connection.ts'
import type { ActivePod } from './active-pod.ts'
import type { PodLogs } from './pod-logs.ts'

/** Containers that are read at once; each is a connection to the API server. Further ones wait, and lose nothing. */
const maxFollowed = 256
/** Between two tries to keep lines: doubled from the first to the last. */
const keepAgain = { firstMs: 200, mostMs: 5_000 }

export interface PodFollowers {
  /** Begins to read these containers' logs; those that are read already go on. */
  follow(
    pod: ActivePod,
    containers: readonly string[],
    textOf: (container: string, line: string) => string,
  ): void
  /**
   * Resolves when all that its containers wrote is kept; those that have not ended, up to now.
   * @param hasTerminated by the container's name
   */
  finished(pod: ActivePod, hasTerminated: (container: string) => boolean): Promise<void>
  stop(): Promise<void>
}

export function createPodFollowers(deps: {
  db: Database
  client: KubernetesClient
  logsDir: string
  logs: PodLogs
  /** They are in the attempt's log. */
  onLines: (pod: ActivePod, container: string, lines: LogBatch['lines']) => void
  log: Logger
}): PodFollowers {
  const { db, client, logsDir, logs, log } = deps
  const stopping = new AbortController()
  const { signal } = stopping
  const followed = new Map<string, Map<string, Follower>>()
  const waiting: Follower[] = []
  let room = maxFollowed

  function begin(work: (cut: AbortSignal) => Promise<void>): Follower {
    const started = Promise.withResolvers<void>()
    const cut = new AbortController()
    const follower: Follower = {
      start: started.resolve,
      cut: () => cut.abort(new Error('the attempt has ended')),
      done: started.promise.then(() => (signal.aborted ? undefined : work(cut.signal))),
    }
    if (room > 0) giveRoom(follower)
    else waiting.push(follower)
    return follower
  }

  function giveRoom(follower: Follower): void {
    room -= 1
    follower.start()
    void follower.done.finally(() => {
      room += 1
      const next = waiting.shift()
      if (next) giveRoom(next)
    })
  }

  /** The database is away, or the disk is full: the container's log waits, on its node. */
  async function untilKept(pod: ActivePod, append: () => Promise<unknown>): Promise<void> {
    for (let failures = 0; ; failures += 1) {
      try {
        await append()
        return
      } catch (error) {
        if (error instanceof LogFollowedError) throw error
        if (failures === 0 && !(error instanceof DatabaseUnavailableError))
          log.warn(
            { attempt_id: pod.attemptId, error: messageOf(error) },
            'lines of a pod cannot be kept, they wait',
          )
        await delay(backoffMs(failures, keepAgain), undefined, { signal })
      }
    }
  }

  async function followOne(
    pod: ActivePod,
    container: string,
    textOf: (container: string, line: string) => string,
    cut: AbortSignal,
  ): Promise<void> {
    let cursor = pod.row?.log_cursors[container] ?? null
    const keep = async ({ lines, cursor: to, hasGap }: LogBatch): Promise<void> => {
      const texts = lines.map(({ time, text }) =>
        JSON.stringify({
          ts: msTime(time),
          level: 'info',
          stream: 'stdout',
          container,
          msg: textOf(container, text),
        }),
      )
      if (hasGap) {
        const msg = `lines of container ${container} may be missing here: the node had dropped them already`
        texts.unshift(
          JSON.stringify({ ts: new Date().toISOString(), level: 'warn', stream: 'branchline', msg }),
        )
      }
      const bytes = Buffer.from(texts.map((text) => `${text}\n`).join(''))
      const append = { key: pod.key, logsDir, bytes, offset: null, followed: { container, from: cursor, to } }
      await untilKept(pod, () => appendAttemptLog(db, append))
      cursor = to
      deps.onLines(pod, container, lines)
    }
    const { namespace, podName } = pod
    const reading = { client, namespace, pod: podName, container, onLines: keep }
    try {
      const following = { ...reading, cursor, signal: AbortSignal.any([signal, cut]), log }
      const end = await followPodLog(following).catch((error: unknown) => {
        if (!cut.aborted || signal.aborted) throw error
        // It goes on, and the attempt does not: what there is by now.
        return readPodLogRest({ ...reading, cursor, signal })
      })
      if (end.fault !== null)
        await logs.say(pod, 'warn', `the log of container ${container} is cut off: ${end.fault}`)
    } catch (error) {
      if (signal.aborted || error instanceof LogFollowedError) return
      await logs
        .say(pod, 'warn', `the log of container ${container} cannot be read: ${messageOf(error)}`)
        .catch(() => {})
    }
  }

  return {
    follow(pod, containers, textOf) {
      const ofPod = followed.get(pod.attemptId) ?? new Map<string, Follower>()
      followed.set(pod.attemptId, ofPod)
      for (const container of containers) {
        if (ofPod.has(container)) continue
        ofPod.set(
          container,
          begin((cut) => followOne(pod, container, textOf, cut)),
        )
      }
    },
    async finished({ attemptId }, hasTerminated) {
      for (const [container, follower] of followed.get(attemptId) ?? []) {
        // Without room: the end is worth a connection more.
        follower.start()
        if (!hasTerminated(container)) follower.cut()
      }
      await Promise.all([...(followed.get(attemptId)?.values() ?? [])].map(({ done }) => done))
      signal.throwIfAborted()
      followed.delete(attemptId)
    },
    async stop() {
      stopping.abort(new Error('the scheduler stops'))
      const all = [...followed.values()].flatMap((ofPod) => [...ofPod.values()])
      for (const follower of all) follower.start()
      await Promise.all(all.map(({ done }) => done))
    },
  }
}

/** The reading of one container's log. */
interface Follower {
  /** Lets it begin; once is enough. */
  start(): void
  /** Lets it end with what there is by now. */
  cut(): void
  done: Promise<void>
}

/** Log lines have milliseconds. */
function msTime(time: string): string {
  return new Date(time).toISOString()
}
