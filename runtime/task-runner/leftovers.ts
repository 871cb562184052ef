// Whether an attempt left something behind in the process: open handles, timers, children. The next attempt would
// share it, so a runner that finds some asks to be replaced.

export interface Leftovers {
  /** Call before the attempt's code runs. */
  begin(): void
  /** Call when it has ended: is there more than before? */
  found(): boolean
}

export function createLeftovers(): Leftovers {
  let before = 0
  // The list holds active timers, sockets, children and requests, by kind; its length is what an attempt may not raise.
  const count = () => process.getActiveResourcesInfo().length
  return {
    begin() {
      before = count()
    },
    found: () => count() > before,
  }
}
