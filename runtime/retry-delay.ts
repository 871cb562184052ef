// How long a failed attempt waits for the next one.
import type { TaskManifest } from './manifest.ts'

/** Milliseconds between the end of attempt `tryNumber` (1 for the first) and the start of the next. */
export function retryDelayMs(
  task: Pick<TaskManifest, 'retry_delay_ms' | 'retry_exponential_backoff' | 'max_retry_delay_ms'>,
  tryNumber: number,
): number {
  // Bounded, since a delay of 0 times Infinity would be NaN.
  const factor = Math.min(Math.max(1, task.retry_exponential_backoff) ** (tryNumber - 1), Number.MAX_VALUE)
  return Math.min(Math.round(task.retry_delay_ms * factor), task.max_retry_delay_ms)
}
