// The deployment's own say in every pod: a module that is imported once, and called before each create. It is trusted
// code of whoever runs the scheduler, and not of whoever writes Dags; what it returns is judged all the same, because
// a pod that it renames by mistake would be created and never found again.
import { pathToFileURL } from 'node:url'
import { ConfigError, messageOf, PodSpecError } from '../../runtime/errors.ts'
import type { V1Pod } from '../../runtime/kubernetes-types.ts'
import type { PodHook as DeploymentHook } from '../../runtime/pod-hook.ts'
import type { AttemptIdentity } from './attempt-identity.ts'
import { attemptPodFault } from './attempt-pod.ts'
import { withoutNulls } from './merge-pods.ts'

/** What one call may take. Longer, and one that waits for something that never comes holds all tasks up. */
const callTimeoutMs = 10_000

/**
 * The pod as the deployment wants it; the one that is given stays as it is.
 * @throws PodSpecError where the module throws, takes too long, or makes something that is not the attempt's pod
 */
export type PodHook = (pod: V1Pod, identity: AttemptIdentity) => Promise<V1Pod>

/**
 * Imports the module that `pod_hook` names.
 * @param path absolute; JavaScript, or TypeScript whose types can be stripped
 * @throws ConfigError where it cannot be imported, or its default export is no function
 */
export async function loadPodHook(path: string): Promise<PodHook> {
  let module: { default?: unknown }
  try {
    module = (await import(pathToFileURL(path).href)) as { default?: unknown }
  } catch (cause) {
    throw new ConfigError(`pod_hook: ${path} cannot be imported: ${messageOf(cause)}`, { cause })
  }
  const hook = module.default
  if (typeof hook !== 'function') {
    throw new ConfigError(
      `pod_hook: ${path} has no function as its default export: export default (pod, taskInstance) => pod`,
    )
  }
  return async (pod, identity) => {
    const fail = (why: string, cause?: unknown): never => {
      throw new PodSpecError(`pod_hook: ${path} ${why}`, cause === undefined ? {} : { cause })
    }
    const given = structuredClone(pod)
    const returned = await inTime(() => hook(given, taskInstanceOf(identity))).catch((cause: unknown) =>
      fail(`failed: ${messageOf(cause)}`, cause),
    )
    const changed = returned ?? given
    if (typeof changed !== 'object' || Array.isArray(changed)) {
      fail(
        `returned ${Array.isArray(changed) ? 'a list' : `a ${typeof changed}`}: return the pod, or nothing`,
      )
    }
    const result = withoutNulls(changed) as V1Pod
    const fault = attemptPodFault(result, identity, pod)
    return fault === null ? result : fail(`made a pod that cannot be: ${fault}`)
  }
}

function taskInstanceOf(identity: AttemptIdentity): Parameters<DeploymentHook>[1] {
  const { dagId, runId, taskId, mapIndex, tryNumber, maxTries, logicalDate, commitSha } = identity
  return { dagId, runId, taskId, mapIndex, tryNumber, maxTries, logicalDate, commitSha }
}

async function inTime(call: () => unknown): Promise<unknown> {
  const { promise, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => {
    reject(new Error(`it did not return within ${callTimeoutMs / 1000} s`))
  }, callTimeoutMs)
  try {
    return await Promise.race([call(), promise])
  } finally {
    clearTimeout(timer)
  }
}
