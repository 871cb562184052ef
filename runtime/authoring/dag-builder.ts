// A Dag while its `define` function runs: collects tasks, groups and orders, and at the end makes the graph.
//
// `define` is synchronous, so one variable of the module can say which Dag is being defined, and `task()` needs
// no receiver. Orders are kept as they were written and resolved at the end, because a group's first and last
// tasks are known only when everything within it is.
import { DagDefinitionError } from '../errors.ts'
import { asGroupId, asTaskId } from '../ids.ts'
import type { TaskGroupManifest, TaskManifest } from '../manifest.ts'
import type { OperatorManifest } from '../operator-manifest.ts'
import type { TaskDefinition } from './definition.ts'
import { sortTopologically } from './graph.ts'
import {
  type HandleOwner,
  handleId,
  handleName,
  type Orderable,
  Task,
  TaskGroup,
  type TaskInputs,
} from './handles.ts'
import { shown } from './option-values.ts'
import { type Order, resolveOrders } from './orders.ts'
import { readTaskOptions, type TaskDefaults, type TaskOptions } from './task-options.ts'

let current: DagBuilder | null = null

/**
 * The Dag that is being defined now.
 * @param call what the author called, for the message: `task('load')`
 * @throws DagDefinitionError outside of a `define` function
 */
export function currentDag(call: string): DagBuilder {
  if (current !== null) return current
  throw new DagDefinitionError(
    `${call} was called outside of a Dag: call it within the function that is given to dag(), not after an await and not while a task runs`,
  )
}

interface TaskParts {
  taskId: string
  kind: TaskManifest['kind']
  inputs: TaskInputs
  options: TaskOptions
  definition: TaskDefinition
  /** Default null. */
  operator?: OperatorManifest | null
}

/** Makes one Dag's graph; used once. */
export class DagBuilder implements HandleOwner {
  readonly dagId: string
  readonly #defaults: TaskDefaults
  readonly #tasks = new Map<string, TaskManifest>()
  readonly #definitions = new Map<string, TaskDefinition>()
  /** Full group id → the ids of all tasks within it, at any depth. */
  readonly #groups = new Map<string, string[]>()
  readonly #groupManifests: TaskGroupManifest[] = []
  readonly #openGroups: string[] = []
  readonly #orders: Order[] = []

  constructor(dagId: string, defaults: TaskDefaults) {
    this.dagId = dagId
    this.#defaults = defaults
  }

  /** Runs `define` with this Dag as the current one. */
  run(define: () => unknown): void {
    if (current !== null) {
      throw new DagDefinitionError(
        `Dag '${this.dagId}' is defined within Dag '${current.dagId}': a Dag cannot hold another; define it beside it`,
      )
    }
    current = this
    try {
      refuseAsync(`Dag '${this.dagId}'`, define())
    } finally {
      current = null
    }
  }

  /** Full id of a task or group that is defined now, in the groups that are open. */
  fullId(kind: 'task_id' | 'group_id', id: string): string {
    if (typeof id === 'string' && id.includes('.')) {
      throw new DagDefinitionError(
        `${kind} ${JSON.stringify(id)} in Dag '${this.dagId}' has a '.', which stands between a group and its tasks: use '_' or '-', or define it within group()`,
      )
    }
    const group = this.#openGroups.at(-1)
    const asId = kind === 'task_id' ? asTaskId : asGroupId
    const fullId = group === undefined ? asId(id) : asId(`${group}.${asId(id)}`)
    if (this.#tasks.has(fullId) || this.#groups.has(fullId)) {
      const taken = this.#groups.has(fullId) ? 'group' : 'task'
      throw new DagDefinitionError(
        `Dag '${this.dagId}' has a ${taken} '${fullId}' already: ids are unique within a Dag; give one of the two another`,
      )
    }
    return fullId
  }

  /** How messages call a task of this Dag. */
  placeOf(taskId: string): string {
    return `task '${taskId}' of Dag '${this.dagId}'`
  }

