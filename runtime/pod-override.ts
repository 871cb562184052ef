// What a Dag, a group or a task may say about its pods: a part of a pod, under the names that Kubernetes has for it.
// The type is made from the generated ones, so that the compiler knows every field. What is judged here is only what
// would break the way that pods are found and run; all else is for the API server to judge, who knows its own version.
import type { V1Pod } from './kubernetes-types.ts'
import { didYouMean } from './nearest.ts'

/** All of it optional, and null where what others said is to be taken away. */
type PartOf<Type> = Type extends Date
  ? Date | string
  : Type extends readonly (infer Item)[]
    ? readonly PartOf<Item>[]
    : Type extends object
      ? { readonly [Key in keyof Type]?: PartOf<Type[Key]> | null }
      : Type

/**
 * A part of a pod that is laid over what the deployment makes. Volumes, init containers, and a container's mounts,
 * env, ports and devices are added to what is there; anything else takes the place of what is there, also as null,
 * false, 0 or ''. The first container is `base`, in which the task runs; further ones are sidecars.
 */
export type PodOverride = PartOf<Pick<V1Pod, 'metadata' | 'spec'>>

const overrideKeys = ['metadata', 'spec']

/** Names by which pods are found again. */
const ownPrefix = 'branchline.dev/'

/** Why `override` cannot be one, with the path of what is wrong; null where it can. Not judged: fields of the spec. */
export function podOverrideFault(override: unknown): string | null {
  if (!isPlainObject(override)) return 'must be an object with metadata, spec or both'
  for (const key of Object.keys(override)) {
    if (overrideKeys.includes(key)) continue
    return `has no '${key}': there are metadata and spec.${didYouMean(key, overrideKeys)}`
  }
  for (const key of overrideKeys) {
    const part = override[key]
    if (part !== undefined && !isPlainObject(part)) return `has a ${key} that is no object`
  }
  return jsonFault(override, '') ?? metadataFault(override.metadata) ?? containersFault(override.spec)
}

/** Values that JSON would leave out or turn into others without a word. */
function jsonFault(value: unknown, path: string): string | null {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return null
  if (typeof value === 'number' && Number.isFinite(value)) return null
  if (Array.isArray(value)) return firstFault(value.entries(), (index) => `${path}[${index}]`)
  if (isPlainObject(value)) {
    return firstFault(Object.entries(value), (key) => (path === '' ? String(key) : `${path}.${key}`))
  }
  return `has ${kindOf(value)} at ${path}: it must be plain JSON (null takes a field away)`
}

function firstFault(
  entries: Iterable<[string | number, unknown]>,
  pathOf: (key: string | number) => string,
): string | null {
  for (const [key, value] of entries) {
    const fault = jsonFault(value, pathOf(key))
    if (fault !== null) return fault
  }
  return null
}

function kindOf(value: unknown): string {
  if (typeof value === 'object') return `a ${value!.constructor?.name ?? 'special object'}`
  return typeof value === 'number' || value === undefined ? String(value) : `a ${typeof value}`
}

function metadataFault(metadata: unknown): string | null {
  if (!isPlainObject(metadata)) return null
  for (const key of ['name', 'generateName']) {
    if (key in metadata) {
      return `has metadata.${key}, but names of pods are made from their attempts: use a label or an annotation`
    }
  }
  for (const part of ['labels', 'annotations']) {
    const own = Object.keys(metadata[part] ?? {}).find((name) => name.startsWith(ownPrefix))
    if (own !== undefined) {
      return `has metadata.${part}['${own}'], but names that begin with ${ownPrefix} are Branchline's own: use another`
    }
  }
  return null
}

function containersFault(spec: unknown): string | null {
  if (!isPlainObject(spec)) return null
  const { containers } = spec
  if (containers === undefined) return null
  if (!Array.isArray(containers)) return 'must have a list as spec.containers'
  const odd = containers.findIndex((container) => !isPlainObject(container))
  if (odd !== -1) return `must have an object as spec.containers[${odd}]`
  const [base, ...sidecars] = containers
  if (base !== undefined && base.name !== undefined && base.name !== 'base') {
    return `has '${base.name}' as its first container, but that is 'base', in which the task runs: put { name: 'base' } before it`
  }
  const again = sidecars.findIndex(({ name }) => name === 'base')
  return again === -1 ? null : `has 'base' as spec.containers[${again + 1}], but it is the first`
}

/** Of this realm or another, but of no class. */
function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || Object.getPrototypeOf(prototype) === null
}
