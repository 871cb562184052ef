import { expect, test } from 'vitest'
import { retryDelayMs } from '../../runtime/retry-delay.ts'

const dayMs = 86_400_000

test.each([
  // delay, backoff, most, attempt that failed, expected
  [300_000, 1, dayMs, 1, 300_000],
  [300_000, 1, dayMs, 7, 300_000],
  [1_000, 2, dayMs, 1, 1_000],
  [1_000, 2, dayMs, 2, 2_000],
  [1_000, 2, dayMs, 5, 16_000],
  [1_000, 1.1, dayMs, 4, 1_331],
  [1_000, 3, 5_000, 2, 3_000],
  [1_000, 3, 5_000, 3, 5_000],
  [1_000, 3, 5_000, 100, 5_000],
  // A backoff below 1 would make delays shorter and shorter; it counts as 1.
  [1_000, 0, dayMs, 3, 1_000],
  [1_000, 0.5, dayMs, 3, 1_000],
  [0, 2, dayMs, 3, 0],
  // 2 ** 1999 is Infinity.
  [1_000, 2, dayMs, 2_000, dayMs],
  [0, 2, dayMs, 2_000, 0],
  [1_000, 2, 0, 1, 0],
])(
  'a delay of %i ms with backoff %f, %i at most, is after attempt %i: %i ms',
  (delay, backoff, most, tryNumber, expected) => {
    const task = { retry_delay_ms: delay, retry_exponential_backoff: backoff, max_retry_delay_ms: most }
    expect(retryDelayMs(task, tryNumber)).toBe(expected)
  },
)
