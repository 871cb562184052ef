// The one way in which tests wait: for something that can be seen, never for time to pass.
import { setTimeout as delay } from 'node:timers/promises'

/** Between two looks. Shorter: a look that is a query or a process slows what it waits for. */
const lookEveryMs = 5

/**
 * Asks `look` again and again until it answers something other than undefined and false.
 * @throws Error with `what` where it does not come to pass in time, and whatever `look` throws
 */
export async function eventually<T>(
  what: string,
  look: () => Promise<T | undefined | false> | T | undefined | false,
  timeoutMs = 20_000,
): Promise<T> {
  const deadline = performance.now() + timeoutMs
  for (;;) {
    const seen = await look()
    if (seen !== undefined && seen !== false) return seen
    if (performance.now() > deadline) throw new Error(`did not come to pass in ${timeoutMs} ms: ${what}`)
    await delay(lookEveryMs)
  }
}
