// One process that runs callbacks, as the scheduler sees it: calls one at a time, and however one ends, there is an answer
// within its time limit. What the process says is believed only as far as its shape: code of a Dag runs in it.
import { spawn } from 'node:child_process'
import type { Readable, Writable } from 'node:stream'
import { messageOf } from '../errors.ts'
import { LogLevel, type LogLine } from '../log-line.ts'
import { killProcessGroup } from '../process-group.ts'
import { programPath } from '../programs.ts'
import { readLines } from '../read-lines.ts'
import type { ErrorReport } from '../task-runner/protocol.ts'
import type { CallbackAttempt, CallbackCall, CallbackOrder, CallbackReport } from './protocol.ts'

/** Until a process that was started takes its first call. Shorter: a machine under load loses callbacks. */
const startMs = 60_000
/** Of JavaScript. Larger: what a callback piles up may be at the cost of the scheduler beside it. */
const maxHeapMb = 256
/** From a call's signal to the kill. */
const killGraceMs = 1_000
/** What is left in the pipes of a process that is gone is there at once. Longer: whoever waits for its end waits. */
const lastOutputMs = 1_000

export interface CallbackEnd {
  /** null: it returned. */
  error: ErrorReport | null
  /** False: the process is gone, or about to be, and takes no more calls. */
  isUsable: boolean
  /** False: the process was gone before it came to this call; another may be asked. */
  wasBegun: boolean
}

export interface CallbackProcess {
  readonly pid: number
  /** One at a time. */
  call(call: Omit<CallbackCall, 'call'>): Promise<CallbackEnd>
  /** Reads no more of what it prints until `resume`: one that prints on has to wait. */
  pause(): void
  resume(): void
  /** Kills it and everything that it started; resolves when all that it wrote was handed over. */
  kill(): Promise<void>
}

/**
 * @param deps.env its environment, without credentials of ours
 * @param deps.onLine what callbacks log and print
 * @throws Error where the system starts no process
 */
export function startCallbackProcess(deps: {
  attempt: CallbackAttempt
  env: NodeJS.ProcessEnv
  onLine: (line: LogLine) => void
}): CallbackProcess {
  const child = spawn(process.execPath, [`--max-old-space-size=${maxHeapMb}`, programPath('callbacks')], {
    detached: true,
    env: deps.env,
    stdio: ['ignore', 'pipe', 'pipe', 'pipe', 'pipe'],
  })
  const over = Promise.withResolvers<void>()
  let pending:
    | {
        call: number
        timeoutMs: number
        isBegun: boolean
        timer: NodeJS.Timeout
        hung: () => void
        resolve: (end: CallbackEnd) => void
      }
    | undefined
  let number = 0
  let isOver = false
  let exit = 'before it began'

  function answer(call: number, error: ErrorReport | null, isUsable: boolean): void {
    if (pending?.call !== call) return
    clearTimeout(pending.timer)
    const { resolve, isBegun } = pending
    pending = undefined
    resolve({ error, isUsable, wasBegun: isBegun })
  }
  function answerGone(): void {
    const message = `its process ended ${exit} before it did`
    answer(number, { name: 'CallbackEnded', message, stack: null }, false)
  }
  function ended(): void {
    if (isOver) return
    isOver = true
    answerGone()
    over.resolve()
  }
  child.on('exit', (code, signal) => {
    exit = signal === null ? `with exit code ${code}` : `by ${signal}`
    // What it started holds its pipes open; what has left its group may do so for ever.
    if (child.pid !== undefined) killProcessGroup(child.pid)
    setTimeout(() => {
      for (const stream of streams) stream.destroy()
    }, lastOutputMs).unref()
  })
  child.on('error', (error) => {
    exit = `(${messageOf(error)})`
    ended()
  })
  // After the pipes have ended, so that everything that left the process has been read.
  child.on('close', ended)
  if (child.pid === undefined) {
    throw new Error(
      'the system started no process: look at the limits of open files (ulimit -n) and processes (ulimit -u)',
    )
  }
  const { pid } = child
  const [, stdout, stderr, orders, reports] = child.stdio as unknown as [
    null,
    Readable,
    Readable,
    Writable,
    Readable,
  ]
  orders.on('error', () => {})
  readLines(stdout, (msg) => deps.onLine(rawLine('stdout', msg)))
  readLines(stderr, (msg) => deps.onLine(rawLine('stderr', msg)))
  readLines(reports, (text) => {
    const report = parseReport(text)
    if (report?.type === 'line') deps.onLine(report.line)
    else if (report?.type === 'done') answer(report.call, report.error, !report.is_last)
    else if (report?.type === 'began' && pending?.call === report.call) {
      pending.isBegun = true
      clearTimeout(pending.timer)
      pending.timer = setTimeout(pending.hung, pending.timeoutMs + killGraceMs)
    }
  })
  const send = (order: CallbackOrder) => orders.write(`${JSON.stringify(order)}\n`)
  send({ type: 'begin', attempt: deps.attempt })
  const streams = [stdout, stderr, reports]

  return {
    pid,
    call(call) {
      number += 1
      const mine = number
      return new Promise((resolve) => {
        const timeoutMs = call.timeout_ms
        const hung = () => {
          if (pending?.call !== mine) return
          const message = pending.isBegun
            ? `it took longer than ${timeoutMs / 1000} s, and was killed`
            : `its process did not start within ${startMs / 1000} s, and was killed`
          // Another process would be held up as well.
          pending.isBegun = true
          answer(mine, { name: 'CallbackTimeout', message, stack: null }, false)
          killProcessGroup(pid)
        }
        const timer = setTimeout(hung, startMs)
        pending = { call: mine, timeoutMs, isBegun: false, timer, hung, resolve }
        if (isOver) answerGone()
        else send({ type: 'call', ...call, call: mine })
      })
    },
    pause() {
      for (const stream of streams) stream.pause()
    },
    resume() {
      for (const stream of streams) stream.resume()
    },
    async kill() {
      if (!isOver) killProcessGroup(pid)
      for (const stream of streams) stream.resume()
      await over.promise
    },
  }
}

function rawLine(stream: 'stdout' | 'stderr', msg: string): LogLine {
  return { ts: new Date().toISOString(), level: stream === 'stderr' ? 'error' : 'info', stream, msg }
}

/** @returns null where the line is no report: cut by a kill, or written by code of a Dag */
function parseReport(text: string): CallbackReport | null {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return null
  }
  const report = (value ?? {}) as Record<string, unknown>
  if (report.type === 'line' && isLine(report.line)) return value as CallbackReport
  if (!Number.isInteger(report.call)) return null
  if (report.type === 'began') return value as CallbackReport
  const isDone = report.type === 'done' && typeof report.is_last === 'boolean'
  return isDone && (report.error === null || isError(report.error)) ? (value as CallbackReport) : null
}

function isLine(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  const { ts, level, stream, msg } = value as Record<string, unknown>
  return isText(ts) && isText(stream) && isText(msg) && isText(level) && Object.hasOwn(LogLevel, level)
}

function isError(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  const { name, message, stack } = value as Record<string, unknown>
  return isText(name) && isText(message) && (stack === null || isText(stack))
}

const isText = (value: unknown): value is string => typeof value === 'string'
