// The TaskContext of an attempt, from its order.
import type { TaskContext, TaskLog } from '../authoring/context.ts'
import type { LogLevel } from '../log-line.ts'
import type { AttemptOrder } from './protocol.ts'

/** @param write appends one line of a `log` call to the attempt's log */
export function attemptContext(
  order: Omit<AttemptOrder, 'token' | 'log_path'>,
  signal: AbortSignal,
  write: (level: LogLevel, message: string, fields?: Record<string, unknown>) => void,
): TaskContext {
  const at = (level: LogLevel) => (message: string, fields?: Record<string, unknown>) =>
    write(level, message, fields)
  const log: TaskLog = { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
  const { data_interval_start: start, data_interval_end: end } = order
  return {
    dagId: order.dag_id,
    runId: order.run_id,
    taskId: order.task_id,
    mapIndex: order.map_index,
    tryNumber: order.try_number,
    maxTries: order.max_tries,
    runType: order.run_type,
    logicalDate: order.logical_date === null ? null : new Date(order.logical_date),
    interval: start === null || end === null ? null : { start: new Date(start), end: new Date(end) },
    params: JSON.parse(order.params) as Record<string, unknown>,
    log,
    signal,
    sourcePath: order.source_path,
  }
}
