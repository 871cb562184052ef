// The pod of an attempt that is dispatched: what k8s/pod makes of its order, with the template that the commit has for
// it, and last the deployment's hook.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { buildOperatorPod, type OperatorPodInput } from '../../../k8s/operators/operator-pod.ts'
import { operatorTemplatePath, parseOperatorTemplate } from '../../../k8s/operators/operator-template.ts'
import type { AttemptIdentity } from '../../../k8s/pod/attempt-identity.ts'
import { buildAttemptPod, checkAttemptPod } from '../../../k8s/pod/attempt-pod.ts'
import { overridesOf } from '../../../k8s/pod/overrides-of.ts'
import type { PodHook } from '../../../k8s/pod/pod-hook.ts'
import type { PodSettings } from '../../../k8s/pod/pod-settings.ts'
import { parsePodTemplate } from '../../../k8s/pod/pod-template.ts'
import { withSpecHash } from '../../../k8s/pod/spec-hash.ts'
import { PodSpecError } from '../../../runtime/errors.ts'
import type { V1Pod } from '../../../runtime/kubernetes-types.ts'
import type { OperatorManifest } from '../../../runtime/operator-manifest.ts'
import type { AttemptOrder } from '../../../runtime/task-runner/protocol.ts'
import { templateVariables } from '../../../runtime/templates/template-variables.ts'
import type { DispatchOrder } from '../executor.ts'
import { buildObjects, type ObjectsManifest } from './build-objects.ts'
import type { Kubernetes } from './connect.ts'

/** A pod, or the objects of `job()` and `resource()`. */
export type Work = { pod: V1Pod; objects: null } | { pod: null; objects: ObjectsManifest }

export type BuildPod = (dispatch: DispatchOrder) => Promise<Work>

/** @returns a function that throws PodSpecError for an attempt whose pod cannot be made */
export function createPodBuilder(
  deployment: Pick<Kubernetes, 'podSettings' | 'template' | 'hook'> & { deploymentId: string },
): BuildPod {
  const { podSettings: settings, hook } = deployment
  return async ({ order, dagRunId, dag, task }) => {
    const identity: AttemptIdentity = {
      deploymentId: deployment.deploymentId,
      dagRunId,
      dagId: order.dag_id,
      runId: order.run_id,
      taskId: order.task_id,
      mapIndex: order.map_index,
      tryNumber: order.try_number,
      maxTries: order.max_tries,
      logicalDate: order.logical_date,
      commitSha: order.commit_sha,
      bundleHash: order.bundle_hash,
    }
    if (task.operator !== null) {
      const built = await operatorWork(task.operator, order, { identity, settings, spot: task.spot })
      return hook === null || built.pod === null
        ? built
        : { pod: inWatched(await hooked(hook, built.pod, identity), settings), objects: null }
    }
    const template =
      task.pod_template_file === null
        ? deployment.template
        : await templateOfCommit(order.source_path, task.pod_template_file)
    const pod = buildAttemptPod({
      identity,
      settings,
      template,
      overrides: overridesOf(dag, task),
      spot: task.spot,
    })
    if (hook === null) return { pod, objects: null }
    const changed = await hooked(hook, pod, identity)
    checkAttemptPod(changed, identity, settings)
    return { pod: changed, objects: null }
  }
}

/** @throws PodSpecError where the hook has put it where nobody looks */
function inWatched(pod: V1Pod, { namespaces }: PodSettings): V1Pod {
  const { namespace = '' } = pod.metadata ?? {}
  if (namespaces.includes(namespace)) return pod
  throw new PodSpecError(
    `the hook has put the pod into namespace '${namespace}', which is not watched: name it in kubernetes_namespaces, or use ${namespaces.join(' or ')}`,
  )
}

async function hooked(hook: PodHook, pod: V1Pod, identity: AttemptIdentity): Promise<V1Pod> {
  return withSpecHash(await hook(pod, identity))
}

async function operatorWork(
  operator: OperatorManifest,
  order: AttemptOrder,
  { identity, settings, spot }: Pick<OperatorPodInput<unknown>, 'identity' | 'settings' | 'spot'>,
): Promise<Work> {
  const variables = templateVariables(order)
  const named = operator.kind === 'resource' ? null : operator.pod_template_file
  const file = named === null ? null : operatorTemplatePath(named, variables)
  const template =
    file === null ? null : parseOperatorTemplate(await readFromCommit(order.source_path, file), file)
  const input = { identity, settings, variables, template, spot }
  return operator.kind === 'pod'
    ? { pod: buildOperatorPod({ ...input, operator }), objects: null }
    : { pod: null, objects: buildObjects({ ...input, operator }) }
}

async function templateOfCommit(sourcePath: string, file: string): Promise<V1Pod> {
  return parsePodTemplate(await readFromCommit(sourcePath, file), file)
}

async function readFromCommit(sourcePath: string, file: string): Promise<string> {
  const path = join(sourcePath, file)
  try {
    return await readFile(path, 'utf8')
  } catch (cause) {
    throw new PodSpecError(`the pod template ${file} is not in the run's commit (${path})`, { cause })
  }
}
