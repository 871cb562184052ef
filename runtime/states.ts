// The states of runs, task instances and attempts: who sets each, the named sets, and the one table of
// allowed moves. Code, the database's checks, the docs and the tests all read this file; a state that is
// not here does not exist. Names are Airflow's. It imports nothing.

/** States of a TaskInstance. `none` has no row in the database: the task was not reached yet. */
export const TaskInstanceState = {
  /** Not decided yet; upstream tasks are unfinished. Set by: nobody (the absence of a row). */
  none: 'none',
  /** An attempt exists and waits for, or is on its way to, an executor. Set by: the scheduler. */
  queued: 'queued',
  /** The attempt reported that it began. Set by: the scheduler, from the attempt's `start`. */
  running: 'running',
  /** The attempt finished well; its result is committed with this state. */
  success: 'success',
  /** The attempt failed for good: no retries left, or the error said not to retry. */
  failed: 'failed',
  /** The attempt failed and the next one starts at `next_try_at`. */
  up_for_retry: 'up_for_retry',
  /** The task asked to be skipped, or its trigger rule says so. No attempt of it succeeds. */
  skipped: 'skipped',
  /** An upstream task failed and the trigger rule forbids to run. */
  upstream_failed: 'upstream_failed',
} as const
export type TaskInstanceState = (typeof TaskInstanceState)[keyof typeof TaskInstanceState]

/** States of a DagRun. `queued` waits for `max_active_runs` or for a paused Dag. */
export const DagRunState = {
  queued: 'queued',
  running: 'running',
  success: 'success',
  failed: 'failed',
} as const
export type DagRunState = (typeof DagRunState)[keyof typeof DagRunState]

/** What an attempt reports when it ends, and what stands in its row. */
export const AttemptState = {
  queued: 'queued',
  running: 'running',
  success: 'success',
  failed: 'failed',
  skipped: 'skipped',
} as const
export type AttemptState = (typeof AttemptState)[keyof typeof AttemptState]

/** How a DagRun came to be; also the prefix of its run_id. */
export const RunType = { scheduled: 'scheduled', manual: 'manual' } as const
export type RunType = (typeof RunType)[keyof typeof RunType]

/** A task instance in one of these changes only when somebody clears it. */
export const finishedTaskInstanceStates: readonly TaskInstanceState[] = [
  'success',
  'failed',
  'skipped',
  'upstream_failed',
]

/** A DagRun in one of these has no unfinished task instance. */
export const finishedDagRunStates: readonly DagRunState[] = ['success', 'failed']

/** A task instance in one of these has an attempt that may be executing now. */
export const activeTaskInstanceStates: readonly TaskInstanceState[] = ['queued', 'running']

/**
 * Every allowed move of a task instance, from → to. Clearing moves a finished state, or one that waits for its
 * retry, to `none`; what is decided at once then (run it, or an upstream task forbids it) is one move with it.
 */
export const taskInstanceMoves: Readonly<Record<TaskInstanceState, readonly TaskInstanceState[]>> = {
  none: ['queued', 'skipped', 'upstream_failed', 'failed'],
  queued: ['running', 'success', 'failed', 'skipped', 'up_for_retry', 'none'],
  running: ['success', 'failed', 'skipped', 'up_for_retry', 'none'],
  up_for_retry: ['none', 'queued', 'failed', 'skipped', 'upstream_failed'],
  success: ['none', 'queued', 'skipped', 'upstream_failed'],
  failed: ['none', 'queued', 'skipped', 'upstream_failed'],
  skipped: ['none', 'queued', 'skipped', 'upstream_failed'],
  upstream_failed: ['none', 'queued', 'skipped', 'upstream_failed'],
}
