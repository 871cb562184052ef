// How many processes run callbacks at once. Each is a Node of some 50 MB beside the scheduler, and an attempt needs its own
// only now and then: so one that has nothing to do gives its place to one that waits.

export interface CallbackRoom {
  /** Resolves when there is a place; it is to be given back with `release`. */
  enter(): Promise<void>
  release(): void
  /**
   * The holder has nothing to do: `leave` is called where somebody waits, now or later, and must come to `release`.
   * @returns takes it back
   */
  rest(leave: () => void): () => void
}

export function createCallbackRoom(places: number): CallbackRoom {
  let free = places
  const waiting: (() => void)[] = []
  /** In the order in which they came to rest. */
  const resting = new Set<() => void>()

  function askOneToLeave(): void {
    const [leave] = resting
    if (leave === undefined) return
    resting.delete(leave)
    leave()
  }

  return {
    async enter() {
      if (free > 0) {
        free -= 1
        return
      }
      const entered = new Promise<void>((resolve) => waiting.push(resolve))
      askOneToLeave()
      await entered
    },
    release() {
      const next = waiting.shift()
      if (next) next()
      else free += 1
    },
    rest(leave) {
      resting.add(leave)
      // It may be the only one that can.
      if (waiting.length > 0) askOneToLeave()
      return () => resting.delete(leave)
    },
  }
}
