// Timers for a moment that may be weeks away: setTimeout counts milliseconds in 31 bits, so a far one is waited for
// in several steps.

/** The longest that setTimeout waits for; a longer one would fire at once. */
const maxStepMs = 2 ** 31 - 1

export interface LongTimers {
  /** @param at milliseconds since the epoch; in the past: as soon as possible, but not in this turn */
  set(at: number, callback: () => void): void
  /** Cancels all of them. */
  clear(): void
}

export function createLongTimers(): LongTimers {
  const timers = new Set<NodeJS.Timeout>()
  function set(at: number, callback: () => void): void {
    const waitMs = Math.max(0, at - Date.now())
    const timer = setTimeout(
      () => {
        timers.delete(timer)
        if (waitMs > maxStepMs) set(at, callback)
        else callback()
      },
      Math.min(waitMs, maxStepMs),
    )
    timers.add(timer)
  }
  return {
    set,
    clear() {
      for (const timer of timers) clearTimeout(timer)
      timers.clear()
    },
  }
}
