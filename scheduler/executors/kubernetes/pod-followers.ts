// The logs of pods whose image is somebody's own: nothing in them sends lines, so they are read from the API server as
// they come, of so many containers at once.
import type { KubernetesClient } from '../../../k8s/client/kubernetes-client.ts'
import type { LogBatch } from '../../../k8s/pod-log.ts'
import type { Logger } from '../../../runtime/log.ts'
import type { Database } from '../../database/connection.ts'
import type { ActivePod } from './active-pod.ts'
import { type ContainerFollower, createContainerFollower } from './container-follower.ts'
import type { PodLogs } from './pod-logs.ts'

/** Containers that are read at once; each is a connection to the API server. Further ones wait, and lose nothing. */
const maxFollowed = 256

export interface PodFollowers {
  /** Begins to read these containers' logs; those that are read already go on. */
  follow(
    pod: ActivePod,
    containers: readonly string[],
    textOf: (container: string, line: string) => string,
  ): void
  /** The pod is deleted, and goes as soon as its containers have ended: no stream may hang unnoticed. */
  reopen(pod: ActivePod): void
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
  const { onLines } = deps
  const stopping = new AbortController()
  const { signal } = stopping
  const followed = new Map<string, Map<string, Follower>>()
  const waiting: Follower[] = []
  let room = maxFollowed

  function begin(reading: ContainerFollower): Follower {
    const started = Promise.withResolvers<void>()
    const follower: Follower = {
      start: started.resolve,
      reading,
      done: started.promise.then(() => (signal.aborted ? undefined : reading.run())),
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

  return {
    follow(pod, containers, textOf) {
      const ofPod = followed.get(pod.attemptId) ?? new Map<string, Follower>()
      followed.set(pod.attemptId, ofPod)
      for (const container of containers) {
        if (ofPod.has(container)) continue
        const reading = createContainerFollower({
          ...deps,
          pod,
          container,
          textOf: (line) => textOf(container, line),
          onLines: (lines) => onLines(pod, container, lines),
          signal,
        })
        ofPod.set(container, begin(reading))
      }
    },
    reopen({ attemptId }) {
      for (const { reading } of followed.get(attemptId)?.values() ?? []) reading.reopen()
    },
    async finished({ attemptId }, hasTerminated) {
      for (const [container, follower] of followed.get(attemptId) ?? []) {
        // Without room: the end is worth a connection more.
        follower.start()
        follower.reading.finish(hasTerminated(container))
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
  reading: ContainerFollower
  done: Promise<void>
}
