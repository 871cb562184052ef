// The callbacks of one attempt: calls wait for one another in their order, each within its time, in a process that is
// started when the first comes and ended when none has come for a while. What they print goes to the attempt's log, in
// batches, and so does whatever is wrong with them; nothing that they do changes anything else.
//
// A function that hung, or ended its process, is not called again for its attempt: progressCallback would otherwise cost
// its time limit, or a process, for each line. Lines wait as long as there is room for them; following the log does not
// wait for callbacks, because nodes drop logs that nobody reads.
import { setTimeout as delay } from 'node:timers/promises'
import {
  type CallbackProcess,
  startCallbackProcess,
} from '../../../runtime/callback-runner/callback-process.ts'
import type { CallbackAttempt } from '../../../runtime/callback-runner/protocol.ts'
import { messageOf } from '../../../runtime/errors.ts'
import type { V1Pod } from '../../../runtime/kubernetes-types.ts'
import type { LogLine } from '../../../runtime/log-line.ts'
import type { PodCallbackName } from '../../../runtime/pod-callback-names.ts'
import type { ErrorReport } from '../../../runtime/task-runner/protocol.ts'
import type { CallbackRoom } from './callback-room.ts'

/** Lines that wait for progressCallback. More: a slow one has more memory of ours. */
const maxWaitingLines = 10_000
/** Of what callbacks print, waiting to be kept; beyond it they wait. */
const maxUnkeptChars = 1024 * 1024
/** Errors of one function that are told. progressCallback would otherwise double the log. */
const maxErrorsTold = 5
/** Until lines that could not be kept are tried again. */
const keepAgainMs = 500

export interface CallbackLimits {
  /** For one call. */
  timeoutMs: number
  /** After so long without a call the process ends; the next starts another. */
  idleMs: number
}

export interface AttemptCallbacks {
  /** @param pod as it is to be told; it must not reject */
  call(name: PodCallbackName, pod: Promise<V1Pod | null>): void
  /** Lines for progressCallback. */
  lines(pod: V1Pod | null, container: string, lines: readonly { text: string }[]): void
  /** No more lines come: those that wait have one time limit in all. */
  endLines(): void
  /**
   * Resolves when all calls so far are over and their lines are kept.
   * @throws where it was closed
   */
  ended(): Promise<void>
  /** Ends the process when all calls are over and everything is kept. @throws where it was closed */
  finish(): Promise<void>
  /** Calls nothing more, and kills what runs. */
  close(): Promise<void>
}

interface Job {
  name: PodCallbackName
  pod: Promise<V1Pod | null> | V1Pod | null
  line?: { line: string; container: string }
}

/**
 * @param deps.names of the functions that there are: the manifest's `callbacks`
 * @param deps.keep appends lines to the attempt's log; it may throw, and is then called again with the same
 * @param deps.onProcess a process was started, or is gone
 */
