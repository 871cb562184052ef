// How long to wait before the next try: longer each time, and never as long as everybody else.

/**
 * Milliseconds: between half and all of `firstMs` doubled with each failure, `mostMs` at most.
 * @param failures so far, from 0
 */
export function backoffMs(
  failures: number,
  { firstMs, mostMs }: { firstMs: number; mostMs: number },
): number {
  const whole = Math.min(mostMs, firstMs * 2 ** Math.min(failures, 30))
  return whole / 2 + (whole / 2) * Math.random()
}
