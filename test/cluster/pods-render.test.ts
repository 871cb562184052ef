// `branchline pods render --server`: what a real API server says of each rendered task, before anybody runs it.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { cli } from '../cli/cli-process.ts'
import { type Cluster, connectCluster, type TestNamespace } from '../support/cluster.ts'

const module = `
  import { dag, job, pod, resource, secret, task } from 'branchline'

  const restricted = {
    securityContext: { runAsNonRoot: true, runAsUser: 1000 },
    containerSecurityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
  }
  const image = 'registry.example/any:1'

  export default dag('all', { params: { size: 2 } }, () => {
    task('worker', () => 1)
    pod('everything', {
      ...restricted, image, doXcomPush: true, serviceAccountName: 'default',
      cmds: ['python'], arguments: ['{{ ds }}', '$(A)'], ports: [{ containerPort: 80 }],
      volumes: [{ name: 'v', emptyDir: {} }], volumeMounts: [{ name: 'v', mountPath: '/v' }],
      envVars: { A: '{{ ds }}' }, envFrom: [{ configMapRef: { name: 'a' } }], configmaps: ['b'],
      secrets: [
        secret({ deployType: 'env', deployTarget: 'P', secret: 's', key: 'k' }),
        secret({ deployType: 'env', deployTarget: null, secret: 's' }),
        secret({ deployType: 'volume', deployTarget: '/etc/s', secret: 's', key: 'k' }),
      ],
      podRuntimeInfoEnvs: { N: 'metadata.name' }, labels: { a: 'b' }, annotations: { c: '{{ run_id }}' },
      imagePullPolicy: 'Always', imagePullSecrets: ['p'], containerResources: { requests: { cpu: '10m' } },
      automountServiceAccountToken: false, nodeSelector: { a: 'b' }, tolerations: [{ operator: 'Exists' }],
      affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [{ matchExpressions: [{ key: 'a', operator: 'Exists' }] }] } } },
      schedulername: 'other', hostAliases: [{ ip: '10.0.0.1', hostnames: ['db'] }], hostname: 'h', subdomain: 's',
      dnspolicy: 'None', dnsConfig: { nameservers: ['10.0.0.1'] }, terminationGracePeriod: 5, activeDeadlineSeconds: 60,
      terminationMessagePolicy: 'FallbackToLogsOnError', baseContainerName: 'main', name: 'any name',
      initContainers: [{ name: 'i', image, securityContext: restricted.containerSecurityContext }],
    })
    pod('as_root', { image })
    pod('no_label', { ...restricted, image, labels: { a: 'not a label' } })
    pod('no_field', { ...restricted, image, affinity: { nothing: {} } as never })
    job('job', { ...restricted, image, completions: 2, parallelism: 2, completionMode: 'Indexed', backoffLimit: 0, ttlSecondsAfterFinished: 60, suspend: true })
    resource('map', { yaml: 'apiVersion: v1\\nkind: ConfigMap\\nmetadata: { name: map }\\ndata: { size: "{{ params.size }}" }' })
    resource('no_kind', { manifest: { apiVersion: 'v1', kind: 'ConfigMapp', metadata: { name: 'x' } } })
    resource('gone', { action: 'delete', manifest: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'x' } } })
  })
`

const directory = mkdtempSync(join(tmpdir(), 'branchline-render-'))
let cluster: Cluster
let namespace: TestNamespace

beforeAll(async () => {
  cluster = await connectCluster()
  namespace = await cluster.createNamespace('render', { podSecurity: 'restricted' })
  mkdirSync(join(directory, 'dags'))
  writeFileSync(join(directory, 'dags/all.ts'), module)
  writeFileSync(join(directory, 'package.json'), '{}')
})
afterAll(async () => {
  rmSync(directory, { recursive: true, force: true })
  await namespace?.[Symbol.asyncDispose]()
})

test('each option is a field that the server knows, and what it would refuse is told in its words', async () => {
  const { code, stderr } = await cli(['pods', 'render', 'all', '--server', '--date', '2026-01-31'], {
    cwd: directory,
    env: {
      KUBECONFIG: cluster.kubeconfig,
      BRANCHLINE_KUBERNETES_NAMESPACE: namespace.name,
      BRANCHLINE_WORKER_DAGS_SOURCE: 'image',
    },
  })
  const said = (taskId: string) =>
    stderr.split('\n').find((line) => line.startsWith(`all_${taskId}_2026-01-31T00_00_00_plus_00_00.yml: `))
  const taken = ['worker', 'everything', 'job', 'map']
  expect(taken.map(said)).toEqual(taken.map(() => expect.stringMatching(/: the API server would take it$/)))
  expect(said('as_root')).toMatch(/violates PodSecurity "restricted:latest"/)
  expect(said('no_label')).toMatch(/metadata\.labels: Invalid value: "not a label"/)
  expect(said('no_field')).toMatch(/unknown field "spec\.affinity\.nothing"/)
  expect(said('no_kind')).toMatch(/has no kind 'ConfigMapp' in v1\. Did you mean 'ConfigMap'\?/)
  expect(said('gone')).toMatch(/not checked/)
  expect(code).toBe(1)
  expect(await namespace.kubectl(['get', 'pods,jobs', '--output=name'])).toBe('')
})
