// Who said it: for each value of a pod, which of the layers that it is made of gave it. For people who ask why a pod is
// as it is; no part of making one. A value comes from the last layer that changed it: what a later layer says again
// stays with the one that said it first.
import type { V1Pod } from '../../runtime/kubernetes-types.ts'
import type { PodOverride } from '../../runtime/pod-override.ts'
import { type AttemptPodInput, attemptPodStages, buildAttemptPod } from './attempt-pod.ts'
import { withoutNulls } from './merge-pods.ts'

export interface ExplainedPod {
  pod: V1Pod
  /** Of the value at a path of the pod: `template`, `generated`, a name of `overrides`, `spot` or `default`. */
  originOf(path: readonly (string | number)[]): string
}

export interface ExplainedPodInput extends Omit<AttemptPodInput, 'overrides'> {
  /** As `overrideLayersOf` gives them. */
  overrides: readonly { from: string; override: PodOverride }[]
}

/**
 * The attempt's pod before the deployment's hook, and where its values come from.
 * @throws PodSpecError as `buildAttemptPod`
 */
export function explainAttemptPod(input: ExplainedPodInput): ExplainedPod {
  const inner = { ...input, overrides: input.overrides.map(({ override }) => override) }
  const pod = buildAttemptPod(inner)
  const names = ['template', 'generated', ...input.overrides.map(({ from }) => from), 'spot', 'default']
  const stages = attemptPodStages(inner).map((stage) => leavesOf(withoutNulls(stage)))
  return {
    pod,
    originOf(path) {
      const key = keyOf(pod, path)
      const value = JSON.stringify(valueAt(pod, path))
      let origin = 'generated'
      // From the last stage back to the first that has had this value ever since.
      for (let at = stages.length - 1; at >= 0 && stages[at]!.get(key) === value; at -= 1) origin = names[at]!
      return origin
    },
  }
}

/** Path with the names of list elements in place of their positions, which move from layer to layer → value. */
function leavesOf(value: unknown, path = '', leaves = new Map<string, string>()): Map<string, string> {
  if (typeof value !== 'object' || value === null || Object.keys(value).length === 0) {
    return leaves.set(path, JSON.stringify(value))
  }
  for (const [key, inner] of Object.entries(value)) {
    leavesOf(inner, `${path}/${Array.isArray(value) ? elementName(inner, key) : key}`, leaves)
  }
  return leaves
}

function keyOf(pod: V1Pod, path: readonly (string | number)[]): string {
  return path
    .map((step, depth) => {
      const parent = valueAt(pod, path.slice(0, depth))
      return `/${Array.isArray(parent) ? elementName(parent[Number(step)], String(step)) : step}`
    })
    .join('')
}

/** What tells it from the others of its list. */
function elementName(element: unknown, position: string): string {
  if (typeof element !== 'object' || element === null) return position
  const { mountPath, devicePath, containerPort, name, key } = element as Record<string, unknown>
  return String(mountPath ?? devicePath ?? containerPort ?? name ?? key ?? position)
}

function valueAt(value: unknown, path: readonly (string | number)[]): unknown {
  return path.reduce((inner, step) => (inner as Record<string | number, unknown> | undefined)?.[step], value)
}
