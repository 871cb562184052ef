// Runs attempts one after another in this process: imports the bundle, calls the task, collects what it prints,
// reports how it ended. It decides nothing (retries, timeouts and kills are the scheduler's) but doubts itself:
// after an attempt that left handles, children or an uncaught error behind, it asks to be replaced.
import { dirname } from 'node:path'
import { performance } from 'node:perf_hooks'
import { executeTask } from '../authoring/execute.ts'
import { resultText } from '../authoring/jsonified.ts'
import { outcomeOf } from '../authoring/outcome.ts'
import { watchBuiltins } from '../builtins.ts'
import { TaskAbortedError } from '../errors.ts'
import { userStack } from '../loader/import-error.ts'
import { attemptContext } from './attempt-context.ts'
import { type AttemptLog, openAttemptLog } from './attempt-log.ts'
import { createBundleCache } from './bundle-cache.ts'
import { captureConsole } from './capture-console.ts'
import { enterSource } from './enter-source.ts'
import { createLeftovers } from './leftovers.ts'
import type {
  AttemptOrder,
  CancelReason,
  ErrorReport,
  FinishReport,
  RunnerReport,
  RunnerSettings,
} from './protocol.ts'
import type { RawOutput } from './raw-output.ts'

/** How often raw output of a running attempt is moved into its log. Larger: `tail -f` lags; smaller: idle cost. */
const rawOutputIntervalMs = 50

/**
 * The resident size is read after an attempt, but not again within this time, since reading it costs as much as a
 * small attempt. Larger: a runner may grow further before it is replaced.
 */
const sizeCheckIntervalMs = 100

export interface TaskRunner {
  /** @param xcomMaxBytes from now on instead of the settings' */
  run(attempts: AttemptOrder[], xcomMaxBytes?: number): void
  /** @param message default: the usual one for the reason */
  cancel(attemptId: string, reason: CancelReason, message?: string): void
  revoke(attemptIds: string[]): void
  /** An error that no task caught: the running attempt fails by it. */
  uncaught(error: unknown): void
}

interface Current {
  order: AttemptOrder
  log: AttemptLog
  abort: AbortController
  startMs: number
  /** Ends the attempt from outside its own promise. */
  fail(error: unknown): void
}

type Outcome = Pick<FinishReport, 'state' | 'retryable' | 'result' | 'error' | 'exit_code'>

const abortMessages: Record<CancelReason, string> = {
  timeout: 'the attempt took longer than its execution timeout',
  run_timeout: "the run took longer than its Dag's dagrunTimeout",
  cancelled: 'the attempt was cancelled',
  shutdown: 'the scheduler shut down',
}

