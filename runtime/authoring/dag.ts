// `dag()`: what a Dag module exports. A Dag is its manifest, which is data, and beside it what to execute for
// each task; making one touches nothing outside.
import { DagDefinitionError } from '../errors.ts'
import { asDagId, type DagId } from '../ids.ts'
import type { DagManifest } from '../manifest.ts'
import { DagBuilder } from './dag-builder.ts'
import { type DagOptions, readDagOptions } from './dag-options.ts'
import type { TaskDefinition } from './definition.ts'
import { shown } from './option-values.ts'
import { readTaskDefaults } from './task-options.ts'

/** A registered symbol: a Dag is one also for code that has another copy of this module. */
const dagBrand: unique symbol = Symbol.for('branchline.dag')

/** A Dag as `dag()` makes it. */
export class Dag {
  readonly dagId: DagId
  readonly manifest: DagManifest
  /** Full task id → what to execute, in topological order. */
  readonly tasks: ReadonlyMap<string, TaskDefinition>
  /** @internal */
  readonly [dagBrand] = true

  /** @internal */
  constructor(manifest: DagManifest, tasks: ReadonlyMap<string, TaskDefinition>) {
    this.dagId = asDagId(manifest.dag_id)
    this.manifest = manifest
    this.tasks = tasks
  }
}

/** Whether `value` is a Dag, of this or another copy of this module. */
export function isDag(value: unknown): value is Dag {
  return typeof value === 'object' && value !== null && dagBrand in value
}

/**
 * Defines a Dag. `define` is called at once and defines its tasks; it must not be async.
 *
 * ```ts
 * export default dag('daily-sales', { schedule: '0 6 * * 1-5', timezone: 'Europe/Berlin' }, () => {
 *   const orders = task('extract', ({ interval }) => fetchOrders(interval))
 *   task('report', { orders }, ({ orders }) => report(orders))
 * })
 * ```
 * A module's Dags are those that it exports: one, several, or lists of them.
 * @throws DagDefinitionError where an id or option cannot be, or the order of the tasks has a cycle
 */
export function dag<Defined>(
  dagId: string,
  options: DagOptions,
  define: () => Defined extends PromiseLike<unknown> ? never : Defined,
): Dag {
  const place = `Dag '${asDagId(dagId)}'`
  if (typeof define !== 'function') {
    throw new DagDefinitionError(
      `${place}: dag() takes an id, options and the function that defines its tasks, but that is ${shown(define)}`,
    )
  }
  const fields = readDagOptions(place, options)
  const builder = new DagBuilder(dagId, readTaskDefaults(place, options.defaults))
  builder.run(define)
  const { tasks, task_groups, definitions } = builder.finish()
  return new Dag({ dag_id: dagId, ...fields, tasks, task_groups }, definitions)
}
