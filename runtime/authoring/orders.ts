// From orders as authors write them (a task or group before another) to edges between tasks. A group's last
// tasks stand for it upstream, its first ones downstream; so orders within a group are resolved before those
// that speak of the group: the deeper the place where both ends meet, the earlier.
import { DagDefinitionError } from '../errors.ts'

/** Full ids of tasks or groups. */
export interface Order {
  upstream: string
  downstream: string
  /** Who says so, for messages. */
  place: string
}

/**
 * Task id → ids of its direct upstream tasks.
 * @param groups full group id → ids of all tasks within it, at any depth
 * @throws DagDefinitionError where a group is ordered against its own content, or is empty
 */
export function resolveOrders(
  dagId: string,
  taskIds: Iterable<string>,
  groups: ReadonlyMap<string, readonly string[]>,
  orders: readonly Order[],
): Map<string, Set<string>> {
  const upstreamIds = new Map([...taskIds].map((taskId) => [taskId, new Set<string>()]))
  for (const order of innermostFirst(orders)) {
    for (const [outer, inner] of [
      [order.upstream, order.downstream],
      [order.downstream, order.upstream],
    ] as const) {
      if (groups.has(outer) && isWithin(inner, outer)) {
        throw new DagDefinitionError(
          `${order.place}: group '${outer}' of Dag '${dagId}' cannot be ordered against ${inner === outer ? 'itself' : `'${inner}', which is within it`}`,
        )
      }
    }
    const membersOf = (groupId: string): readonly string[] => {
      const members = groups.get(groupId)!
      if (members.length > 0) return members
      throw new DagDefinitionError(
        `${order.place}: group '${groupId}' of Dag '${dagId}' has no tasks, so nothing can come before or after it`,
      )
    }
    const { upstream, downstream } = order
    const last = groups.has(upstream) ? leaves(membersOf(upstream), upstreamIds) : [upstream]
    const first = groups.has(downstream) ? roots(membersOf(downstream), upstreamIds) : [downstream]
    for (const taskId of first) {
      for (const upstreamId of last) upstreamIds.get(taskId)!.add(upstreamId)
    }
  }
  return upstreamIds
}

/** Stable: orders that meet at the same depth stay as they were written. */
function innermostFirst(orders: readonly Order[]): Order[] {
  return orders
    .map((order) => ({ order, depth: meetingDepth(order.upstream, order.downstream) }))
    .sort((a, b) => b.depth - a.depth)
    .map(({ order }) => order)
}

/** How many groups two ids have in common. */
function meetingDepth(a: string, b: string): number {
  const [left, right] = [a.split('.'), b.split('.')]
  let depth = 0
  while (depth < left.length && left[depth] === right[depth]) depth++
  return depth
}

function isWithin(id: string, groupId: string): boolean {
  return id === groupId || id.startsWith(`${groupId}.`)
}

function roots(members: readonly string[], upstreamIds: ReadonlyMap<string, ReadonlySet<string>>): string[] {
  const inside = new Set(members)
  return members.filter((member) => [...upstreamIds.get(member)!].every((id) => !inside.has(id)))
}

function leaves(members: readonly string[], upstreamIds: ReadonlyMap<string, ReadonlySet<string>>): string[] {
  const withDownstream = new Set(members.flatMap((member) => [...upstreamIds.get(member)!]))
  return members.filter((member) => !withDownstream.has(member))
}
