// Whether attempts left something behind in the process: open handles, timers, children. The next attempt would
// share it, so a runner that finds some asks to be replaced.
import { setImmediate as nextTurn } from 'node:timers/promises'

export interface Leftovers {
  /** Call before the first of several attempts. */
  begin(): void
  /** Call after each: is there more than at the beginning? */
  found(): boolean
  /** The same after what is being closed had time to close: a child's handle outlives its exit by a turn or two. */
  remain(): Promise<boolean>
}

/** Turns of the event loop in which handles of ended children and sockets are closed. */
const closingTurns = 3

export function createLeftovers(): Leftovers {
  let before = 0
  // The list holds active timers, sockets, children and requests, by kind; its length is what no attempt may raise.
  const count = () => process.getActiveResourcesInfo().length
  const leftovers: Leftovers = {
    begin() {
      before = count()
    },
    found: () => count() > before,
    async remain() {
      for (let turn = 0; turn < closingTurns && leftovers.found(); turn += 1) await nextTurn()
      return leftovers.found()
    },
  }
  return leftovers
}
