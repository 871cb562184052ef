// Timers for a moment that may be weeks away: setTimeout counts milliseconds in 31 bits, so a far one is waited for
// in several steps.

/** The longest that setTimeout waits for; a longer one would fire at once. */
const maxStepMs = 2 ** 31 - 1

export interface LongTimers {
  /**
   * @param at milliseconds since the epoch; in the past: as soon as possible, but not in this turn
   * @returns cancels it
   */
  set(at: number, callback: () => void): () => void
  /** Cancels all of them. */
  clear(): void
}

export function createLongTimers(): LongTimers {
  const cancels = new Set<() => void>()
  return {
    set(at, callback) {
      let timer: NodeJS.Timeout
      const cancel = () => {
        clearTimeout(timer)
        cancels.delete(cancel)
      }
      const step = () => {
        const waitMs = Math.max(0, at - Date.now())
        timer = setTimeout(
          () => {
            if (waitMs > maxStepMs) return step()
            cancels.delete(cancel)
            callback()
          },
          Math.min(waitMs, maxStepMs),
        )
      }
      cancels.add(cancel)
      step()
      return cancel
    },
    clear() {
      for (const cancel of cancels) cancel()
    },
  }
}
