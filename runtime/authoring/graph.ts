// Order in a graph of ids: upstream first, otherwise as given. A walk with its own stack instead of recursion,
// because a chain of 10,000 tasks is deeper than the call stack; and because that stack, at the moment when the
// walk meets itself, is the cycle that the author has to see. It imports nothing.

export type SortResult =
  /** Each id stands after all of its upstream ids. */
  | { order: string[]; cycle: null }
  /** Beginning and ending with the same id; each stands upstream of the one after it. */
  | { order: null; cycle: string[] }

/**
 * Sorts `ids` topologically; ids that are in order already keep their places.
 * @param upstreamIdsOf direct upstream ids; each must be among `ids`
 */
export function sortTopologically(
  ids: Iterable<string>,
  upstreamIdsOf: (id: string) => Iterable<string>,
): SortResult {
  const order: string[] = []
  const done = new Set<string>()
  const path: { id: string; upstream: Iterator<string> }[] = []
  const onPath = new Set<string>()
  const enter = (id: string): void => {
    path.push({ id, upstream: upstreamIdsOf(id)[Symbol.iterator]() })
    onPath.add(id)
  }
  for (const start of ids) {
    if (!done.has(start)) enter(start)
    while (path.length > 0) {
      const { id, upstream } = path.at(-1)!
      const next = upstream.next()
      if (next.done === true) {
        path.pop()
        onPath.delete(id)
        done.add(id)
        order.push(id)
      } else if (onPath.has(next.value)) {
        const walked = path.map((step) => step.id)
        return { order: null, cycle: cycleThrough(next.value, walked) }
      } else if (!done.has(next.value)) {
        enter(next.value)
      }
    }
  }
  return { order, cycle: null }
}

/** The walk goes from a task to its upstream tasks, so the cycle reads downstream when it is turned round. */
function cycleThrough(id: string, path: string[]): string[] {
  return [id, ...path.slice(path.indexOf(id)).reverse()]
}
