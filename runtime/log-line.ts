// One line of an attempt's log file, and where that file is. The file is newline-delimited JSON, appended to
// while the attempt runs, so that `tail -f`, `grep` and `jq` work on it, and it is whole up to the last write
// whatever is killed. An attempt that logged nothing has no file.
import { join } from 'node:path'

export const LogLevel = { debug: 'debug', info: 'info', warn: 'warn', error: 'error' } as const
export type LogLevel = (typeof LogLevel)[keyof typeof LogLevel]

/** Where a line came from: a `log` call, the console, raw output of the process and its children, or Branchline. */
export type LogStream = 'log' | 'console' | 'stdout' | 'stderr' | 'branchline'

export interface LogLine {
  /** ISO 8601 with milliseconds, UTC: when the line was written, or read from a child's output. */
  ts: string
  level: LogLevel
  stream: LogStream
  msg: string
  /** Fields of a `log` call beside the message. */
  [field: string]: unknown
}

/** What identifies an attempt for people and paths. */
export interface AttemptPlace {
  dag_id: string
  run_id: string
  task_id: string
  map_index: number
  try_number: number
}

/** `dag_id=…/run_id=…/task_id=…/[map_index=…/]attempt=N.log` below `logsDir`; map_index only where it is ≥ 0. */
export function attemptLogPath(logsDir: string, place: AttemptPlace): string {
  const mapped = place.map_index < 0 ? [] : [`map_index=${place.map_index}`]
  return join(
    logsDir,
    `dag_id=${place.dag_id}`,
    `run_id=${place.run_id}`,
    `task_id=${place.task_id}`,
    ...mapped,
    `attempt=${place.try_number}.log`,
  )
}
