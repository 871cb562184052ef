// `group()`: tasks that belong together, shown as one and ordered as one. It is a matter of ids and edges only:
// a group has no state and nothing runs for it.
import { DagDefinitionError } from '../errors.ts'
import type { PodOverride } from '../pod-override.ts'
import { currentDag } from './dag-builder.ts'
import type { TaskGroup } from './handles.ts'
import { checkOptionNames, readText, shown } from './option-values.ts'
import { readPodOverride } from './worker-pod-options.ts'

/** Options of `group()`. */
export interface GroupOptions {
  /** Free text for people. */
  tooltip?: string | null
  /** Laid over the pods of all tasks within it, after that of the Dag. */
  podOverride?: PodOverride | null
}

/**
 * A group of the tasks (and groups) that `define` defines; their ids get the group's before them: `etl.load`.
 * What `define` returns is the handle's `outputs`.
 *
 * ```ts
 * const etl = group('etl', () => {
 *   const orders = task('extract', fetchOrders)
 *   return { orders }
 * })
 * task('report', { orders: etl.outputs.orders }, { after: [etl] }, ({ orders }) => report(orders))
 * ```
 * @throws DagDefinitionError outside of a Dag, and where an id or option cannot be
 */
export function group<Outputs>(id: string, define: () => Outputs): TaskGroup<Outputs>
export function group<Outputs>(id: string, options: GroupOptions, define: () => Outputs): TaskGroup<Outputs>
export function group<Outputs>(
  id: string,
  ...rest: [() => Outputs] | [GroupOptions, () => Outputs]
): TaskGroup<Outputs> {
  const dag = currentDag(`group(${shown(id)})`)
  const [options, define] = rest.length === 1 ? [{}, rest[0]] : rest
  const place = `group ${shown(id)} of Dag '${dag.dagId}'`
  checkOptionNames(place, options, ['tooltip', 'podOverride'])
  if (typeof define !== 'function') {
    throw new DagDefinitionError(
      `${place}: group() takes an id, options if it has any, and the function that defines its tasks, but that is ${shown(define)}`,
    )
  }
  const manifest = {
    tooltip: readText({ place, option: 'tooltip' }, options.tooltip),
    pod_override: readPodOverride({ place, option: 'podOverride' }, options.podOverride),
  }
  return dag.addGroup(id, manifest, define)
}
