// What it means for an attempt that its task threw something: one judgement for the task runner and `testDag`.
// Our errors are recognised by `code`, because a Dag may have been made by another copy of this module.
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { inspect } from 'node:util'
import type { ErrorReport } from '../task-runner/protocol.ts'

export interface Outcome {
  state: 'failed' | 'skipped'
  /** False where the error says that a further attempt is of no use. */
  retryable: boolean
  /** What was thrown; of a skip, its reason, without a stack. */
  error: ErrorReport
  /** Of a bash task's command, where it ended by itself. */
  exitCode: number | null
}

/** How an attempt ended that threw `thrown`, which may be anything. Does not throw. */
export function outcomeOf(thrown: unknown): Outcome {
  try {
    return judge(thrown)
  } catch {
    // A getter, a proxy or a toString of what was thrown throws itself.
    const message = 'something was thrown that cannot be looked at without it throwing again'
    return {
      state: 'failed',
      retryable: true,
      error: { name: 'Error', message, stack: null },
      exitCode: null,
    }
  }
}

function judge(thrown: unknown): Outcome {
  const code = property(thrown, 'code')
  const exitCode = property(property(thrown, 'details'), 'exit_code')
  const isSkip = code === 'TASK_SKIP'
  const error = errorReport(thrown)
  return {
    state: isSkip ? 'skipped' : 'failed',
    retryable: code !== 'TASK_FAIL' && !isSkip,
    error: isSkip ? { ...error, stack: null } : error,
    exitCode: typeof exitCode === 'number' ? exitCode : null,
  }
}

function property(of: unknown, name: string): unknown {
  return typeof of === 'object' && of !== null ? (of as Record<string, unknown>)[name] : undefined
}

/** An error as it is kept: without frames that are not the author's, and with what caused it. */
function errorReport(thrown: unknown): ErrorReport {
  if (!(thrown instanceof Error)) {
    return { name: 'Error', message: `${inspect(thrown)} was thrown, which is no Error`, stack: null }
  }
  return { name: String(thrown.name), message: String(thrown.message), stack: stackOf(thrown) }
}

/** Enough for every chain of causes that a person will read; a chain may also be a ring. */
const maxCauses = 5

function stackOf(error: Error): string | null {
  const stack = trimmedStack(error)
  const causes = causesOf(error)
  if (!stack.includes('\n    at ') && causes.length === 0) return null
  const told = causes.map((cause) => (cause instanceof Error ? trimmedStack(cause) : inspect(cause)))
  return [stack, ...told.map((text) => `Caused by: ${text}`)].join('\n')
}

/** Causes and their causes, the nearest first. */
function causesOf(error: Error): unknown[] {
  const found: unknown[] = [error]
  for (const current of found) {
    if (found.length > maxCauses) break
    found.push(...directCauses(current))
  }
  return found.slice(1, maxCauses + 1)
}

/** An AggregateError, such as that of a connection tried at several addresses, says all in its parts. */
function directCauses(error: unknown): unknown[] {
  if (!(error instanceof Error)) return []
  const parts = error instanceof AggregateError ? error.errors : []
  return [...(error.cause === undefined ? [] : [error.cause]), ...parts]
}

/** Where our own code is: the folder of the sources, or that of the bundles and what their source maps name. */
const ownFolders = import.meta.filename.endsWith('.ts')
  ? [dirname(import.meta.dirname)]
  : [import.meta.dirname, join(import.meta.dirname, '..', 'runtime')]

function trimmedStack(error: Error): string {
  const head = `${error.name}: ${error.message}`
  if (typeof error.stack !== 'string') return head
  // Only lines after the message are frames: the message itself may have lines that look like them. A message
  // that was changed since the stack was made is not in it.
  const messageAt = error.stack.indexOf(error.message)
  const frames = error.stack
    .slice(messageAt < 0 ? 0 : messageAt + error.message.length)
    .split('\n')
    .filter((line) => line.startsWith('    at ') && !isForeignFrame(line))
  return [head, ...frames].join('\n')
}

function isForeignFrame(frame: string): boolean {
  if (/[( ]node:/.test(frame)) return true
  const place = frame.replace(/^ {4}at (?:.* \()?/, '')
  const path = place.startsWith('file://') ? pathOf(place) : place
  return ownFolders.some((folder) => path.startsWith(`${folder}/`))
}

function pathOf(place: string): string {
  try {
    return fileURLToPath(place.replace(/[?#].*$/, ''))
  } catch {
    return place
  }
}
