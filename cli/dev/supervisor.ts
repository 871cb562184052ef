// Keeps the parts of `dev` running: starts them in order, each when the one before is ready; starts again what
// ends, at once the first time and then with growing pauses; stops all in reverse order. A part is anything that
// starts, may end, and can be stopped: a program (supervised-program.ts) or the embedded Postgres.
import { setTimeout as sleep } from 'node:timers/promises'
import { messageOf } from '../../runtime/errors.ts'
import type { Logger } from '../../runtime/log.ts'

export interface Part {
  /** For people and log lines. */
  name: string
  /** Resolves when it is ready; rejects, with nothing left behind, when it cannot be or `signal` fires. */
  start(signal: AbortSignal): Promise<RunningPart>
}

export interface RunningPart {
  pid: number
  /** Resolves with the reason when it has ended, for whatever cause. */
  exited: Promise<string>
  /** Ends it and waits for that. May be called twice, and after it has ended. */
  stop(): Promise<void>
}

export interface SupervisorOptions {
  parts: readonly Part[]
  log: Logger
  /** First pause before another restart; doubles up to `maxRestartDelayMs`. */
  restartDelayMs?: number
  maxRestartDelayMs?: number
}

export interface Supervisor extends AsyncDisposable {
  /** Rejects, with everything stopped again, with the error of the first part that does not start. Once. */
  start(): Promise<void>
  /** Resolves when every part has ended; ends a start or restart that is under way. May be called twice. */
  stop(): Promise<void>
  /** Name and process id of what runs now; null while it is being started again. */
  status(): { name: string; pid: number | null }[]
}

const defaultRestartDelayMs = 100

/** Longer: what needs one more try (a port, a disk) stays away for longer. Shorter: a broken part eats CPU. */
const defaultMaxRestartDelayMs = 5_000

/** A part that ran for so long did start well: its next end counts as the first again. */
const stableMs = 10_000

export function createSupervisor(options: SupervisorOptions): Supervisor {
  const stopping = new AbortController()
  const kept: KeptPart[] = []
  let starting: Promise<void> | undefined

  const startAll = async () => {
    for (const part of options.parts) {
      stopping.signal.throwIfAborted()
      const running = await part.start(stopping.signal)
      options.log.info({ program: part.name, pid: running.pid }, 'program started')
      kept.push(keepRunning(part, running, options, stopping.signal))
    }
  }
  const stopAll = async () => {
    stopping.abort()
    for (const part of kept.toReversed()) await part.stop()
  }
  const stop = async () => {
    stopping.abort()
    await starting?.catch(() => {})
    await stopAll()
  }
  return {
    start() {
      starting ??= startAll().catch(async (error: unknown) => {
        await stopAll()
        throw error
      })
      return starting
    },
    stop,
    status: () => kept.map(({ name, pid }) => ({ name, pid: pid() })),
    [Symbol.asyncDispose]: stop,
  }
}

interface KeptPart {
  name: string
  pid(): number | null
  stop(): Promise<void>
}

/** Starts the part again whenever it ends, until `stopping` fires. */
function keepRunning(
  part: Part,
  first: RunningPart,
  options: SupervisorOptions,
  stopping: AbortSignal,
): KeptPart {
  let current: RunningPart | undefined = first

  const restart = async (failures: number, reason: string): Promise<string | undefined> => {
    const delayMs = restartDelay(failures, options)
    options.log.warn({ program: part.name, reason, restart_in_ms: delayMs }, 'program ended and is restarted')
    try {
      await sleep(delayMs, undefined, { signal: stopping })
      current = await part.start(stopping)
      options.log.info({ program: part.name, pid: current.pid }, 'program restarted')
      return undefined
    } catch (error) {
      return messageOf(error)
    }
  }

  const watch = async () => {
    let failures = 0
    let reason = ''
    for (;;) {
      const startedAt = performance.now()
      if (current !== undefined) {
        // A restart that was under way when the stop came may still have succeeded.
        if (stopping.aborted) await current.stop()
        reason = await current.exited
        if (performance.now() - startedAt > stableMs) failures = 0
        current = undefined
      }
      if (stopping.aborted) return
      reason = (await restart(failures, reason)) ?? ''
      failures += 1
    }
  }
  const watching = watch()
  return {
    name: part.name,
    pid: () => current?.pid ?? null,
    async stop() {
      await current?.stop()
      await watching
    },
  }
}

/** Nothing before the first restart, then doubling. */
function restartDelay(failures: number, options: SupervisorOptions): number {
  if (failures === 0) return 0
  const first = options.restartDelayMs ?? defaultRestartDelayMs
  return Math.min(first * 2 ** (failures - 1), options.maxRestartDelayMs ?? defaultMaxRestartDelayMs)
}
