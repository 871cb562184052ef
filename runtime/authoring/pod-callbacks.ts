// The functions of a Dag module that are called at the stages of a pod, under the names of Airflow's
// KubernetesPodOperatorCallback in camel case. They run beside the scheduler, in a process of their own
// (runtime/callback-runner/): the manifest says which there are, the definition has the functions.
import { DagDefinitionError } from '../errors.ts'
import type { V1Pod } from '../kubernetes-types.ts'
import { type PodCallbackName, podCallbackNames } from '../pod-callback-names.ts'
import type { TaskContext, TaskLog } from './context.ts'
import { refuse } from './option-values.ts'
import { optionsInCamelCase, type SnakeCased } from './pod-option-names.ts'

/** What a callback is given. */
export interface PodCallbackCall {
  /** As the API server had it when this was about to be called; as it was made, or null, where that is not known. */
  readonly pod: V1Pod | null
  readonly context: TaskContext
  /** Lines of the attempt's log; what is printed goes there too. */
  readonly log: TaskLog
  /** Fires when the call has taken too long; what still runs a little later is killed. */
  readonly signal: AbortSignal
}

/** What `progressCallback` is given: a line that a container of the pod wrote. */
export interface PodProgressCall extends PodCallbackCall {
  /** Without its line break, and without the container's name. */
  readonly line: string
  readonly container: string
}

/** Functions that are called at the stages of a pod, at least once each. What they return is awaited, and ignored. */
export interface PodCallbacks {
  /** The pod is made up, and about to be created. Changes of it have no effect. */
  readonly onPodManifestCreated?: (call: PodCallbackCall) => unknown
  /** The API server has it. */
  readonly onPodCreation?: (call: PodCallbackCall) => unknown
  /** The container that is the task runs, or ran. */
  readonly onPodStarting?: (call: PodCallbackCall) => unknown
  /** Once for each line that goes to the attempt's log. */
  readonly progressCallback?: (call: PodProgressCall) => unknown
  /** The pod has ended, or its attempt has, and its log is kept. */
  readonly onPodCompletion?: (call: PodCallbackCall) => unknown
  /** Before the attempt's end is told, and its pod is deleted. */
  readonly onPodTeardown?: (call: PodCallbackCall) => unknown
  /** The pod's deletion was asked for; or it is kept, as onFinishAction says. */
  readonly onPodCleanup?: (call: PodCallbackCall) => unknown
  /** Another scheduler has taken the attempt over. What comes after may have been called before. */
  readonly onOperatorResuming?: (call: PodCallbackCall) => unknown
}

/** Under their names in camel or in snake case. */
export type PodCallbacksOption = PodCallbacks & Partial<SnakeCased<PodCallbacks>>

/** One function, and what it is called for. */
export interface PodCallback {
  readonly name: PodCallbackName
  readonly run: (call: PodProgressCall) => unknown
}

const notHere = 'onSyncClientCreation'

/**
 * The functions in the order in which they are called for the same stage.
 * @param options in camel case: `callbacks`, one object or a list, and `progressCallback`
 * @throws DagDefinitionError
 */
export function readPodCallbacks(place: string, options: Readonly<Record<string, unknown>>): PodCallback[] {
  const { callbacks = null, progressCallback = null } = options
  const given: readonly unknown[] = Array.isArray(callbacks)
    ? callbacks
    : callbacks === null
      ? []
      : [callbacks]
  const read = given.flatMap((one, index) => {
    const option = Array.isArray(callbacks) ? `callbacks[${index}]` : 'callbacks'
    return readOne(place, option, one)
  })
  if (progressCallback !== null) {
    const option = 'progressCallback'
    read.push({ name: option, run: asFunction({ place, option }, progressCallback) })
  }
  return read
}

function readOne(place: string, option: string, value: unknown): PodCallback[] {
  if (typeof value !== 'object' || value === null) {
    refuse(
      { place, option },
      value,
      'an object of functions, { onPodStarting: ({ pod, log }) => … }, or a list of them',
    )
  }
  const named = optionsInCamelCase(`${place}, option '${option}'`, functionsOf(value), [
    ...podCallbackNames,
    notHere,
  ])
  if (named[notHere] != null) {
    throw new DagDefinitionError(
      `${place}: option '${option}.${notHere}' cannot be given: callbacks run without a client of the cluster; one that needs a client makes it`,
      { details: { place, option } },
    )
  }
  return podCallbackNames.flatMap((name) => {
    const run = named[name] ?? null
    return run === null ? [] : { name, run: asFunction({ place, option: `${option}.${name}` }, run, value) }
  })
}

/** Its own entries, and where it was made by a class, the callbacks among that one's methods. */
function functionsOf(value: object): Record<string, unknown> {
  const found: Record<string, unknown> = { ...value }
  const known: readonly string[] = podCallbackNames
  for (
    let prototype = Object.getPrototypeOf(value);
    prototype !== null && Object.getPrototypeOf(prototype) !== null;
    prototype = Object.getPrototypeOf(prototype)
  ) {
    for (const name of Object.getOwnPropertyNames(prototype)) {
      if (known.includes(name)) found[name] ??= (value as Record<string, unknown>)[name]
    }
  }
  return found
}

function asFunction(
  at: { place: string; option: string },
  value: unknown,
  owner: object | null = null,
): PodCallback['run'] {
  if (typeof value !== 'function') refuse(at, value, 'a function')
  return (call) => (value as (call: PodProgressCall) => unknown).call(owner, call)
}
