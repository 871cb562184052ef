// Durations as people write them in Dags and configuration: '30s', '5m', '1h30m', '2d', or a number of milliseconds.
import { InvalidInputError } from './errors.ts'

const unitMs = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const
const partPattern = /(\d+(?:\.\d+)?)(ms|s|m|h|d)/g
const wholePattern = /^(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+$/

export type Duration = string | number

/**
 * Milliseconds of a duration.
 * @throws InvalidInputError where the text is none, or the number is negative or not finite
 */
export function durationMs(duration: Duration): number {
  if (typeof duration === 'number' && Number.isFinite(duration) && duration >= 0) return duration
  if (typeof duration === 'string' && wholePattern.test(duration)) {
    let total = 0
    for (const [, amount, unit] of duration.matchAll(partPattern)) {
      total += Number(amount) * unitMs[unit as keyof typeof unitMs]
    }
    return Math.round(total)
  }
  throw new InvalidInputError(
    `${JSON.stringify(duration)} is not a duration: write milliseconds as a number, or '500ms', '30s', '5m', '1h30m', '2d'`,
  )
}
