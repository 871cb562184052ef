// Lets so many through in a second on average, and after a pause a burst at once. Pure but for the time it is told.

export interface TokenBucket {
  /** @returns 0 where one was taken, or else milliseconds until there may be one */
  take(nowMs: number): number
}

/** @param burst how many it holds when it is full; it begins full */
export function createTokenBucket({ rate, burst }: { rate: number; burst: number }): TokenBucket {
  let tokens = burst
  let filledAt: number | undefined
  return {
    take(nowMs) {
      const since = nowMs - (filledAt ?? nowMs)
      tokens = Math.min(burst, tokens + (Math.max(0, since) * rate) / 1_000)
      filledAt = nowMs
      if (tokens < 1) return Math.ceil(((1 - tokens) * 1_000) / rate)
      tokens -= 1
      return 0
    },
  }
}
