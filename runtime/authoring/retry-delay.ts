// How long a task waits between a failed attempt and the next.
import type { TaskManifest } from '../manifest.ts'

type RetryFields = Pick<TaskManifest, 'retry_delay_ms' | 'retry_exponential_backoff' | 'max_retry_delay_ms'>

/** Milliseconds from the end of attempt `tryNumber` (1 for the first) to the start of the next. */
export function retryDelayMs(task: RetryFields, tryNumber: number): number {
  const grown = task.retry_delay_ms * task.retry_exponential_backoff ** (tryNumber - 1)
  return Math.min(grown, task.max_retry_delay_ms)
}
