// A scheduler whose tasks are pods of a cluster: the cluster that the benchmark runs beside, a namespace of it that
// goes away with the case, our client of it, and the settings that lead a scheduler there.
import type { KubernetesClient } from '../../k8s/client/kubernetes-client.ts'
import { type Cluster, connectCluster, type TestNamespace } from '../../test/support/cluster.ts'
import { clientOf } from '../../test/support/kubernetes-pods.ts'

/** Requests for pods under way at once, of the scheduler and of its floor. */
export const podConcurrency = 32

export interface PodPlace extends AsyncDisposable {
  cluster: Cluster
  namespace: TestNamespace
  client: KubernetesClient
  /** For schedulers. */
  env: Record<string, string>
}

export async function createPodPlace(name: string): Promise<PodPlace> {
  const stack = new AsyncDisposableStack()
  const cluster = await connectCluster()
  const namespace = stack.use(await cluster.createNamespace(`bench-${name}`))
  const client = stack.use(await clientOf(cluster.kubeconfig))
  return {
    cluster,
    namespace,
    client,
    env: {
      BRANCHLINE_EXECUTORS: 'kubernetes',
      BRANCHLINE_KUBERNETES_CONFIG_FILE: cluster.kubeconfig,
      BRANCHLINE_KUBERNETES_NAMESPACE: namespace.name,
      // Cases whose pods run have a web and a Git server of their own; on a fake node nothing calls them.
      BRANCHLINE_EXECUTION_API_URL: `http://${cluster.address}:8080`,
      BRANCHLINE_GIT_SYNC_REPO: `http://${cluster.address}:8080/none.git`,
      BRANCHLINE_WORKER_IMAGE: cluster.images.worker,
      BRANCHLINE_WORKER_IMAGE_PULL_POLICY: 'Never',
      BRANCHLINE_GIT_SYNC_IMAGE: cluster.images.sync,
      BRANCHLINE_WORKER_PODS_CREATION_CONCURRENCY: String(podConcurrency),
      // How fast it may, not how fast it should: the limits would be what is measured.
      BRANCHLINE_WORKER_PODS_CREATION_RATE: '10000',
      BRANCHLINE_WORKER_PODS_CREATION_BURST: '10000',
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  }
}
