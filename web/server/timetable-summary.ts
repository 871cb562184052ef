// A schedule in a few letters, for lists.
import type { ScheduleManifest } from '../../runtime/manifest.ts'

const units = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1_000],
  ['ms', 1],
] as const

/** `0 6 * * 1-5 (Europe/Berlin)`, `every 1h30m`, `once`; null: only when somebody triggers it. */
export function timetableSummary(schedule: ScheduleManifest | null): string | null {
  if (schedule === null) return null
  if (schedule.type === 'once') return 'once'
  if (schedule.type === 'interval') return `every ${shortDuration(schedule.every_ms)}`
  return schedule.timezone === 'UTC' ? schedule.expression : `${schedule.expression} (${schedule.timezone})`
}

/** As runtime/duration.ts reads it: `1h30m`. */
function shortDuration(ms: number): string {
  let rest = ms
  let text = ''
  for (const [unit, unitMs] of units) {
    const amount = Math.floor(rest / unitMs)
    if (amount > 0) text += `${amount}${unit}`
    rest -= amount * unitMs
  }
  return text
}
