// What `task()`, `bash()` and `group()` give back: names for things within one Dag, to be passed as inputs and
// to be ordered. A handle carries the type of its task's result and nothing that runs.

declare const resultType: unique symbol

/** The Dag that a handle belongs to, by identity: two Dags may have tasks of the same id. */
export interface HandleOwner {
  readonly dagId: string
}

/** A task of a Dag; `Result` is what the tasks receive that take it as an input. */
export class Task<out Result = unknown> {
  /** For the compiler only; there is no such property. */
  declare readonly [resultType]: Result
  /** With the ids of its groups before it, joined by `.`. */
  readonly taskId: string
  /** @internal */
  readonly owner: HandleOwner

  /** @internal */
  constructor(taskId: string, owner: HandleOwner) {
    this.taskId = taskId
    this.owner = owner
  }
}

/** A group of tasks: where it stands in an order, its first or last tasks do. */
export class TaskGroup<out Outputs = unknown> {
  /** With the ids of the groups around it, joined by `.`. */
  readonly groupId: string
  /** What the function returned that defined the group, for instance tasks that others take as inputs. */
  readonly outputs: Outputs
  /** @internal */
  readonly owner: HandleOwner

  /** @internal */
  constructor(groupId: string, outputs: Outputs, owner: HandleOwner) {
    this.groupId = groupId
    this.outputs = outputs
    this.owner = owner
  }
}

/** What can be put in order: by `after` and by `chain`. */
export type Orderable = Task | TaskGroup

/** Names for the results that a task takes from others. */
export type TaskInputs = Readonly<Record<string, Task>>

/** The results under the same names. */
export type InputValues<Inputs extends TaskInputs> = {
  [Name in keyof Inputs]: Inputs[Name] extends Task<infer Result> ? Result : never
}

/** How a message calls it: `task 'load'` or `group 'etl'`. */
export function handleName(handle: Orderable): string {
  return handle instanceof Task ? `task '${handle.taskId}'` : `group '${handle.groupId}'`
}

/** Its full id. */
export function handleId(handle: Orderable): string {
  return handle instanceof Task ? handle.taskId : handle.groupId
}
