// Whether the scheduler of this process does what it is for, for probes.
//
// *Live* is what a restart heals: a loop that stands. The lease is renewed in a loop that turns several times a second,
// also while Postgres is away, since each turn ends with an error then; everything else is done by passes, each of
// which ends. A turn or a pass that takes longer than `scheduler_hang_timeout` hangs, for instance in a statement on a
// connection that the network has dropped without a word: nothing but a new process gets rid of it. An event loop that
// stands, and a process that is stopped, answer no probe at all.
//
// Not live never means that Postgres or the API server is away: every scheduler would be restarted, and each would find
// the same. *Ready* says that.
import type { Scheduler } from '../scheduler.ts'

/** What was looked at, and what was found. */
export interface HealthCheck {
  name: string
  isOk: boolean
  message: string
}

/** What this process is at. */
type Stage = 'waiting for postgres' | 'starting' | 'running' | 'stopping'

export interface SchedulerHealth {
  /** @param scheduler the one that works from now on, where there is one */
  enter(stage: Stage, scheduler?: Scheduler): void
  readonly scheduler: Scheduler | undefined
  /** All of them are made; one that is not ok calls for a restart. */
  live(): HealthCheck[]
  /** One that is not ok says why nothing moves now. */
  ready(): HealthCheck[]
}

/**
 * Loading has limits of its own at each step (an import, npm), and may take long where there are many modules. One
 * that takes longer than this hangs.
 */
const loadHangMs = 30 * 60_000
/** A watch is told something at least once a minute, by a bookmark; see k8s/pod-watch.ts. */
const watchSilentMs = 90_000

/** @param deps.stopGraceMs how long attempts may take to end where a scheduler is stopped */
export function createSchedulerHealth(deps: { hangTimeoutMs: number; stopGraceMs: number }): SchedulerHealth {
  const { hangTimeoutMs, stopGraceMs } = deps
  let stage: Stage = 'waiting for postgres'
  let enteredAt = performance.now()
  let scheduler: Scheduler | undefined

  const limitOf: Record<Stage, number> = {
    'waiting for postgres': Number.POSITIVE_INFINITY,
    starting: hangTimeoutMs,
    running: Number.POSITIVE_INFINITY,
    stopping: hangTimeoutMs + stopGraceMs,
  }

  function stageCheck(): HealthCheck {
    const ms = performance.now() - enteredAt
    const isOk = ms <= limitOf[stage]
    return { name: 'stage', isOk, message: isOk ? stage : `${stage} for ${seconds(ms)}: it hangs` }
  }

  return {
    enter(next, its) {
      stage = next
      enteredAt = performance.now()
      scheduler = its
    },
    get scheduler() {
      return scheduler
    },
    live() {
      const status = stage === 'running' ? scheduler?.status() : undefined
      if (status === undefined) return [stageCheck()]
      const { leaseTurnedMs, passes, watches } = status
      const loops = [
        { name: 'lease', ms: leaseTurnedMs, limitMs: hangTimeoutMs, what: 'the loop that renews the lease' },
        ...passes.map(({ name, busyMs }) => ({
          name,
          ms: busyMs,
          limitMs: name === 'load-dags' ? Math.max(loadHangMs, hangTimeoutMs) : hangTimeoutMs,
          what: `the pass ${name}`,
        })),
        ...watches.map(({ namespace, applyBusyMs }) => ({
          name: `pod events of ${namespace}`,
          ms: applyBusyMs,
          limitMs: hangTimeoutMs,
          what: `the write of pod events of ${namespace}`,
        })),
      ]
      return [
        stageCheck(),
        ...loops.map(({ name, ms, limitMs, what }) => {
          const isOk = ms <= limitMs
          return {
            name,
            isOk,
            message: isOk ? 'turns' : `${what} has not ended for ${seconds(ms)}: it hangs`,
          }
        }),
      ]
    },
    ready() {
      const status = stage === 'running' ? scheduler?.status() : undefined
      if (status === undefined) return [{ name: 'stage', isOk: false, message: stage }]
      const { isLeaseHeld, hasLoaded, watches } = status
      return [
        {
          name: 'lease',
          isOk: isLeaseHeld,
          message: isLeaseHeld ? 'held' : 'not renewed: postgres does not answer',
        },
        {
          name: 'dags',
          isOk: hasLoaded,
          message: hasLoaded ? 'loaded' : 'nothing is published yet, or the Dags are being loaded',
        },
        ...watches.map(({ namespace, ageMs, hasHeard, trouble }) => {
          const isSilent = ageMs > watchSilentMs || !hasHeard
          const heard = hasHeard
            ? `heard of the API server ${seconds(ageMs)} ago`
            : `nothing was heard of the API server yet, for ${seconds(ageMs)}`
          const wrong = trouble ?? (isSilent ? 'it does not answer' : null)
          return {
            name: `watch of ${namespace}`,
            isOk: wrong === null,
            message: wrong === null ? heard : `${heard}: ${wrong}`,
          }
        }),
      ]
    },
  }
}

function seconds(ms: number): string {
  return `${Math.round(ms / 1000)} s`
}
