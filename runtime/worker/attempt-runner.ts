// The process that runs the attempt's code, as the pod's supervisor sees it: started before it is known what it is to
// run, given one attempt, told to end, killed. However it ends, there is one answer.
import { messageOf } from '../errors.ts'
import type { AttemptOrder, CancelReason, FinishReport } from '../task-runner/protocol.ts'
import { runnerEnded } from '../task-runner/runner-ended.ts'
import { outputTail, saveLastOutput } from '../task-runner/runner-files.ts'
import { type RunnerExit, type RunnerProcess, startRunnerProcess } from '../task-runner/runner-process.ts'

/** How an attempt ended; what the server is told of it. */
export type AttemptEnd = Pick<
  FinishReport,
  'state' | 'retryable' | 'result' | 'error' | 'exit_code' | 'start_ms' | 'end_ms'
>

export interface AttemptRunner {
  /** Once. Answers when the attempt has ended, however it did, and nothing of it runs any more. */
  run(order: AttemptOrder, limits: { xcomMaxBytes: number; killGraceMs: number }): Promise<AttemptEnd>
  /** Signal, grace, kill; the first reason counts. An attempt that was not given yet never begins. */
  cancel(reason: CancelReason): void
  /** Ends everything at once; `run` may not answer any more. */
  kill(): void
}

/** The pod's words for what a scheduler's own runners call its shutdown. */
const shutdownReason = 'its pod was told to end'

/** The runner says that it lives; nobody here needs to know more often. */
const runnerHeartbeatMs = 60_000
/** Node takes a longer one for none at all. */
const longestTimerMs = 2 ** 31 - 1
/** Of a runner that ended before it could take the attempt. */
const shownOutputBytes = 4_096

/**
 * Starts the process.
 * @param deps.whyEnded what is known of an end that nobody asked for, such as a full disk
 * @throws Error where the system starts none
 */
export function startAttemptRunner(deps: {
  directory: string
  env: NodeJS.ProcessEnv
  whyEnded: () => string | undefined
}): AttemptRunner {
  const over = Promise.withResolvers<AttemptEnd>()
  let order: AttemptOrder | undefined
  let killGraceMs = 0
  let cancelReason: CancelReason | null = null
  let startMs: number | null = null
  let timeout: NodeJS.Timeout | undefined
  let killTimer: NodeJS.Timeout | undefined

  const runner: RunnerProcess = startRunnerProcess({
    settings: {
      directory: deps.directory,
      heartbeat_interval_ms: runnerHeartbeatMs,
      max_attempts: 1,
      max_rss_mb: Number.MAX_SAFE_INTEGER,
      xcom_max_bytes: Number.MAX_SAFE_INTEGER,
    },
    env: deps.env,
    onReport(report) {
      if (report.type === 'start') {
        startMs = report.start_ms
        const timeoutMs = order?.execution_timeout_ms ?? null
        if (timeoutMs !== null) cancelAt(performance.now() + timeoutMs)
      } else if (report.type === 'finish') settle(report)
    },
    onExit: (exit) => settle(endOf(exit)),
  })

  function cancelAt(deadline: number): void {
    const left = deadline - performance.now()
    if (left <= 0) cancel('timeout')
    else timeout = setTimeout(() => cancelAt(deadline), Math.min(left, longestTimerMs))
  }

  function settle({ state, retryable, result, error, exit_code, start_ms, end_ms }: AttemptEnd): void {
    clearTimeout(timeout)
    clearTimeout(killTimer)
    // What the task left running ends with it.
    runner.kill()
    over.resolve({ state, retryable, result, error, exit_code, start_ms, end_ms })
  }

  function endOf(exit: RunnerExit): AttemptEnd {
    const now = Date.now()
    const failed = { state: 'failed', retryable: true, result: null, end_ms: now } as const
    const ended = runnerEnded(exit, cancelReason, {
      ...(cancelReason === 'shutdown' && { reason: shutdownReason }),
      why: deps.whyEnded() ?? (startMs === null ? lastWords() : undefined),
    })
    if (order !== undefined) saveLastOutput(deps.directory, order.log_path)
    return { ...failed, error: ended, exit_code: exit.code, start_ms: startMs ?? now }
  }

  function lastWords(): string | undefined {
    try {
      return outputTail(deps.directory, shownOutputBytes).trim() || undefined
    } catch (error) {
      return messageOf(error)
    }
  }

  function cancel(reason: CancelReason): void {
    if (cancelReason !== null) return
    cancelReason = reason
    if (order === undefined) return
    runner.send({
      type: 'cancel',
      attempt_id: order.attempt_id,
      reason,
      ...(reason === 'shutdown' && { message: `the attempt was ended: ${shutdownReason}` }),
    })
    killTimer = setTimeout(() => runner.kill(), killGraceMs)
  }

  return {
    async run(itsOrder, limits) {
      if (cancelReason !== null) {
        runner.kill()
        return neverBegan(cancelReason)
      }
      order = itsOrder
      killGraceMs = limits.killGraceMs
      runner.send({ type: 'run', attempts: [order], xcom_max_bytes: limits.xcomMaxBytes })
      return await over.promise
    },
    cancel,
    kill: () => runner.kill(),
  }
}

function neverBegan(reason: CancelReason): AttemptEnd {
  return failedBeforeStart('AttemptCancelled', `ended before it began: ${reason}`)
}

/** An attempt that failed before its code could run. */
export function failedBeforeStart(name: string, message: string): AttemptEnd {
  const now = Date.now()
  return {
    state: 'failed',
    retryable: true,
    result: null,
    error: { name, message, stack: null },
    exit_code: null,
    start_ms: now,
    end_ms: now,
  }
}
