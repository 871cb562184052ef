// What tests of the Kubernetes client need of a cluster: our client of it, and pods that do one thing.

import type { KubernetesClient } from '../../k8s/client/kubernetes-client.ts'
import { connectKubernetes } from '../../k8s/connect.ts'
import type { V1Pod } from '../../runtime/kubernetes-types.ts'
import { createLogger, type Logger } from '../../runtime/log.ts'

/** A client by a kubeconfig, to be closed by `using`. */
export async function clientOf(
  kubeconfig: string,
  options: { requestTimeoutMs?: number } = {},
): Promise<KubernetesClient & Disposable> {
  const client = await connectKubernetes({
    inCluster: false,
    configFile: kubeconfig,
    context: null,
    environment: {},
    ...options,
  })
  return { ...client, [Symbol.dispose]: () => client.close() }
}

/** A pod whose one container `base` runs a shell script. */
export function shellPod(
  name: string,
  image: string,
  script: string,
  labels: Record<string, string> = {},
): V1Pod {
  return {
    metadata: { name, labels },
    spec: {
      restartPolicy: 'Never',
      terminationGracePeriodSeconds: 0,
      automountServiceAccountToken: false,
      containers: [
        { name: 'base', image, imagePullPolicy: 'IfNotPresent', command: ['/bin/sh', '-c', script] },
      ],
    },
  }
}

/** A pod that no node takes: it stays pending, and is as good as any for whoever only looks at the API server. */
export function idlePod(name: string, labels: Record<string, string> = {}): V1Pod {
  return {
    metadata: { name, labels },
    spec: {
      nodeSelector: { 'test/no-such-node': 'true' },
      containers: [{ name: 'base', image: 'localhost/none:1' }],
    },
  }
}

/** A logger whose lines are kept. */
export function keptLog(): {
  log: Logger
  lines: { level: string; msg: string; [field: string]: unknown }[]
} {
  const lines: { level: string; msg: string }[] = []
  const log = createLogger('test', {
    level: 'debug',
    destination: { write: (line: string) => void lines.push(JSON.parse(line)) },
  })
  return { log, lines }
}
