// Points in time as authors write them. A text without an offset means the wall clock of the Dag's time zone,
// never that of the machine that happens to import the module: otherwise the same commit would have other
// dates, and thus another manifest, on a laptop and in a cluster.
import { type OptionPlace, refuse } from './option-values.ts'

const pattern =
  /^(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,3})\d*)?)?)?(Z|[+-]\d{2}:?\d{2})?$/

const expected =
  "a Date or an ISO 8601 date such as '2026-01-31', '2026-01-31T06:00' (both in the Dag's timezone) or '2026-01-31T06:00:00Z'"

/** Whether `timezone` is an IANA name (or an offset) that this Node knows. */
export function isTimezone(timezone: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: timezone })
    return true
  } catch {
    return false
  }
}

/**
 * ISO 8601 in UTC with milliseconds; null where absent.
 * @throws DagDefinitionError where it is no date, or one that no calendar has
 */
export function readInstant(at: OptionPlace, value: unknown, timezone: string): string | null {
  if (value === undefined || value === null) return null
  if (value instanceof Date) {
    return Number.isNaN(value.getTime()) ? refuse(at, value, expected) : value.toISOString()
  }
  const match = typeof value === 'string' ? pattern.exec(value.trim()) : null
  if (match === null) return refuse(at, value, expected)
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map((part) => Number(part ?? 0)) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ]
  const wallMs = Date.UTC(year, month - 1, day, hour, minute, second, Number((match[7] ?? '').padEnd(3, '0')))
  const wall = new Date(wallMs)
  // Date.UTC turns February 30th into March 2nd and the year 26 into 1926; what comes back changed was no date.
  if (
    wall.getUTCFullYear() !== year ||
    wall.getUTCMonth() !== month - 1 ||
    wall.getUTCDate() !== day ||
    hour > 23 ||
    minute > 59 ||
    second > 59
  ) {
    return refuse(at, value, expected)
  }
  const offset = match[8]
  const ms = offset === undefined ? utcOfWallMs(wallMs, timezone) : wallMs - offsetMs(offset)
  return new Date(ms).toISOString()
}

function offsetMs(offset: string): number {
  if (offset === 'Z') return 0
  const digits = offset.replace(/\D/g, '')
  const minutes = Number(digits.slice(0, 2)) * 60 + Number(digits.slice(2))
  return (offset.startsWith('-') ? -minutes : minutes) * 60_000
}

/**
 * The instant at which the zone's clock shows `wallMs` (read as if it were UTC). A time that comes twice means
 * the first; one that the clock skips means the same distance after the skip.
 */
function utcOfWallMs(wallMs: number, timezone: string): number {
  const day = 86_400_000
  // A zone changes its offset at most once within two days, so one of these two is right, or the clock skips it.
  const before = wallMs - zoneOffsetMs(wallMs - day, timezone)
  const after = wallMs - zoneOffsetMs(wallMs + day, timezone)
  const isShown = (ms: number) => ms + zoneOffsetMs(ms, timezone) === wallMs
  return isShown(before) || !isShown(after) ? before : after
}

/** What the zone's clock shows at `ms`, minus UTC. */
function zoneOffsetMs(ms: number, timezone: string): number {
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone: timezone,
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  })
  const part = Object.fromEntries(
    format.formatToParts(ms).map(({ type, value }) => [type, Number(value)]),
  ) as Record<'year' | 'month' | 'day' | 'hour' | 'minute' | 'second', number>
  const shownMs = Date.UTC(part.year, part.month - 1, part.day, part.hour, part.minute, part.second)
  return shownMs - Math.floor(ms / 1000) * 1000
}
