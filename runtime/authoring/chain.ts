// `chain()`: an order without data. Its reading of lists is Airflow's.
import { DagDefinitionError } from '../errors.ts'
import { currentDag } from './dag-builder.ts'
import { type Orderable, Task, TaskGroup } from './handles.ts'
import { shown } from './option-values.ts'

/** A task, a group, or several of them side by side. */
export type Link = Orderable | readonly Orderable[]

/**
 * Puts each link after the one before it: in `chain(a, [b, c], d)` b and c come after a, and d after both. Of two
 * lists next to each other the first goes before the first, the second before the second, and so on; they have
 * to be of one length.
 * @throws DagDefinitionError outside of a Dag, and for a link that is no task, group or list of them
 */
export function chain(...links: readonly Link[]): void {
  const dag = currentDag('chain()')
  const place = `chain() in Dag '${dag.dagId}'`
  links.forEach((link, index) => {
    checkLink(place, link, index)
  })
  for (const [index, downstream] of links.entries()) {
    const upstream = links[index - 1]
    if (upstream === undefined) continue
    for (const [before, after] of pairs(place, upstream, downstream)) dag.order(before, after, place)
  }
}

function checkLink(place: string, link: unknown, index: number): void {
  const isOrderable = (value: unknown) => value instanceof Task || value instanceof TaskGroup
  if (Array.isArray(link) && link.length === 0) {
    throw new DagDefinitionError(
      `${place}: link ${index + 1} is an empty list, which would cut the chain in two: leave it out`,
    )
  }
  if (isOrderable(link) || (Array.isArray(link) && link.every(isOrderable))) return
  throw new DagDefinitionError(
    `${place}: link ${index + 1} is ${shown(link)}, but must be a task, a group or a list of them`,
  )
}

function pairs(place: string, upstream: Link, downstream: Link): [Orderable, Orderable][] {
  const [before, after] = [[upstream].flat() as Orderable[], [downstream].flat() as Orderable[]]
  if (!Array.isArray(upstream) || !Array.isArray(downstream)) {
    return before.flatMap((left) => after.map((right): [Orderable, Orderable] => [left, right]))
  }
  if (before.length === after.length) return before.map((left, index) => [left, after[index]!])
  throw new DagDefinitionError(
    `${place}: a list of ${before.length} stands before a list of ${after.length}. Lists next to each other go in pairs, so they must be of one length; to put every task of the one before every task of the other use groups, or 'after'`,
  )
}
