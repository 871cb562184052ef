// What a task's function is given beside its inputs. Only types: the task runner and `testDag` each make one.
import type { RunType } from '../states.ts'

/** Lines of the attempt's own log. Fields stand beside the message and can be searched by name. */
export interface TaskLog {
  debug(message: string, fields?: Record<string, unknown>): void
  info(message: string, fields?: Record<string, unknown>): void
  warn(message: string, fields?: Record<string, unknown>): void
  error(message: string, fields?: Record<string, unknown>): void
}

/** The stretch of data that a run is about; `end` is the first instant that does not belong to it. */
export interface DataInterval {
  readonly start: Date
  readonly end: Date
}

/** One attempt of one task, seen from within. */
export interface TaskContext {
  readonly dagId: string
  readonly runId: string
  /** With the ids of its groups before it, joined by `.`. */
  readonly taskId: string
  /** -1: the task is not mapped. */
  readonly mapIndex: number
  /** 1 for the first attempt. */
  readonly tryNumber: number
  /** retries + 1. */
  readonly maxTries: number
  readonly runType: RunType
  /** null for a manual run that was given none. */
  readonly logicalDate: Date | null
  /** null for a manual run that was given none. */
  readonly interval: DataInterval | null
  /** Params of the run over the default values of the Dag. */
  readonly params: Readonly<Record<string, unknown>>
  readonly log: TaskLog
  /**
   * Fires on timeout, cancel and shutdown, with an Error as its reason. Hand it to whatever you wait for
   * (`fetch(url, { signal })`): what still runs a little later is killed.
   */
  readonly signal: AbortSignal
  /** Directory of the commit that the run is pinned to. */
  readonly sourcePath: string
}