export function createTaskRunner(deps: {
  settings: RunnerSettings
  rawOutput: RawOutput
  report: (report: RunnerReport) => void
  /** Whoever adopts this runner's attempts would have to read too much. */
  isJournalFull: () => boolean
  /** An attempt cannot be ended properly (its log cannot be written): this runner is of no more use. */
  onBroken: () => void
}): TaskRunner {
  const { settings, rawOutput, report, isJournalFull, onBroken } = deps
  const bundles = createBundleCache()
  const leftovers = createLeftovers()
  const areBuiltinsReplaced = watchBuiltins()
  const waiting: AttemptOrder[] = []
  let current: Current | undefined
  let isPumping = false
  let attemptCount = 0
  let isDoubtful = false
  let sizeReadAt = 0
  let xcomMaxBytes = settings.xcom_max_bytes

  const moveRawOutput = (isEnd = false) =>
    rawOutput.drain((line) => current?.log.write('info', 'stdout', line), isEnd)
  const printed = captureConsole((level, stream, text) => {
    moveRawOutput()
    current?.log.write(level, stream, text)
  })

  async function runOne(order: AttemptOrder): Promise<void> {
    const startMs = Date.now()
    const began = performance.now()
    const log = openAttemptLog(order.log_path)
    const abort = new AbortController()
    const interrupted = Promise.withResolvers<never>()
    interrupted.promise.catch(() => {})
    current = { order, log, abort, startMs, fail: interrupted.reject }
    report({ type: 'start', attempt_id: order.attempt_id, token: order.token, start_ms: startMs })

    let outcome: Outcome
    try {
      outcome = await Promise.race([execute(order, log, abort.signal), interrupted.promise])
      if (abort.signal.aborted) outcome = failure(abort.signal.reason)
    } catch (error) {
      outcome = failure(abort.signal.aborted ? abort.signal.reason : error)
    }
    printed.flush()
    moveRawOutput(true)
    const { error } = outcome
    if (outcome.state === 'skipped') log.write('info', 'branchline', `skipped: ${error?.message ?? ''}`)
    else if (error) log.write('error', 'branchline', error.stack ?? `${error.name}: ${error.message}`)
    log.close()
    current = undefined
    attemptCount += 1
    isDoubtful ||= isWornOut() || areBuiltinsReplaced() || (leftovers.found() && (await leftovers.remain()))
    isDoubtful ||= leftovers.hasProcesses()
    report({
      type: 'finish',
      attempt_id: order.attempt_id,
      token: order.token,
      ...outcome,
      start_ms: startMs,
      // The monotonic clock measures the length: a corrected system clock gives no negative durations.
      end_ms: startMs + Math.round(performance.now() - began),
      reusable: !isDoubtful,
    })
  }

  async function execute(order: AttemptOrder, log: AttemptLog, signal: AbortSignal): Promise<Outcome> {
    const bundle = { hash: order.bundle_hash, path: order.bundle_path, sourcePath: order.source_path }
    enterSource(order)
    const dag = await bundles.dag(bundle, order.dag_id).catch((error: unknown) => {
      isDoubtful = true
      throw error
    })
    const definition = dag.tasks.get(order.task_id)
    if (!definition)
      throw new Error(`Dag '${order.dag_id}' has no task '${order.task_id}' when it is imported here`)
    const inputs = Object.fromEntries(
      Object.entries(order.inputs).map(([name, text]) => [name, JSON.parse(text) as unknown]),
    )
    const context = attemptContext(order, signal, (level, message, fields) => {
      moveRawOutput()
      log.write(level, 'log', message, fields)
    })
    const result = await executeTask(definition, inputs, context, 'inherit')
    const text = resultText(order.task_id, result)
    checkSize(text)
    return { state: 'success', retryable: false, result: text, error: null, exit_code: null }
  }

  function isWornOut(): boolean {
    if (attemptCount >= settings.max_attempts || isJournalFull()) return true
    const now = performance.now()
    if (now - sizeReadAt < sizeCheckIntervalMs) return false
    sizeReadAt = now
    return process.memoryUsage.rss() > settings.max_rss_mb * 1024 * 1024
  }

  /** @throws Error where the result is longer than may be kept */
  function checkSize(text: string | null): void {
    const size = text === null ? 0 : Buffer.byteLength(text)
    if (size <= xcomMaxBytes) return
    throw new Error(
      `the task's result is ${size} bytes of JSON, more than the ${xcomMaxBytes} of xcom_max_bytes: return a reference (a path, a key) instead of the data`,
    )
  }

  function failure(thrown: unknown): Outcome {
    const { exitCode, error, ...outcome } = outcomeOf(thrown)
    return { ...outcome, error: error && namedByAuthor(error), result: null, exit_code: exitCode }
  }

  /** Source maps lead to files beside the bundle; their author knows them by their places in the repository. */
  function namedByAuthor(error: ErrorReport): ErrorReport {
    const bundlesDir = dirname(current!.order.bundle_path)
    return { ...error, stack: error.stack && userStack(error.stack, bundlesDir) }
  }

  function beat(): void {
    if (!current) return
    const { attempt_id, token } = current.order
    report({ type: 'heartbeat', attempt_id, token })
  }

  async function pump(): Promise<void> {
    // In doubt of itself it begins nothing more; what it was given ahead is about to be asked back.
    if (isPumping || isDoubtful) return
    isPumping = true
    // What was written while no attempt ran is nobody's.
    rawOutput.skip()
    const heartbeat = setInterval(beat, settings.heartbeat_interval_ms)
    const rawOutputTimer = setInterval(moveRawOutput, rawOutputIntervalMs)
    leftovers.begin()
    for (let next = waiting.shift(); next; next = isDoubtful ? undefined : waiting.shift()) await runOne(next)
    clearInterval(heartbeat)
    clearInterval(rawOutputTimer)
    isPumping = false
  }

  return {
    run(attempts, itsXcomMaxBytes = xcomMaxBytes) {
      xcomMaxBytes = itsXcomMaxBytes
      waiting.push(...attempts)
      pump().catch(onBroken)
    },
    cancel(attemptId, reason, message = abortMessages[reason]) {
      if (current?.order.attempt_id !== attemptId) return
      current.abort.abort(new TaskAbortedError(message, { details: { reason } }))
    },
    revoke(attemptIds) {
      const revoked = attemptIds.filter((id) => waiting.some(({ attempt_id }) => attempt_id === id))
      for (const id of revoked) {
        waiting.splice(
          waiting.findIndex(({ attempt_id }) => attempt_id === id),
          1,
        )
      }
      report({ type: 'revoked', attempt_ids: revoked })
    },
    uncaught(error) {
      isDoubtful = true
      current?.log.write('error', 'branchline', 'an error was thrown that nothing caught')
      current?.fail(error)
    },
  }
}
