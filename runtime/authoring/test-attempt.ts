// One attempt within `testDag`: context, log lines, execution timeout. What the task runner does across
// processes happens here in one, so a function that neither ends nor heeds its signal is left behind after a
// grace instead of being killed.
import { setTimeout as delay } from 'node:timers/promises'
import { TaskAbortedError } from '../errors.ts'
import type { LogLevel, LogStream } from '../log-line.ts'
import type { TaskContext, TaskLog } from './context.ts'
import type { TaskDefinition } from './definition.ts'
import { executeTask } from './execute.ts'
import { resultText } from './jsonified.ts'

/** A line that a task wrote with `log`, or that its command wrote; fields of a `log` call stand beside `msg`. */
export interface TestLogLine {
  level: LogLevel
  stream: LogStream
  msg: string
  [field: string]: unknown
}

/** How long what was aborted may take to end. Shorter would cut off clean-up, longer only delays a failing test. */
const abortGraceMs = 1_000
/** When a command's processes are killed; within the grace, so that the command is seen to end. */
const killAfterMs = 500
/** Node's timers fire at once when asked for more (24.8 days). */
const maxTimerMs = 2 ** 31 - 1

export interface TestAttempt {
  definition: TaskDefinition
  inputs: Readonly<Record<string, unknown>>
  context: Omit<TaskContext, 'log' | 'signal'>
  executionTimeoutMs: number | null
  /** Ends the whole test run. */
  signal: AbortSignal
  lines: TestLogLine[]
}

/**
 * Runs it and appends to `lines`.
 * @returns JSON text of the result; null where there is none
 * @throws what the task threw, or why it was aborted
 */
export async function runTestAttempt(attempt: TestAttempt): Promise<string | null> {
  const { definition, lines, executionTimeoutMs } = attempt
  const timeout = new AbortController()
  const timer =
    executionTimeoutMs === null
      ? undefined
      : setTimeout(
          () => timeout.abort(timeoutError(executionTimeoutMs)),
          Math.min(executionTimeoutMs, maxTimerMs),
        )
  const signal = AbortSignal.any([attempt.signal, timeout.signal])
  try {
    const context = { ...attempt.context, log: recordingLog(lines), signal }
    const onLine = (msg: string, stream: 'stdout' | 'stderr') => lines.push({ level: 'info', stream, msg })
    const running = executeTask(definition, attempt.inputs, context, onLine, { killAfterMs })
    const result = await endedOrAborted(running, signal)
    return resultText(definition.taskId, result)
  } finally {
    clearTimeout(timer)
  }
}

function timeoutError(executionTimeoutMs: number): TaskAbortedError {
  return new TaskAbortedError(
    `the attempt took longer than its executionTimeout of ${executionTimeoutMs} ms`,
    {
      details: { reason: 'timeout', execution_timeout_ms: executionTimeoutMs },
    },
  )
}

/** What was aborted has failed, also if it still returned something. */
async function endedOrAborted(running: Promise<unknown>, signal: AbortSignal): Promise<unknown> {
  const settled = running.then(
    () => {},
    () => {},
  )
  const aborted = Promise.withResolvers<never>()
  const onAbort = async () => {
    await Promise.race([settled, delay(abortGraceMs)])
    aborted.reject(signal.reason)
  }
  if (signal.aborted) void onAbort()
  else signal.addEventListener('abort', onAbort)
  try {
    const result = await Promise.race([running, aborted.promise])
    signal.throwIfAborted()
    return result
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}

function recordingLog(lines: TestLogLine[]): TaskLog {
  const at =
    (level: LogLevel) =>
    (msg: string, fields: Record<string, unknown> = {}): void => {
      lines.push({ ...fields, level, stream: 'log', msg })
    }
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}
