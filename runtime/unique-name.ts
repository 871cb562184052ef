// A name that no other process comes upon: for files that are made beside others, and marks. Not by node:crypto, which
// takes 5 ms to load at each start; nothing secret may be made of it.

/** Digits and lower-case letters: the time in nanoseconds and 52 random bits. */
export function uniqueName(): string {
  return `${process.hrtime.bigint().toString(36)}${Math.random().toString(36).slice(2)}`
}
