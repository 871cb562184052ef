// Pains 9, 10 and 26, and what bad input gets: pods that cannot be made, or cannot start. Each attempt ends, or waits where
// waiting can help, with the API server's, the cluster scheduler's or the kubelet's own words, within seconds.
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { type Cluster, connectCluster } from '../../support/cluster.ts'
import { eventually } from '../../support/eventually.ts'
import {
  createKubernetesDeployment,
  type KubernetesDeployment,
  schedulerReady,
} from '../../support/kubernetes-deployment.ts'
import { branchline, endsOf, explainFailure, podsGone } from './pains.ts'

/** Of the namespace: what a container may ask for. */
const limitRange = {
  apiVersion: 'v1',
  kind: 'LimitRange',
  metadata: { name: 'limits' },
  spec: { limits: [{ type: 'Container', max: { memory: '1Gi' }, defaultRequest: { memory: '16Mi' } }] },
}

/** Task → what is laid over its pod, and what its error says in the end. */
const cases: Record<string, { override: string; says: RegExp }> = {
  image_missing: {
    override: "{ spec: { containers: [{ image: 'localhost/none:1' }] } }",
    says: /ErrImageNeverPull: container base: .*"localhost\/none:1" is not present with pull policy of Never/,
  },
  registry_away: {
    override: "{ spec: { containers: [{ image: '127.0.0.1:1/none:1', imagePullPolicy: 'Always' }] } }",
    says: /(ErrImagePull|ImagePullBackOff): container base: .*127\.0\.0\.1:1\/none:1/,
  },
  image_name_bad: {
    override: "{ spec: { containers: [{ image: 'NOT/AN:IMAGE:1' }] } }",
    says: /InvalidImageName: container base: .*NOT\/AN:IMAGE:1/,
  },
  secret_missing: {
    override: "{ spec: { containers: [{ envFrom: [{ secretRef: { name: 'no-secret' } }] }] } }",
    says: /CreateContainerConfigError: container base: secret "no-secret" not found/,
  },
  config_map_missing: {
    override:
      "{ spec: { containers: [{ env: [{ name: 'A', valueFrom: { configMapKeyRef: { name: 'no-map', key: 'a' } } }] }] } }",
    says: /CreateContainerConfigError: container base: configmap "no-map" not found/,
  },
  secret_volume_missing: {
    override:
      "{ spec: { containers: [{ volumeMounts: [{ name: 's', mountPath: '/s' }] }], volumes: [{ name: 's', secret: { secretName: 'no-volume' } }] } }",
    says: /FailedMount: .*secret "no-volume" not found/,
  },
  claim_missing: {
    override:
      "{ spec: { containers: [{ volumeMounts: [{ name: 'c', mountPath: '/c' }] }], volumes: [{ name: 'c', persistentVolumeClaim: { claimName: 'no-claim' } }] } }",
    says: /Unschedulable: .*persistentvolumeclaim "no-claim" not found/,
  },
  account_missing: {
    override: "{ spec: { serviceAccountName: 'nobody' } }",
    says: /PodRefused: .*serviceaccount "nobody" not found/,
  },
  namespace_not_ours: {
    override: "{ metadata: { namespace: 'default' } }",
    says: /PodNotMade: .*namespace is 'default', which is not watched: name it in kubernetes_namespaces/,
  },
  namespace_unknown: {
    override: "{ metadata: { namespace: 'no-such-namespace' } }",
    says: /PodRefused: .*namespaces "no-such-namespace" not found/,
  },
  refused: {
    override: "{ spec: { containers: [{ resources: { limits: { memory: '-1' } } }] } }",
    says: /PodRefused: .*resources\.limits.*must be greater than or equal to 0/,
  },
  insecure: {
    override:
      '{ spec: { containers: [{ securityContext: { privileged: true, allowPrivilegeEscalation: true } }] } }',
    says: /PodRefused: .*violates PodSecurity "restricted.*privileged/,
  },
  no_node: {
    override: "{ spec: { nodeSelector: { pool: 'none' } } }",
    says: /Unschedulable: .*0\/1 nodes are available.*didn't match Pod's node affinity\/selector/,
  },
  too_large: {
    override:
      "{ spec: { containers: [{ env: Array.from({ length: 18 }, (_, n) => ({ name: 'A' + n, value: 'x'.repeat(100_000) })) }] } }",
    says: /PodRefused: .*request is too large/,
  },
  over_the_limit: {
    override:
      "{ spec: { containers: [{ resources: { limits: { memory: '8Gi' }, requests: { memory: '8Gi' } } }] } }",
    says: /PodRefused: .*maximum memory usage per Container is 1Gi/,
  },
}

/** Those that may become well by themselves, and so end by their timeout alone. */
const waiting = ['secret_volume_missing', 'claim_missing', 'no_node']

const files = {
  'dags/never.ts': `
    import { dag, task } from 'branchline'

    export default dag('never', {}, () => {
      ${Object.entries(cases)
        .map(([id, { override }]) => `task('${id}', { retries: 0, podOverride: ${override} }, () => 1)`)
        .join('\n      ')}
    })`,
}

let cluster: Cluster
let deployment: KubernetesDeployment

beforeAll(async () => {
  cluster = await connectCluster()
  deployment = await createKubernetesDeployment({
    cluster,
    files,
    env: (namespace) => ({
      BRANCHLINE_KUBERNETES_NAMESPACES: `${namespace},no-such-namespace`,
      BRANCHLINE_INFRASTRUCTURE_RETRIES: '0',
      BRANCHLINE_WORKER_POD_PENDING_FATAL_GRACE: '1s',
      BRANCHLINE_WORKER_POD_PENDING_TIMEOUT: '25s',
    }),
  })
  await deployment.namespace.kubectl(['apply', '--filename=-'], { input: JSON.stringify(limitRange) })
  await schedulerReady(deployment)
}, 120_000)
beforeEach(() => explainFailure(deployment))
afterAll(async () => {
  await deployment?.[Symbol.asyncDispose]()
})

test('pain 9: a pod that cannot be made or started says why in the cluster’s own words, within seconds', async () => {
  const triggeredAt = Date.now()
  await deployment.trigger('never', 'all')
  await eventually(
    'those that time does not mend have failed',
    async () => {
      const ends = await endsOf(deployment, 'never', 'all')
      const failed = [...ends].filter(([, { state }]) => state === 'failed').map(([id]) => id)
      return failed.length >= Object.keys(cases).length - waiting.length
    },
    60_000,
  )
  // Before the timeout of the others.
  expect(Date.now() - triggeredAt).toBeLessThan(60_000)
  for (const id of waiting) {
    const { says } = cases[id]!
    const text = await branchline(deployment, ['tasks', 'show', 'never', 'all', id])
    // In a terminal a status may be of another colour than what follows it.
    expect(text).toMatch(new RegExp(says.source.replace(/^\w+: \.\*/, '')))
  }
  expect(await deployment.ended('never', 'all', 110_000)).toBe('failed')
  const ends = await endsOf(deployment, 'never', 'all')
  for (const [id, { says }] of Object.entries(cases)) {
    const { error, log, tryNumber } = ends.get(id)!
    expect.soft(error, id).toMatch(says)
    expect.soft(log, `log of ${id}`).toMatch(says)
    expect.soft(tryNumber, id).toBe(1)
  }
  await podsGone(deployment)
}, 180_000)