export function createAttemptCallbacks(deps: {
  names: readonly PodCallbackName[]
  attempt: CallbackAttempt
  env: NodeJS.ProcessEnv
  room: CallbackRoom
  limits: CallbackLimits
  keep: (lines: readonly LogLine[]) => Promise<void>
  onProcess: (pid: number, isThere: boolean) => void
}): AttemptCallbacks {
  const { names, limits, room } = deps
  const closing = new AbortController()
  const { signal } = closing
  const jobs: Job[] = []
  /** Functions that are called no more, and how often others failed, by name and index. */
  const givenUp = new Set<string>()
  const errors = new Map<string, number>()
  let process: CallbackProcess | undefined
  let takeBack: (() => void) | undefined
  let idleTimer: NodeJS.Timeout | undefined
  let ending: Promise<void> = Promise.resolve()
  let waitingLines = 0
  let droppedLines = 0
  /** By the monotonic clock; lines are not called with after it. */
  let linesUntil = Number.POSITIVE_INFINITY

  let unkept: LogLine[] = []
  let unkeptChars = 0
  let keeping: Promise<void> | undefined

  function add(line: LogLine): void {
    unkept.push(line)
    unkeptChars += line.msg.length
    if (unkeptChars > maxUnkeptChars) process?.pause()
    keeping ??= keepAll().finally(() => {
      keeping = undefined
    })
  }

  async function keepAll(): Promise<void> {
    while (unkept.length > 0 && !signal.aborted) {
      const some = unkept
      unkept = []
      unkeptChars = 0
      process?.resume()
      for (let isKept = false; !isKept && !signal.aborted; ) {
        isKept = await deps.keep(some).then(
          () => true,
          () => false,
        )
        // Postgres is away, or the disk is full.
        if (!isKept) await delay(keepAgainMs, undefined, { signal }).catch(() => {})
      }
    }
  }

  function warn(msg: string): void {
    add({ ts: new Date().toISOString(), level: 'warn', stream: 'branchline', msg })
  }

  let pumping: Promise<void> | undefined
  function pump(): void {
    if (signal.aborted) return
    clearTimeout(idleTimer)
    takeBack?.()
    takeBack = undefined
    pumping ??= runAll().finally(() => {
      pumping = undefined
      if (jobs.length > 0) pump()
      else rest()
    })
  }

  async function runAll(): Promise<void> {
    for (let job = jobs.shift(); job !== undefined && !signal.aborted; job = jobs.shift()) await runJob(job)
  }

  /** The process waits for further calls, unless another attempt needs its place. */
  function rest(): void {
    if (process === undefined || signal.aborted) return
    takeBack = room.rest(() => void endProcess())
    idleTimer = setTimeout(() => void endProcess(), limits.idleMs)
  }

  async function runJob(job: Job): Promise<void> {
    if (job.line) {
      waitingLines -= 1
      if (performance.now() > linesUntil) {
        droppedLines += 1
        return
      }
    } else if (linesUntil !== Number.POSITIVE_INFINITY) tellDropped()
    const pod = await job.pod
    const count = names.filter((name) => name === job.name).length
    for (let index = 0; index < count && !signal.aborted; index += 1) await runOne(job, index, pod)
  }

  function tellDropped(): void {
    if (droppedLines === 0) return
    warn(`progressCallback was not called for ${droppedLines} lines: it is slower than they came`)
    droppedLines = 0
  }

  async function runOne({ name, line }: Job, index: number, pod: V1Pod | null): Promise<void> {
    const key = `${name} ${index}`
    if (givenUp.has(key)) return
    try {
      const call = { name, index, pod, ...line, timeout_ms: limits.timeoutMs }
      let end = await (await theProcess()).call(call)
      if (!end.wasBegun) {
        // The process ended while it had nothing to do, by what an earlier call had left in it.
        await endProcess()
        end = await (await theProcess()).call(call)
      }
      if (signal.aborted) return
      if (end.error !== null) tellError(key, name, end)
      if (!end.isUsable) await endProcess()
    } catch (error) {
      if (!signal.aborted) warn(`callback ${name} could not be called: ${messageOf(error)}`)
    }
  }

  function tellError(
    key: string,
    name: PodCallbackName,
    { error, isUsable }: { error: ErrorReport | null; isUsable: boolean },
  ): void {
    const { name: kind, message, stack } = error!
    const count = (errors.get(key) ?? 0) + 1
    errors.set(key, count)
    if (!isUsable) givenUp.add(key)
    if (count > maxErrorsTold) return
    const words = stack ?? (isUsable ? `${kind}: ${message}` : message)
    const more = !isUsable
      ? '; it is not called again for this attempt'
      : count === maxErrorsTold
        ? '\nfurther errors of it are not told'
        : ''
    warn(`callback ${name} failed, which changes nothing else: ${words}${more}`)
  }

  async function theProcess(): Promise<CallbackProcess> {
    // Of one that is being ended, the place is not free yet.
    await ending
    if (process !== undefined) return process
    await room.enter()
    try {
      signal.throwIfAborted()
      process = startCallbackProcess({ attempt: deps.attempt, env: deps.env, onLine: add })
    } catch (error) {
      room.release()
      throw error
    }
    deps.onProcess(process.pid, true)
    return process
  }

  async function endProcess(): Promise<void> {
    clearTimeout(idleTimer)
    takeBack?.()
    takeBack = undefined
    const ended = process
    process = undefined
    if (ended !== undefined) {
      ending = ended.kill().then(() => {
        deps.onProcess(ended.pid, false)
        room.release()
      })
    }
    await ending
  }

  async function ended(): Promise<void> {
    while ((pumping !== undefined || keeping !== undefined) && !signal.aborted) {
      await pumping
      await keeping
    }
    signal.throwIfAborted()
  }

  return {
    call(name, pod) {
      if (!names.includes(name)) return
      jobs.push({ name, pod })
      pump()
    },
    lines(pod, container, lines) {
      if (!names.includes('progressCallback')) return
      for (const { text: line } of lines) {
        if (waitingLines >= maxWaitingLines) {
          droppedLines += 1
          continue
        }
        waitingLines += 1
        jobs.push({ name: 'progressCallback', pod, line: { line, container } })
      }
      pump()
    },
    endLines() {
      linesUntil = Math.min(linesUntil, performance.now() + limits.timeoutMs)
    },
    ended,
    async finish() {
      await ended()
      await endProcess()
      await ended()
    },
    async close() {
      closing.abort(new Error('its callbacks are called no more'))
      jobs.length = 0
      await endProcess()
      await Promise.all([pumping, keeping])
    },
  }
}
