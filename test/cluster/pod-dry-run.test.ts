// Every golden pod before a real API server, in a namespace that enforces the level `restricted` of Pod Security: each
// field is known, each value is valid, and nothing is asked for that a careful cluster refuses.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { buildAttemptPod } from '../../k8s/pod/attempt-pod.ts'
import { toYaml } from '../../k8s/yaml.ts'
import type { V1Pod } from '../../runtime/kubernetes-types.ts'
import { goldenPods } from '../k8s/pod/golden-pods.ts'
import { podInput } from '../k8s/pod/inputs.ts'
import { type Cluster, connectCluster, type TestNamespace } from '../support/cluster.ts'

let cluster: Cluster
let namespace: TestNamespace

beforeAll(async () => {
  cluster = await connectCluster()
  namespace = await cluster.createNamespace('pod-dry-run', { podSecurity: 'restricted' })
  // Admission looks for it; secrets, config maps and claims are looked for by the kubelet only.
  await namespace.kubectl(['create', 'serviceaccount', 'worker'])
})
afterAll(async () => {
  await namespace?.[Symbol.asyncDispose]()
})

const dryRun = (pod: V1Pod) =>
  namespace.kubectl(['apply', '--dry-run=server', '--validate=strict', '--filename=-'], {
    input: toYaml({ ...pod, metadata: { ...pod.metadata, namespace: namespace.name } }),
  })

test.each(goldenPods)('the API server takes the pod $name', async ({ pod }) => {
  expect(await dryRun(pod)).toBe(`pod/${pod.metadata!.name} created (server dry run)`)
})

test('a value that only the API server can judge is refused in its words', async () => {
  const overrides = [{ spec: { containers: [{ resources: { limits: { memory: 'much' } } }] } }]
  await expect(dryRun(buildAttemptPod(podInput({ overrides })))).rejects.toThrow(/quantities must match/)
})

test('an override that asks for more rights than the namespace gives is refused', async () => {
  const overrides = [{ spec: { containers: [{ securityContext: { allowPrivilegeEscalation: true } }] } }]
  await expect(dryRun(buildAttemptPod(podInput({ overrides })))).rejects.toThrow(
    /violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false/,
  )
})
