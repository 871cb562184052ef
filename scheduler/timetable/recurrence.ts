// Instants that recur, asked for from either side; milliseconds since the Unix epoch.

/** A set of instants that depends on nothing but what it was made from. */
export interface Recurrence {
  /** The earliest that is not before `instant`, or null where none is left. */
  firstAtOrAfter(instant: number): number | null
  /** The latest that is not after `instant`, or null where there was none yet. */
  lastAtOrBefore(instant: number): number | null
}

/** Every `everyMs`, counted from `anchor`, which is the first. */
export function everyInterval(everyMs: number, anchor: number): Recurrence {
  return {
    firstAtOrAfter: (instant) => anchor + Math.max(0, Math.ceil((instant - anchor) / everyMs)) * everyMs,
    lastAtOrBefore: (instant) =>
      instant < anchor ? null : anchor + Math.floor((instant - anchor) / everyMs) * everyMs,
  }
}
