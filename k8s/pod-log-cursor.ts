// Where in a container's log somebody is, and how to find that place again in a log that is read from a whole second on:
// the lines up to the cursor's own are skipped, by their place in the file and not by their time, since lines of the
// two outputs may stand in another order than their times. Pure.
import type { LogLine } from './pod-log-lines.ts'

/** The last line that was handed over. */
export interface LogCursor {
  /** Its time as kubelet wrote it. */
  time: string
  /** How many lines of exactly that time were handed over, this one included. */
  count: number
}

/** How far the log is read again before the cursor's time. Lines that are more out of order than that would be lost. */
const againMs = 1_000

/** Lines that wait for the cursor's own to be found; beyond that it is taken for gone. */
const maxHeldBytes = 8 * 1024 * 1024

/** From when on to ask for the log: a whole second, since kubelet does not know parts of it. */
export function sinceTimeOf({ time }: LogCursor): string {
  const ms = Math.floor(Date.parse(time) / 1000) * 1000 - againMs
  return new Date(ms).toISOString().replace('.000Z', 'Z')
}

export interface LogResume {
  /** Of the next lines of the stream those that were not handed over before. */
  take(lines: readonly LogLine[]): LogLine[]
  /**
   * To be called where the stream ends or pauses: what was held back for the cursor's line is new after all, since that
   * line is not there any more.
   */
  giveUp(): LogLine[]
  /** The cursor's line was not met, nor any later one that shows that it is gone. */
  readonly isSearching: boolean
  /** Lines wait for the cursor's own to be found. */
  readonly isHolding: boolean
  /** The cursor's line is gone: the runtime rotated the file, and what came after it may be missing. */
  readonly hasGap: boolean
  /** After the last line that was returned. */
  readonly cursor: LogCursor | null
}

/** @param from null begins with the stream's first line */
export function createLogResume(from: LogCursor | null): LogResume {
  let cursor = from
  let toMeet = from?.count ?? 0
  let isSearching = from !== null
  let hasGap = false
  let held: LogLine[] = []
  let heldBytes = 0
  const fromNanos = from === null ? 0n : nanosOf(from.time)

  const isLater = (time: string): boolean =>
    // Nearly always of one form, so that their texts are in the order of the times.
    time.length === from!.time.length && time.endsWith('Z') && from!.time.endsWith('Z')
      ? time > from!.time
      : nanosOf(time) > fromNanos

  const moveTo = (lines: LogLine[]): LogLine[] => {
    const last = lines.at(-1)
    if (last === undefined) return lines
    let count = 0
    let index = lines.length - 1
    for (; index >= 0 && lines[index]!.time === last.time; index -= 1) count += 1
    const isOneTime = index < 0 && cursor?.time === last.time
    cursor = { time: last.time, count: isOneTime ? cursor!.count + count : count }
    return lines
  }

  const giveUp = (): LogLine[] => {
    if (held.length === 0) return []
    isSearching = false
    hasGap = true
    const lines = held
    held = []
    return moveTo(lines)
  }

  return {
    take(lines) {
      if (!isSearching) return moveTo([...lines])
      for (const [index, line] of lines.entries()) {
        if (line.time === from!.time) {
          toMeet -= 1
          if (toMeet > 0) continue
          isSearching = false
          held = []
          return moveTo(lines.slice(index + 1))
        }
        if (!isLater(line.time)) continue
        held.push(line)
        heldBytes += line.text.length
      }
      return heldBytes > maxHeldBytes ? giveUp() : []
    },
    giveUp,
    get isSearching() {
      return isSearching
    },
    get isHolding() {
      return held.length > 0
    },
    get hasGap() {
      return hasGap
    },
    get cursor() {
      return cursor
    },
  }
}

/** Nanoseconds since the epoch of an RFC 3339 time with up to nine digits of a second, in any zone. */
function nanosOf(time: string): bigint {
  const [, seconds, digits = '', zone] = /^([^.Zz+]{10}T[\d:]{8})(?:\.(\d+))?(.*)$/.exec(time) ?? []
  const ms = Date.parse(`${seconds}${zone}`)
  return Number.isNaN(ms) ? 0n : BigInt(ms) * 1_000_000n + BigInt(digits.padEnd(9, '0').slice(0, 9))
}
