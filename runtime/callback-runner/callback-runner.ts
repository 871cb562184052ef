// Calls the callbacks of one attempt, one at a time, as it is told: imports the run's bundle, finds the function, and
// sends what it prints and how it ended. It judges nothing: time limits and kills are the scheduler's.
import { dirname } from 'node:path'
import type { TaskDefinition } from '../authoring/definition.ts'
import { outcomeOf } from '../authoring/outcome.ts'
import type { PodCallback } from '../authoring/pod-callbacks.ts'
import { TaskAbortedError } from '../errors.ts'
import { userStack } from '../loader/import-error.ts'
import type { LogLevel, LogLine, LogStream } from '../log-line.ts'
import { attemptContext } from '../task-runner/attempt-context.ts'
import { lineText } from '../task-runner/attempt-log.ts'
import { createBundleCache } from '../task-runner/bundle-cache.ts'
import { captureConsole } from '../task-runner/capture-console.ts'
import { enterSource } from '../task-runner/enter-source.ts'
import type { ErrorReport } from '../task-runner/protocol.ts'
import type { CallbackAttempt, CallbackCall, CallbackOrder } from './protocol.ts'

/** Taken before a callback may replace it. */
const { stringify } = JSON
/** Characters of a message; what is longer is cut, so that it need not fit into the scheduler's memory. */
const maxMessage = 100_000

export interface CallbackRunner {
  take(order: CallbackOrder): void
  /** An error that no callback caught: the one that runs fails by it, and the process is to end. */
  uncaught(error: unknown): void
}

/** @param deps.send takes one line of JSON, without its line break */
export function createCallbackRunner(deps: { send: (text: string) => void }): CallbackRunner {
  const { send } = deps
  const bundles = createBundleCache()
  let attempt: CallbackAttempt | undefined
  let current: CallbackCall | undefined

  function write(level: LogLevel, stream: LogStream, msg: string, fields?: Record<string, unknown>): void {
    const text = String(msg)
    const cut = text.length > maxMessage ? `${text.slice(0, maxMessage)}…` : text
    const line: LogLine = { ts: new Date().toISOString(), level, stream, msg: cut }
    const name = current === undefined ? {} : { callback: current.name }
    send(`{"type":"line","line":${lineText(line, { ...fields, ...name })}}`)
  }
  const printed = captureConsole(write)

  async function run(call: CallbackCall): Promise<void> {
    current = call
    send(stringify({ type: 'began', call: call.call }))
    const { name, index, pod, timeout_ms, line = '', container = '' } = call
    const abort = new AbortController()
    const late = new TaskAbortedError(`it took longer than ${timeout_ms / 1000} s`)
    const timer = setTimeout(() => abort.abort(late), timeout_ms)
    let error: ErrorReport | null = null
    try {
      enterSource(attempt!)
      const callback = await callbackOf(attempt!, name, index)
      const context = attemptContext(attempt!, abort.signal, (level, msg, fields) =>
        write(level, 'log', msg, fields),
      )
      await callback.run({ pod, context, log: context.log, signal: abort.signal, line, container })
    } catch (thrown) {
      error = reportOf(thrown)
    }
    clearTimeout(timer)
    done(error, false)
  }

  async function callbackOf(
    { bundle_hash, bundle_path, source_path, dag_id, task_id }: CallbackAttempt,
    name: string,
    index: number,
  ): Promise<PodCallback> {
    const bundle = { hash: bundle_hash, path: bundle_path, sourcePath: source_path }
    const definition: TaskDefinition | undefined = (await bundles.dag(bundle, dag_id)).tasks.get(task_id)
    const callbacks = definition !== undefined && 'callbacks' in definition ? definition.callbacks : []
    const callback = callbacks.filter((one) => one.name === name)[index]
    if (callback) return callback
    throw new Error(`task '${task_id}' of Dag '${dag_id}' has no such callback when it is imported here`)
  }

  function done(error: ErrorReport | null, is_last: boolean): void {
    if (current === undefined) return
    printed.flush()
    const { call } = current
    current = undefined
    send(stringify({ type: 'done', call, error, is_last }))
  }

  /** Source maps lead to files beside the bundle; their author knows them by their places in the repository. */
  function reportOf(thrown: unknown): ErrorReport {
    const { error } = outcomeOf(thrown)
    const { name, message, stack } = error ?? { name: 'Error', message: String(thrown), stack: null }
    const shown = stack && userStack(stack, dirname(attempt?.bundle_path ?? '/'))
    return { name, message: message.slice(0, maxMessage), stack: shown?.slice(0, maxMessage) ?? null }
  }

  return {
    take(order) {
      if (order.type === 'begin') attempt = order.attempt
      else void run(order)
    },
    uncaught(error) {
      const report = reportOf(error)
      if (current !== undefined) done(report, true)
      else write('warn', 'branchline', `an error that nothing caught: ${report.stack ?? report.message}`)
    },
  }
}
