// Time as a part that is handed in, so that a test can say what time it is. It imports nothing.

/** Milliseconds since the Unix epoch. */
export interface Clock {
  now(): number
}

export const systemClock: Clock = { now: () => Date.now() }
