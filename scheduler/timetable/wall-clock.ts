// The instants at which a schedule of the wall clock runs in a time zone, with Airflow's rules for the two nights
// a year on which the clock jumps:
// - doubled hour (the clock goes back): a schedule of every hour runs in both passes, any other in the second;
// - skipped hour (the clock goes forward): a schedule of every hour has nothing to run; any other runs its first
//   skipped time, later by as much as the clock jumped, unless it has a time of its own until then.
//
// The set of instants depends on nothing but schedule and zone, so 'first from' and 'last until' agree wherever
// one starts. Airflow instead adds differences of wall times to the last run: a schedule of every hour on some
// days (`0 * * * 1`) then begins an hour off after a change between these days, and one in a zone that changes by
// half an hour runs at :30; neither is imitated.

import type { WallSchedule } from './cron.ts'
import type { Recurrence } from './recurrence.ts'
import type { TimeZone, ZoneSpan } from './time-zone.ts'

/** A wall schedule's instants in a zone. */
export function inTimeZone(schedule: WallSchedule, zone: TimeZone): Recurrence {
  return {
    firstAtOrAfter: (instant) => firstAtOrAfter(schedule, zone, instant),
    lastAtOrBefore: (instant) => lastAtOrBefore(schedule, zone, instant),
  }
}

function firstAtOrAfter(schedule: WallSchedule, zone: TimeZone, instant: number): number | null {
  let span = zone.spanAt(instant)
  const late = skippedRun(schedule, zone, span)
  if (late !== null && late >= instant) return late
  let wall = schedule.after(instant + span.offset - 1)
  while (wall !== null) {
    const next = zone.spanAt(span.end)
    if (wall <= lastWall(schedule, span, next)) return wall - span.offset
    // The next span's wall clock begins in the past (doubled), in the future (skipped) or where this one ends.
    const nextWall = next.start + next.offset
    const isSkipped = wall < nextWall
    const mayRepeat = next.offset < span.offset
    if (isSkipped) {
      const skipped = skippedRun(schedule, zone, next)
      if (skipped !== null) return skipped
    }
    if (isSkipped || mayRepeat) wall = schedule.after(nextWall - 1)
    span = next
  }
  return null
}

function lastAtOrBefore(schedule: WallSchedule, zone: TimeZone, instant: number): number | null {
  let span = zone.spanAt(instant)
  for (let until = instant; ; until = span.start - 1, span = zone.spanAt(until)) {
    const last = lastWall(schedule, span, zone.spanAt(span.end))
    const wall = schedule.atOrBefore(Math.min(until + span.offset, last))
    if (wall === null) return null
    if (wall >= span.start + span.offset) return wall - span.offset
    const late = skippedRun(schedule, zone, span)
    if (late !== null && late <= until) return late
  }
}

/** The last wall time that is `span`'s to run: what the next span's clock will read again is left to that one. */
function lastWall(schedule: WallSchedule, span: ZoneSpan, next: ZoneSpan): number {
  const offset = schedule.everyHour ? span.offset : Math.min(span.offset, next.offset)
  return span.end + offset - 1
}

/** The instant at which `span` makes up for what was skipped by the jump that began it, or null. */
function skippedRun(schedule: WallSchedule, zone: TimeZone, span: ZoneSpan): number | null {
  const before = zone.spanAt(span.start - 1)
  if (schedule.everyHour || before.offset >= span.offset) return null
  const wallStart = span.start + span.offset
  const skipped = schedule.after(span.start + before.offset - 1)
  if (skipped === null || skipped >= wallStart) return null
  const late = skipped - before.offset
  const own = schedule.after(wallStart - 1)
  return own !== null && own - span.offset <= late ? null : late
}
