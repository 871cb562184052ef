// Laying one part of a pod over another. The rules are those that users of Airflow's `pod_override` know, with three
// differences, each of which was a trap: null, false, 0 and '' override too; what Kubernetes would refuse as a
// duplicate (an environment variable, a mount, a volume of the same name) replaces the one before, in its place; and
// a sidecar that has the name of a container that is there is laid over that one. Pure: nothing is changed, what is
// not touched is shared with the inputs.
//
//   volumes, initContainers, and a container's env, envFrom, ports, volumeMounts, volumeDevices   extended
//   containers                           the first over the first, others by name, without a name by position
//   metadata.labels, .annotations        merged, the override's value wins
//   everything else                      replaced where the override says something; undefined says nothing
//
// A null is kept while parts are laid over each other, so that what somebody took away is not filled in by our own
// defaults afterwards; `withoutNulls` carries the removals out at the end.
import type { V1Pod } from '../../runtime/kubernetes-types.ts'
import type { PodOverride } from '../../runtime/pod-override.ts'

type Json = Record<string, unknown>
/** What the values of a key are laid over each other by; other keys are replaced. */
type Rules = Readonly<Record<string, (base: unknown, override: unknown) => unknown>>

/** `override` over `base`, with removals carried out. */
export function mergePods(base: V1Pod, override: PodOverride): V1Pod {
  return withoutNulls(layOver(base, override)) as V1Pod
}

/** `override` over `base`, both parts of pods; nulls stay, as removals that are still to come. */
export function layOver(base: PodOverride, override: PodOverride): PodOverride {
  return overlay(podRules, base as Json, override as Json) as PodOverride
}

/** Without the keys whose value is null or undefined, at any depth. Lists keep their length. */
export function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls)
  if (!isObject(value)) return value
  const kept = Object.entries(value).filter(([, inner]) => inner !== null && inner !== undefined)
  return Object.fromEntries(kept.map(([key, inner]) => [key, withoutNulls(inner)]))
}

function overlay(rules: Rules, base: Json, override: Json): Json {
  const result: Json = { ...base }
  for (const [key, value] of Object.entries(override)) {
    if (value === undefined) continue
    const below = base[key]
    const rule = Object.hasOwn(rules, key) ? rules[key] : undefined
    const merges = rule !== undefined && below !== null && below !== undefined && value !== null
    result[key] = merges ? rule(below, value) : value
  }
  return result
}

/** Objects are laid over each other by `rules`; anything else is replaced. */
const objectBy =
  (rules: Rules) =>
  (base: unknown, override: unknown): unknown =>
    isObject(base) && isObject(override) ? overlay(rules, base, override) : override

/**
 * Lists are extended. What `isSame` as something there takes its place, or is combined with it; the identity of an
 * element is among the override's own elements too, so that laying the same over it again changes nothing.
 */
const listBy =
  (isSame: (one: Json, other: Json) => boolean, combine = (_: Json, override: Json) => override) =>
  (base: unknown, override: unknown): unknown => {
    if (!Array.isArray(base) || !Array.isArray(override)) return override
    const result: Json[] = [...base]
    for (const element of override) {
      const at = result.findIndex(
        (present) => isObject(present) && isObject(element) && isSame(present, element),
      )
      if (at === -1) result.push(element)
      else result[at] = combine(result[at]!, element)
    }
    return result
  }

const sameKey = (key: string) => (one: Json, other: Json) => one[key] !== undefined && one[key] === other[key]

const samePort = (one: Json, other: Json) =>
  one.containerPort === other.containerPort && (one.protocol ?? 'TCP') === (other.protocol ?? 'TCP')

const sameContent = (one: Json, other: Json) => JSON.stringify(one) === JSON.stringify(other)

const containerRules: Rules = {
  env: listBy(sameKey('name')),
  envFrom: listBy(sameContent),
  ports: listBy(samePort),
  volumeMounts: listBy(sameKey('mountPath')),
  volumeDevices: listBy(sameKey('devicePath')),
}

const layContainer = (base: Json, override: Json) => overlay(containerRules, base, override)

function layContainers(base: unknown, override: unknown): unknown {
  if (!Array.isArray(base) || !Array.isArray(override)) return override
  const result: Json[] = [...base]
  for (const [position, container] of override.entries()) {
    const named = result.findIndex((present) => sameKey('name')(present, container))
    const at = position === 0 || container.name === undefined ? position : named
    if (at === -1 || at >= result.length) result.push(container)
    else result[at] = layContainer(result[at]!, container)
  }
  return result
}

const podRules: Rules = {
  metadata: objectBy({ labels: objectBy({}), annotations: objectBy({}) }),
  spec: objectBy({
    volumes: listBy(sameKey('name')),
    initContainers: listBy(sameKey('name'), layContainer),
    containers: layContainers,
  }),
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
