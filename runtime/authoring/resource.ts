// `resource()`: any object of Kubernetes becomes a task, as by Argo's `resource` template: it is created, applied,
// patched, read or deleted, and the task ends when a condition on it holds.
import { DagDefinitionError } from '../errors.ts'
import type { KubernetesObject, ResourceOperatorManifest } from '../operator-manifest.ts'
import { isTemplate } from '../templates/parse-template.ts'
import type { Task } from './handles.ts'
import { type OptionPlace, refuse } from './option-values.ts'
import { addOperator } from './pod-operator.ts'
import type { OperatorTaskOptions } from './pod-operator-options.ts'
import type { SnakeCased } from './pod-option-names.ts'
import { anyObjects, choice, text } from './pod-values.ts'
import { parseCondition } from './resource-condition.ts'

/** Options of `resource()`. */
export interface ResourceOptions extends Omit<OperatorTaskOptions, 'spot'> {
  /** 'apply': what is there is made like it. 'patch': what is there is changed. Default 'create'. */
  action?: ResourceOperatorManifest['action'] | null
  /** Default: the deployment's, for objects that name none. */
  namespace?: string | null
  /** The object, or several; or `yaml`. */
  manifest?: Readonly<KubernetesObject> | readonly Readonly<KubernetesObject>[] | null
  /** YAML text with the object, or several. Templates in it may stand for numbers and whole objects too. */
  yaml?: string | null
  /** How 'patch' reads the manifest. Default 'merge'. */
  patchType?: ResourceOperatorManifest['patch_type'] | null
  /** Terms such as 'status.phase = Ready', all of which must hold. Default: the action is enough. */
  successCondition?: string | null
  /** The task fails as soon as they hold. */
  failureCondition?: string | null
}

const ownOptionNames = [
  'action',
  'namespace',
  'manifest',
  'yaml',
  'patchType',
  'successCondition',
  'failureCondition',
] as const satisfies readonly (keyof ResourceOptions)[]

/**
 * A task that is an object of Kubernetes.
 *
 * ```ts
 * resource('cluster', {
 *   manifest: { apiVersion: 'ray.io/v1', kind: 'RayCluster', metadata: { name: 'daily-{{ ds_nodash }}' }, spec },
 *   successCondition: 'status.state = ready',
 *   failureCondition: 'status.state = failed',
 * })
 * ```
 * @throws DagDefinitionError outside of a Dag, and where an id, input or option cannot be
 */
export function resource(
  id: string,
  options: ResourceOptions & Partial<SnakeCased<ResourceOptions>>,
): Task<undefined> {
  return addOperator<undefined, ResourceOperatorManifest>({
    id,
    options,
    kind: 'resource',
    optionNames: ownOptionNames,
    read: readResourceOperator,
  })
}

function readResourceOperator(
  place: string,
  options: Readonly<Record<string, unknown>>,
): ResourceOperatorManifest {
  const at = (option: keyof ResourceOptions) => ({ place, option })
  const manifest = readManifest(at('manifest'), options.manifest)
  const yaml = text(at('yaml'), options.yaml)
  if ((manifest === null) === (yaml === null)) {
    throw new DagDefinitionError(
      `${place}: give either option 'manifest' or option 'yaml', the object that is meant`,
    )
  }
  const action = choice('create', 'apply', 'delete', 'patch', 'get')(at('action'), options.action) ?? 'create'
  const patchType = choice('merge', 'strategic')(at('patchType'), options.patchType)
  if (patchType !== null && action !== 'patch') {
    refuse(at('patchType'), patchType, `left out, as the action is '${action}' and not 'patch'`)
  }
  return {
    kind: 'resource',
    action,
    namespace: text(at('namespace'), options.namespace),
    manifest,
    yaml,
    patch_type: patchType ?? 'merge',
    success_condition: readCondition(at('successCondition'), options.successCondition, action),
    failure_condition: readCondition(at('failureCondition'), options.failureCondition, action),
  }
}

function readManifest(at: OptionPlace, value: unknown): KubernetesObject[] | null {
  if (value === undefined || value === null) return null
  const objects = anyObjects('apiVersion', 'kind', 'metadata')(at, Array.isArray(value) ? value : [value])!
  return objects.length === 0 ? refuse(at, value, 'one object or several') : objects
}

function readCondition(
  at: OptionPlace,
  value: unknown,
  action: ResourceOperatorManifest['action'],
): string | null {
  const condition = text(at, value)
  if (condition === null) return null
  if (action === 'delete')
    refuse(at, condition, "left out: with the action 'delete' the object's end is waited for")
  const { fault } = isTemplate(condition) ? { fault: null } : parseCondition(condition)
  return fault === null ? condition : refuse(at, condition, `terms such as 'status.phase = Ready': ${fault}`)
}
