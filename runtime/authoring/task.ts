// `task()`: an ordinary function becomes a task. Its inputs are other tasks, and the compiler knows their
// results. Options never have a bare task as a value (`after` is a list), so an object of tasks can be nothing
// but inputs, for the compiler and here.
import { DagDefinitionError } from '../errors.ts'
import type { TaskContext } from './context.ts'
import { currentDag } from './dag-builder.ts'
import type { TaskFunction } from './definition.ts'
import { type InputValues, Task, TaskGroup, type TaskInputs } from './handles.ts'
import type { Jsonified } from './jsonified.ts'
import { checkOptionNames, shown } from './option-values.ts'
import { type TaskOptions, taskOptionNames } from './task-options.ts'

/**
 * A task that runs a function, which may be async; what it returns travels as JSON to the tasks that take this
 * one as an input.
 *
 * ```ts
 * const orders = task('extract', ({ interval }) => fetchOrders(interval))
 * task('load', { orders }, { retries: 3 }, ({ orders }, { log }) => log.info('loaded', { n: orders.length }))
 * ```
 * @param id unique in its Dag or group: letters, digits, '_' and '-'
 * @throws DagDefinitionError outside of a Dag, and where an id, input or option cannot be
 */
export function task<Result>(
  id: string,
  run: (context: TaskContext) => Result,
): Task<Jsonified<Awaited<Result>>>
export function task<Result>(
  id: string,
  options: TaskOptions,
  run: (context: TaskContext) => Result,
): Task<Jsonified<Awaited<Result>>>
export function task<const Inputs extends TaskInputs, Result>(
  id: string,
  inputs: Inputs,
  run: (inputs: InputValues<Inputs>, context: TaskContext) => Result,
): Task<Jsonified<Awaited<Result>>>
export function task<const Inputs extends TaskInputs, Result>(
  id: string,
  inputs: Inputs,
  options: TaskOptions,
  run: (inputs: InputValues<Inputs>, context: TaskContext) => Result,
): Task<Jsonified<Awaited<Result>>>
export function task(id: string, ...rest: unknown[]): Task {
  const dag = currentDag(`task(${shown(id)})`)
  const taskId = dag.fullId('task_id', id)
  const place = dag.placeOf(taskId)
  const run = rest.at(-1)
  if (typeof run !== 'function' || rest.length > 3) {
    throw new DagDefinitionError(
      `${place}: task() takes an id, inputs and options if it has any, and the function to run as the last, but the last is ${shown(run)}`,
    )
  }
  const { inputs, options } = readInputsAndOptions(place, rest.slice(0, -1))
  checkOptionNames(place, options, taskOptionNames)
  const definition = {
    kind: 'task',
    taskId,
    takesInputs: inputs !== null,
    run: run as TaskFunction,
  } as const
  return dag.addTask({ taskId, kind: 'task', inputs: inputs ?? {}, options, definition })
}

/** @returns inputs: null where none were given, so that the function takes the context alone */
function readInputsAndOptions(
  place: string,
  given: unknown[],
): { inputs: TaskInputs | null; options: TaskOptions } {
  for (const value of given) {
    if (value instanceof Task || value instanceof TaskGroup) {
      throw new DagDefinitionError(
        `${place}: a task stands where inputs or options belong: give it a name as an input, { orders }, or put it into { after: [orders] }`,
      )
    }
  }
  if (given.length === 2) return { inputs: given[0] as TaskInputs, options: given[1] as TaskOptions }
  const [only = {}] = given
  const hasTasks =
    typeof only === 'object' && only !== null && Object.values(only).some((v) => v instanceof Task)
  const mixed = Object.entries(only ?? {}).find(([, value]) => hasTasks && !(value instanceof Task))?.[0]
  if (mixed !== undefined && taskOptionNames.some((name) => name === mixed)) {
    throw new DagDefinitionError(
      `${place}: option '${mixed}' stands among the inputs: options are an object of their own behind them, task(id, { orders }, { ${mixed}: … }, …)`,
    )
  }
  if (!hasTasks && typeof only === 'object' && only !== null && 'inputs' in only) {
    throw new DagDefinitionError(
      `${place}: task() has no option 'inputs': its inputs are an object of their own before the options, task(id, { orders }, { retries: 1 }, …)`,
    )
  }
  return hasTasks
    ? { inputs: only as TaskInputs, options: {} }
    : { inputs: null, options: only as TaskOptions }
}
