// The logs of pods whose image is somebody's own: nothing in them sends lines, so they are read from the API server as
// they come. Each batch is kept in one transaction with the place up to which the container was read; so a scheduler
// that takes over goes on there, and one that was only paused finds that somebody has, and stops.
import { setTimeout as delay } from 'node:timers/promises'
import type { KubernetesClient } from '../../../k8s/client/kubernetes-client.ts'
import { followPodLog, type LogBatch } from '../../../k8s/pod-log.ts'
import { DatabaseUnavailableError, messageOf } from '../../../runtime/errors.ts'
import type { Logger } from '../../../runtime/log.ts'
import { appendAttemptLog, LogFollowedError } from '../../database/append-attempt-log.ts'
import type { Database } from '../../database/connection.ts'
import type { ActivePod } from './active-pod.ts'
import type { PodLogs } from './pod-logs.ts'

/** Containers that are read at once; each is a connection to the API server. Further ones wait, and lose nothing. */
const maxFollowed = 256
const databaseRetryMs = 200

export interface PodFollowers {
  /** Begins to read these containers' logs; those that are read already go on. */
  follow(
    pod: ActivePod,
    containers: readonly string[],
    textOf: (container: string, line: string) => string,
  ): void
  /** Resolves when all that its containers wrote is kept; they must have ended. */
  finished(pod: ActivePod): Promise<void>
  stop(): Promise<void>
}

export function createPodFollowers(deps: {
  db: Database
  client: KubernetesClient
  logsDir: string
  logs: PodLogs
  /** They are in the attempt's log. */
  onLines: (pod: ActivePod, container: string, lines: readonly string[]) => void
  log: Logger
}): PodFollowers {
  const { db, client, logsDir, logs, log } = deps
  const stopping = new AbortController()
  const { signal } = stopping
  const followed = new Map<string, Map<string, Promise<void>>>()
  const free: (() => void)[] = []
  let room = maxFollowed

  async function inRoom(work: () => Promise<void>): Promise<void> {
    if (room > 0) room -= 1
    else await new Promise<void>((resolve) => free.push(resolve))
    try {
      if (!signal.aborted) await work()
    } finally {
      const next = free.shift()
      if (next) next()
      else room += 1
    }
  }

  async function followOne(
    pod: ActivePod,
    container: string,
    textOf: (container: string, line: string) => string,
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
      await whileAway(() => appendAttemptLog(db, append), signal)
      cursor = to
      const written = lines.map(({ text }) => text)
      deps.onLines(pod, container, written)
    }
    try {
      const end = await followPodLog({
        client,
        namespace: pod.namespace,
        pod: pod.podName,
        container,
        cursor,
        onLines: keep,
        signal,
        log,
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
      const ofPod = followed.get(pod.attemptId) ?? new Map<string, Promise<void>>()
      followed.set(pod.attemptId, ofPod)
      for (const container of containers) {
        if (!ofPod.has(container))
          ofPod.set(
            container,
            inRoom(() => followOne(pod, container, textOf)),
          )
      }
    },
    async finished({ attemptId }) {
      await Promise.all(followed.get(attemptId)?.values() ?? [])
      signal.throwIfAborted()
      followed.delete(attemptId)
    },
    async stop() {
      stopping.abort(new Error('the scheduler stops'))
      for (const resolve of free) resolve()
      await Promise.all([...followed.values()].flatMap((ofPod) => [...ofPod.values()]))
    },
  }
}

async function whileAway<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
  for (;;) {
    try {
      return await work()
    } catch (error) {
      if (!(error instanceof DatabaseUnavailableError)) throw error
      await delay(databaseRetryMs, undefined, { signal })
    }
  }
}

/** Log lines have milliseconds. */
function msTime(time: string): string {
  return new Date(time).toISOString()
}
