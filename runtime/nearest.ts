// The near-miss suggestion behind every "did you mean …": one measure and one threshold for CLI, API and config.
import { closest, distance } from 'fastest-levenshtein'

/** The candidate nearest to `name`, if at most a third of its letters (at least one) differ. */
function nearest(name: string, candidates: readonly string[]): string | undefined {
  if (candidates.length === 0) return undefined
  const best = closest(name, candidates)
  return distance(name, best) <= Math.max(1, Math.floor(name.length / 3)) ? best : undefined
}

/** ` Did you mean 'x'?`, with its leading space, or an empty string. */
export function didYouMean(name: string, candidates: readonly string[]): string {
  const best = nearest(name, candidates)
  return best === undefined ? '' : ` Did you mean '${best}'?`
}
