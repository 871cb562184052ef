// From the rounds of a case to one figure. The median, because one round that another process disturbed must not
// move it; minimum and maximum stand beside it, so that nobody takes a noisy figure for a quiet one.

/** @param values at least one */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

/** Three significant digits: more than the machine repeats, and no `0.30000000000000004`. */
export function rounded(value: number): number {
  return Number(value.toPrecision(3))
}
