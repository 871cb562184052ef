// Times and durations as people read them: local time, and no more digits than they need.

/** `2026-01-31 06:00:00` in local time; a dash for none. */
export function localTime(time: string | null): string {
  if (time === null) return '-'
  const date = new Date(time)
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${clockTime(date)}`
}

/** `06:00:00.123` in local time. */
export function localClock(time: string): string {
  const date = new Date(time)
  return `${clockTime(date)}.${String(date.getMilliseconds()).padStart(3, '0')}`
}

function clockTime(date: Date): string {
  return [date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(':')
}

function two(value: number): string {
  return String(value).padStart(2, '0')
}

/** `0.42s`, `12.3s`, `2m 05s`, `1h 02m`, `3d 04h`. */
export function shortDuration(ms: number): string {
  const seconds = Math.max(0, ms) / 1_000
  if (seconds < 9.995) return `${seconds.toFixed(2)}s`
  if (seconds < 59.95) return `${seconds.toFixed(1)}s`
  const whole = Math.round(seconds)
  if (whole < 3_600) return `${Math.floor(whole / 60)}m ${two(whole % 60)}s`
  const minutes = Math.floor(whole / 60)
  if (minutes < 24 * 60) return `${Math.floor(minutes / 60)}h ${two(minutes % 60)}m`
  const hours = Math.floor(minutes / 60)
  return `${Math.floor(hours / 24)}d ${two(hours % 24)}h`
}

/**
 * How long it took, or has taken so far; nothing where it has not begun.
 * @param now milliseconds since the epoch
 */
export function elapsed(span: { start_date: string | null; end_date: string | null }, now: number): string {
  if (span.start_date === null) return ''
  const end = span.end_date === null ? now : Date.parse(span.end_date)
  return shortDuration(end - Date.parse(span.start_date))
}

/** `in 25s`, `now`, `3m ago`: how far a time is from now, in its largest unit. */
export function relativeTime(time: string | null, now: number): string {
  if (time === null) return '-'
  const seconds = Math.round((Date.parse(time) - now) / 1_000)
  const size = Math.abs(seconds)
  if (size < 1) return 'now'
  const [amount, unit] =
    size < 60
      ? [size, 's']
      : size < 3_600
        ? [Math.round(size / 60), 'm']
        : size < 86_400
          ? [Math.round(size / 3_600), 'h']
          : [Math.round(size / 86_400), 'd']
  return seconds > 0 ? `in ${amount}${unit}` : `${amount}${unit} ago`
}
