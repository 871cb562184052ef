// From a line that came out of a task runner to a report. User code runs in that process and can write to its
// descriptors and replace what is global there, so a line is believed only as far as its shape: one that is no
// report says nothing, and what a report carries can be committed.
import { jsonFault, storableText } from '../storable.ts'
import type { ErrorReport, FinishReport, RunnerReport } from './protocol.ts'

/** Characters of each text of an error; longer ones hold up the commit that they share with others. */
const maxErrorText = 100_000
/** The end of the year 9999: later ones, and those before the epoch, are written in a way that Postgres does not read. */
export const maxTimeMs = 253_402_300_799_999

/** @returns null where the line is no report: cut by a kill or a full disk, or written by user code */
export function parseReport(line: string): RunnerReport | null {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch {
    return null
  }
  if (typeof value !== 'object' || value === null) return null
  const report = value as Record<string, unknown>
  const isOfAttempt = isText(report.attempt_id) && isText(report.token)
  switch (report.type) {
    case 'ready':
      return isWhole(report.pid) ? (value as RunnerReport) : null
    case 'start':
      return isOfAttempt && isTime(report.start_ms) ? (value as RunnerReport) : null
    case 'heartbeat':
      return isOfAttempt ? (value as RunnerReport) : null
    case 'revoked':
      return Array.isArray(report.attempt_ids) && report.attempt_ids.every(isText)
        ? (value as RunnerReport)
        : null
    case 'finish':
      return isOfAttempt && isFinish(report) ? storableEnd(value as FinishReport) : null
    default:
      return null
  }
}

function isFinish(report: Record<string, unknown>): boolean {
  const { state, result, error, exit_code: exitCode } = report
  return (
    (state === 'success' || state === 'failed' || state === 'skipped') &&
    typeof report.retryable === 'boolean' &&
    typeof report.reusable === 'boolean' &&
    (result === null || isText(result)) &&
    (error === null || isError(error)) &&
    (exitCode === null || isWhole(exitCode)) &&
    isTime(report.start_ms) &&
    isTime(report.end_ms)
  )
}

function isError(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  const { name, message, stack } = value as Record<string, unknown>
  return isText(name) && isText(message) && (stack === null || isText(stack))
}

const isText = (value: unknown): value is string => typeof value === 'string'
/** As Postgres' integer. */
const isWhole = (value: unknown) => Number.isInteger(value) && (value as number) === ((value as number) | 0)
const isTime = (value: unknown) =>
  Number.isInteger(value) && (value as number) >= 0 && (value as number) <= maxTimeMs

/** A result that cannot be kept is a failure of its task alone, and would be one again. */
export function storableEnd<Report extends Pick<FinishReport, 'state' | 'retryable' | 'result' | 'error'>>(
  report: Report,
): Report {
  const fault = report.result === null ? null : jsonFault(report.result)
  if (fault !== null) {
    const message = `the task's result ${fault}, so it cannot be kept: return plain data, or a reference (a path, a key) to it`
    const error = { name: 'TaskFailError', message, stack: null }
    return { ...report, state: 'failed', retryable: false, result: null, error }
  }
  return report.error === null ? report : { ...report, error: storableError(report.error) }
}

/** An error as Postgres can keep it. */
export function storableError({ name, message, stack }: ErrorReport): ErrorReport {
  const text = (given: string) => storableText(given.slice(0, maxErrorText))
  return { name: text(name), message: text(message), stack: stack === null ? null : text(stack) }
}
