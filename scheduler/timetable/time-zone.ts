// Time zones as spans of constant offset, so that turning an instant into a wall time and back is an addition.
// Intl only answers 'what does the clock read now', at about two microseconds a question; the changes of a year
// are found once by asking it each week and then halving, and kept for the life of the process.
import { DagDefinitionError } from '../../runtime/errors.ts'
import { didYouMean } from '../../runtime/nearest.ts'

/** Instants from `start` up to but not including `end` have wall time = instant + offset; all in milliseconds. */
export interface ZoneSpan {
  start: number
  end: number
  offset: number
}

/** A time zone. Spans also end at the turn of a UTC year, so a neighbour may have the same offset. */
export interface TimeZone {
  spanAt(instant: number): ZoneSpan
}

const secondMs = 1_000
// Larger would miss a change that is taken back within one step (Morocco's summer time pauses for a month);
// smaller costs more questions for each year.
const stepMs = 7 * 86_400_000

const zones = new Map<string, TimeZone>()

/**
 * The zone of an IANA name, made once for each name.
 * @throws DagDefinitionError where there is no such zone, or the name is an offset such as `+02:00`
 */
export function timeZone(name: string): TimeZone {
  let zone = zones.get(name)
  if (zone === undefined) {
    zone = createZone(formatOf(name))
    zones.set(name, zone)
  }
  return zone
}

function formatOf(name: string): Intl.DateTimeFormat {
  if (/^[+-]/.test(name)) {
    throw new DagDefinitionError(
      `timezone ${JSON.stringify(name)} is an offset: write the name of a zone, such as 'Europe/Berlin' or 'UTC'`,
      { details: { timezone: name } },
    )
  }
  try {
    return new Intl.DateTimeFormat('en-US', {
      timeZone: name,
      hourCycle: 'h23',
      era: 'narrow',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    })
  } catch (cause) {
    throw new DagDefinitionError(
      `timezone ${JSON.stringify(name)} is not known: write an IANA name such as 'Europe/Berlin' or 'UTC'.${didYouMean(name, Intl.supportedValuesOf('timeZone'))}`,
      { details: { timezone: name }, cause },
    )
  }
}

function createZone(format: Intl.DateTimeFormat): TimeZone {
  const years = new Map<number, ZoneSpan[]>()
  return {
    spanAt(instant) {
      const year = new Date(instant).getUTCFullYear()
      let spans = years.get(year)
      if (spans === undefined) {
        spans = spansOfYear(format, year)
        years.set(year, spans)
      }
      return spans.find((span) => instant < span.end)!
    },
  }
}

function spansOfYear(format: Intl.DateTimeFormat, year: number): ZoneSpan[] {
  const yearEnd = startOfYear(year + 1)
  const spans: ZoneSpan[] = []
  let start = startOfYear(year)
  let offset = offsetAt(format, start)
  for (let known = start; known < yearEnd; ) {
    const probe = Math.min(known + stepMs, yearEnd)
    // The last second of the year stands for its end, which belongs to the next year.
    const probed = offsetAt(format, probe === yearEnd ? probe - secondMs : probe)
    if (probed === offset) {
      known = probe
      continue
    }
    const change = firstChange(format, known, probe, offset)
    spans.push({ start, end: change, offset })
    start = change
    known = change
    offset = offsetAt(format, change)
  }
  spans.push({ start, end: yearEnd, offset })
  return spans
}

/** The first second in (from, to] at which the offset is no longer `offset`. */
function firstChange(format: Intl.DateTimeFormat, from: number, to: number, offset: number): number {
  let [same, changed] = [from, to]
  while (changed - same > secondMs) {
    const middle = same + Math.floor((changed - same) / (2 * secondMs)) * secondMs
    if (offsetAt(format, middle) === offset) same = middle
    else changed = middle
  }
  return changed
}

function startOfYear(year: number): number {
  // Date.UTC reads the years 0 to 99 as 1900 to 1999.
  return new Date(0).setUTCFullYear(year, 0, 1)
}

function offsetAt(format: Intl.DateTimeFormat, instant: number): number {
  const wall = { era: 'A', year: 0, month: 0, day: 0, hour: 0, minute: 0, second: 0 }
  for (const { type, value } of format.formatToParts(instant)) {
    if (type === 'era') wall.era = value
    else if (type in wall) wall[type as 'year'] = Number(value)
  }
  // Year 1 before our era is year 0.
  const year = wall.era.startsWith('B') ? 1 - wall.year : wall.year
  const date = new Date(0)
  date.setUTCFullYear(year, wall.month - 1, wall.day)
  return date.setUTCHours(wall.hour, wall.minute, wall.second) - instant
}