  addTask<Result>({ taskId, kind, inputs, options, definition, operator = null }: TaskParts): Task<Result> {
    const place = this.placeOf(taskId)
    for (const [name, input] of Object.entries(inputs)) {
      if (!(input instanceof Task)) {
        throw new DagDefinitionError(`${place}: input '${name}' is ${shown(input)}, but must be a task`)
      }
      this.#checkOwner(place, input)
    }
    const after = readAfter(place, options.after)
    this.#tasks.set(taskId, {
      task_id: taskId,
      kind,
      upstream_task_ids: [],
      inputs: Object.fromEntries(Object.entries(inputs).map(([name, input]) => [name, input.taskId])),
      ...readTaskOptions(place, options, this.#defaults),
      operator,
    })
    this.#definitions.set(taskId, definition)
    for (const groupId of this.#openGroups) this.#groups.get(groupId)!.push(taskId)
    const task = new Task<Result>(taskId, this)
    for (const upstream of [...Object.values(inputs), ...after]) this.order(upstream, task, place)
    return task
  }

  addGroup<Outputs>(
    id: string,
    manifest: Omit<TaskGroupManifest, 'group_id'>,
    define: () => Outputs,
  ): TaskGroup<Outputs> {
    const groupId = this.fullId('group_id', id)
    this.#groups.set(groupId, [])
    this.#groupManifests.push({ group_id: groupId, ...manifest })
    this.#openGroups.push(groupId)
    try {
      const outputs = define()
      refuseAsync(`group '${groupId}' of Dag '${this.dagId}'`, outputs)
      return new TaskGroup(groupId, outputs, this)
    } finally {
      this.#openGroups.pop()
    }
  }

  /**
   * Puts `upstream` before `downstream`.
   * @param place who says so, for messages
   */
  order(upstream: Orderable, downstream: Orderable, place: string): void {
    this.#checkOwner(place, upstream)
    this.#checkOwner(place, downstream)
    this.#orders.push({ upstream: handleId(upstream), downstream: handleId(downstream), place })
  }

  /**
   * The graph, its tasks in topological order.
   * @throws DagDefinitionError where there is a cycle
   */
  finish(): {
    tasks: TaskManifest[]
    task_groups: TaskGroupManifest[]
    definitions: Map<string, TaskDefinition>
  } {
    const upstreamIds = resolveOrders(this.dagId, this.#tasks.keys(), this.#groups, this.#orders)
    const sorted = sortTopologically(this.#tasks.keys(), (taskId) => upstreamIds.get(taskId)!)
    if (sorted.cycle !== null) {
      throw new DagDefinitionError(
        `Dag '${this.dagId}' has a cycle: ${sorted.cycle.join(' → ')}. A task cannot come after itself; take one of these orders out`,
        { details: { dag_id: this.dagId, cycle: sorted.cycle } },
      )
    }
    const position = new Map(sorted.order.map((taskId, index) => [taskId, index]))
    return {
      tasks: sorted.order.map((taskId) => ({
        ...this.#tasks.get(taskId)!,
        upstream_task_ids: [...upstreamIds.get(taskId)!].sort((a, b) => position.get(a)! - position.get(b)!),
      })),
      task_groups: this.#groupManifests,
      definitions: new Map(sorted.order.map((taskId) => [taskId, this.#definitions.get(taskId)!])),
    }
  }

  #checkOwner(place: string, handle: Orderable): void {
    if (handle.owner === this) return
    const owner =
      handle.owner.dagId === this.dagId ? `another Dag '${this.dagId}'` : `Dag '${handle.owner.dagId}'`
    throw new DagDefinitionError(
      `${place}: ${handleName(handle)} belongs to ${owner}. Tasks of one Dag cannot wait for tasks of another`,
    )
  }
}

function readAfter(place: string, after: unknown): Orderable[] {
  if (after === undefined) return []
  const isOrderable = (value: unknown) => value instanceof Task || value instanceof TaskGroup
  if (!Array.isArray(after) || !after.every(isOrderable)) {
    throw new DagDefinitionError(
      `${place}: option 'after' is ${shown(after)}, but must be a list of tasks and groups: after: [extract]`,
    )
  }
  return after
}

/** What an async function defines after its first await would be lost without a word. */
function refuseAsync(place: string, returned: unknown): void {
  if (!(returned instanceof Promise)) return
  // Its rejection is this error's consequence and must not end the process on its own.
  returned.catch(() => {})
  throw new DagDefinitionError(
    `${place} is defined by an async function: define tasks synchronously, and wait for things within the tasks, or before dag() with a top-level await`,
  )
}
