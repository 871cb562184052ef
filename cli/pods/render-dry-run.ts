// Has the API server say of rendered objects what it would say of real ones: unknown fields, quotas, policies.
import type { KubernetesClient, KubernetesObject } from '../../k8s/client/kubernetes-client.ts'
import { isAlreadyExists } from '../../k8s/kubernetes-error.ts'
import type { V1Pod } from '../../runtime/kubernetes-types.ts'
import type { ResourceOperatorManifest } from '../../runtime/operator-manifest.ts'

/**
 * @returns what came of it, in words
 * @throws KubernetesError with the server's own words
 */
export async function dryRun(
  client: KubernetesClient,
  objects: readonly object[],
  action: ResourceOperatorManifest['action'],
): Promise<string> {
  if (action !== 'create' && action !== 'apply')
    return `not checked: it is not created, the action is '${action}'`
  for (const object of objects) {
    try {
      await createDry(client, object as KubernetesObject)
    } catch (error) {
      if (action !== 'apply' || !isAlreadyExists(error)) throw error
    }
  }
  return 'the API server would take it'
}

async function createDry(client: KubernetesClient, object: KubernetesObject): Promise<void> {
  if (object.kind === 'Pod' && object.apiVersion === 'v1') {
    await client.createPod(object.metadata.namespace!, object as V1Pod, { dryRun: true })
  } else {
    await client.createObject(object, { dryRun: true })
  }
}
