// The cluster that the other tests stand on, and its fixture: a pod starts under the strictest rules, with both of our
// images, from a commit of a Git server of the test; and each program of the cluster can be stopped and comes back.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { version } from '../../runtime/version.ts'
import {
  type Cluster,
  clusterPartsMissing,
  connectCluster,
  fakeNodeScheduling,
  type TestNamespace,
} from '../support/cluster.ts'
import { eventually } from '../support/eventually.ts'
import { createTestRepository, serveGitOverHttp } from '../support/git-server.ts'

/** What the level `restricted` of Pod Security asks of a container. */
const securityContext = {
  runAsNonRoot: true,
  readOnlyRootFilesystem: true,
  allowPrivilegeEscalation: false,
  capabilities: { drop: ['ALL'] },
  seccompProfile: { type: 'RuntimeDefault' },
}

let cluster: Cluster
let namespace: TestNamespace

beforeAll(async () => {
  cluster = await connectCluster()
  namespace = await cluster.createNamespace('cluster-test', { podSecurity: 'restricted' })
})
afterAll(async () => {
  await namespace?.[Symbol.asyncDispose]()
})

describe('a pod', () => {
  test('has an init container that pulls a commit from a server of the test, which its base container reads', async () => {
    await using repository = await createTestRepository()
    const commit = await repository.commit({ 'a.txt': 'from git\n' })
    const folder = repository.folder
    await using server = await serveGitOverHttp({
      folder,
      username: 'u',
      password: 'p',
      address: cluster.address,
    })
    const args = [`--repo=${server.url('origin.git')}`, `--ref=${commit}`, '--root=/git', '--link=current']
    await create('pulls', {
      volumes: [
        { name: 'source', emptyDir: {} },
        { name: 'tmp', emptyDir: {} },
      ],
      securityContext: { fsGroup: 65533 },
      initContainers: [
        container('git-sync-clone', cluster.images.sync, {
          args: [...args, '--depth=1', '--one-time', '--username=u'],
          env: [{ name: 'GITSYNC_PASSWORD', value: 'p' }],
          volumeMounts: [
            { name: 'source', mountPath: '/git' },
            { name: 'tmp', mountPath: '/tmp' },
          ],
        }),
      ],
      containers: [
        container('base', cluster.images.worker, {
          command: ['/bin/sh', '-c', 'cat /git/current/a.txt && branchline --version && id -u'],
          volumeMounts: [{ name: 'source', mountPath: '/git', readOnly: true }],
        }),
      ],
    })
    await phaseOf('pulls', 'Succeeded')
    expect(await namespace.kubectl(['logs', 'pulls', '--container=base'])).toBe(`from git\n${version}\n50000`)
  })

  test('that asks for rights is refused by the namespace, in its own words', async () => {
    const refused = create('root', {
      containers: [{ name: 'base', image: cluster.images.worker, securityContext: { runAsUser: 0 } }],
    })
    await expect(refused).rejects.toThrow(/violates PodSecurity "restricted/)
  })
})

test('a service account token is signed by a key that the API server shows', async () => {
  const token = await namespace.kubectl(['create', 'token', 'default', '--audience=branchline'])
  const [header, claims] = token
    .split('.')
    .slice(0, 2)
    .map((part) => JSON.parse(Buffer.from(part, 'base64url').toString()))
  const { keys } = JSON.parse(await cluster.kubectl(['get', '--raw=/openid/v1/jwks']))
  expect(keys).toContainEqual(expect.objectContaining({ kid: header.kid }))
  expect(claims).toMatchObject({
    aud: ['branchline'],
    sub: `system:serviceaccount:${namespace.name}:default`,
  })
})

const missing = clusterPartsMissing()
describe.skipIf(missing !== undefined)(
  `its programs${missing === undefined ? '' : ` (skipped: ${missing})`}`,
  () => {
    test('a watch from before a compaction is answered 410 once the API server has started anew', async () => {
      const path = `/api/v1/namespaces/${namespace.name}/configmaps`
      const { metadata } = JSON.parse(await cluster.kubectl(['get', `--raw=${path}`]))
      await namespace.kubectl(['create', 'configmap', 'one'])
      await namespace.kubectl(['create', 'configmap', 'two'])
      await cluster.compactEtcd()
      await using apiServer = await cluster.part('apiserver').kill()
      await expect(namespace.kubectl(['get', 'pods'])).rejects.toThrow(/connection refused|was refused/)
      await apiServer.start()
      const query = `watch=1&resourceVersion=${metadata.resourceVersion}&timeoutSeconds=1`
      const event = await cluster.kubectl(['get', `--raw=${path}?${query}`])
      expect(JSON.parse(event.split('\n')[0]!).object).toMatchObject({ code: 410, reason: 'Expired' })
    })

    test('a pod waits for a kubelet that is stopped, and runs on while there is none', async () => {
      const until = 'until test -e /tmp/done; do sleep 0.1; done'
      const volumes = { volumes: [{ name: 'tmp', emptyDir: {} }] }
      const mounts = { volumeMounts: [{ name: 'tmp', mountPath: '/tmp' }] }
      const base = (script: string) => [
        container('base', cluster.images.worker, { command: ['/bin/sh', '-c', script], ...mounts }),
      ]
      await create('before', { ...volumes, containers: base(`echo up; ${until}; echo down`) })
      await phaseOf('before', 'Running')
      await using kubelet = await cluster.part('kubelet').stop()
      await create('during', { ...volumes, containers: base('echo late') })
      await phaseOf('during', 'Pending')
      await kubelet.start()
      await phaseOf('during', 'Succeeded')
      await namespace.kubectl(['exec', 'before', '--', 'touch', '/tmp/done'])
      await phaseOf('before', 'Succeeded')
      expect(await namespace.kubectl(['logs', 'before'])).toBe('up\ndown')
    })

    test('pods on fake nodes run and end as they are told to', async () => {
      await using _nodes = await cluster.startFakeNodes({ count: 3, runsForMs: 500 })
      const containers = [container('base', 'nowhere/none', {})]
      const spec = {
        ...fakeNodeScheduling,
        initContainers: [container('init', 'nowhere/none', {})],
        containers,
      }
      await create('fake', spec)
      await create('fake-fails', spec, { 'kwok.test/exit-code': '3' })
      await create('fake-stays', spec, { 'kwok.test/runs-for': '1h' })
      await phaseOf('fake', 'Succeeded')
      await phaseOf('fake-fails', 'Failed')
      await phaseOf('fake-stays', 'Running')
      const failed = await namespace.kubectlJson<{ status: { containerStatuses: unknown[] } }>([
        'get',
        'pod',
        'fake-fails',
      ])
      expect(failed.status.containerStatuses).toMatchObject([{ state: { terminated: { exitCode: 3 } } }])
      await namespace.kubectl(['delete', 'pod', 'fake-stays', '--timeout=10s'])
    })

    test.each(['scheduler', 'controller-manager', 'containerd', 'proxy'] as const)(
      '%s comes back after a kill, and pods run',
      async (name) => {
        await using part = await cluster.part(name).kill()
        await part.start()
        const command = ['/bin/sh', '-c', 'echo hello']
        await create(`after-${name}`, {
          containers: [container('base', cluster.images.worker, { command })],
        })
        await phaseOf(`after-${name}`, 'Succeeded')
      },
    )
  },
)

function container(name: string, image: string, more: object): object {
  return { name, image, imagePullPolicy: 'Never', securityContext, ...more }
}

async function create(name: string, spec: object, annotations: Record<string, string> = {}): Promise<void> {
  const metadata = { name, annotations }
  const pod = { apiVersion: 'v1', kind: 'Pod', metadata, spec: { restartPolicy: 'Never', ...spec } }
  await namespace.kubectl(['create', '--filename=-'], { input: JSON.stringify(pod) })
}

async function phaseOf(name: string, phase: string): Promise<void> {
  await eventually(`pod ${name} is ${phase}`, async () => {
    const pod = await namespace.kubectlJson<{ status: { phase: string } }>(['get', 'pod', name])
    return pod.status.phase === phase
  })
}
