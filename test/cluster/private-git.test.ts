// Worker pods as they are made for private repositories, on real nodes under the level `restricted`: the init container
// is let in by each kind of secret, base reads the commit that it pulled and none of the secrets, and what does not
// work is in the pod's status, in the words of git or of the kubelet.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { buildAttemptPod } from '../../k8s/pod/attempt-pod.ts'
import type { DagsSource } from '../../k8s/pod/pod-settings.ts'
import type { V1Pod } from '../../runtime/kubernetes-types.ts'
import type { PodOverride } from '../../runtime/pod-override.ts'
import { gitSource, identityOf, podInput, settingsOf } from '../k8s/pod/inputs.ts'
import { type Cluster, connectCluster, type TestNamespace } from '../support/cluster.ts'
import { eventually } from '../support/eventually.ts'
import {
  createTestRepository,
  type GitHttpServer,
  type GitSshServer,
  serveGitOverHttp,
  serveGitOverSsh,
  sshdMissing,
  type TestRepository,
} from '../support/git-server.ts'

const dagsPath = '/opt/branchline/dags'

let cluster: Cluster
let namespace: TestNamespace
let repository: TestRepository
let commitSha: string
let count = 0

beforeAll(async () => {
  cluster = await connectCluster()
  namespace = await cluster.createNamespace('private-git', { podSecurity: 'restricted' })
  repository = await createTestRepository()
  commitSha = await repository.commit({ 'a.txt': 'from the pinned commit' })
  await repository.commit({ 'a.txt': 'from the tip of the branch' })
})
afterAll(async () => {
  await namespace?.[Symbol.asyncDispose]()
  await repository?.[Symbol.asyncDispose]()
})

/** Instead of the task, base says what it sees: nothing of this is about running it. */
const look = `cat ${dagsPath}/current/a.txt; echo; ls ${dagsPath}/current; ls /etc/git-secret 2>&1; env | grep -c PASSWORD; id -u; touch ${dagsPath}/x 2>&1 || true`

async function start(source: Partial<typeof gitSource>, override: PodOverride = {}): Promise<string> {
  const dagsSource: DagsSource = { ...gitSource, image: cluster.images.sync, ...source }
  count += 1
  const pod = buildAttemptPod(
    podInput({
      identity: identityOf({ commitSha, dagRunId: count }),
      settings: settingsOf({
        image: cluster.images.worker,
        imagePullPolicy: 'Never',
        namespace: namespace.name,
        namespaces: [namespace.name],
        dagsSource,
        dagsPath,
      }),
      overrides: [{ spec: { containers: [{ command: ['/bin/sh', '-c', look], args: null }] } }, override],
    }),
  )
  await namespace.kubectl(['create', '--filename=-'], { input: JSON.stringify(pod) })
  return pod.metadata!.name!
}

const podOf = (name: string) => namespace.kubectlJson<V1Pod>(['get', 'pod', name])
const ended = (name: string) =>
  eventually(
    `pod ${name} has ended`,
    async () => {
      const { phase } = (await podOf(name)).status!
      return phase === 'Succeeded' || phase === 'Failed' ? phase : undefined
    },
    40_000,
  )
const secret = (name: string, ...from: string[]) =>
  namespace.kubectl(['create', 'secret', 'generic', name, ...from])
const stateOfGitSync = async (name: string) =>
  (await podOf(name)).status!.initContainerStatuses?.find((status) => status.name === 'git-sync-clone')?.state

const seenByBase = [
  'from the pinned commit',
  'a.txt',
  "ls: cannot access '/etc/git-secret': No such file or directory",
  '0',
  '50000',
  `touch: cannot touch '${dagsPath}/x': Read-only file system`,
].join('\n')

describe('over HTTP', () => {
  let server: GitHttpServer

  beforeAll(async () => {
    const { folder } = repository
    server = await serveGitOverHttp({ folder, username: 'u', password: 'p', address: cluster.address })
    await secret('login', '--from-literal=GITSYNC_USERNAME=u', '--from-literal=GITSYNC_PASSWORD=p')
    await secret('older-names', '--from-literal=GIT_SYNC_USERNAME=u', '--from-literal=GIT_SYNC_PASSWORD=p')
    await secret('stale', '--from-literal=GITSYNC_USERNAME=u', '--from-literal=GITSYNC_PASSWORD=old')
  })
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]()
  })
  const repo = () => server.url('origin.git')

  test.each(['login', 'older-names'])('user and password of the secret %s', async (credentialsSecret) => {
    const name = await start({ repo: repo(), credentialsSecret })
    expect(await ended(name)).toBe('Succeeded')
    expect(await namespace.kubectl(['logs', name, '--container=base'])).toBe(seenByBase)
  })

  test('a password that does not hold is told in the words of the sync, without the password', async () => {
    const name = await start({ repo: repo(), credentialsSecret: 'stale' })
    expect(await ended(name)).toBe('Failed')
    const { terminated } = (await stateOfGitSync(name))!
    expect(terminated).toMatchObject({
      exitCode: 1,
      message: expect.stringMatching(/Authentication failed/i),
    })
    expect(terminated!.message).not.toContain('old')
  })

  test('a secret that is not there keeps the container from starting, in the words of the kubelet', async () => {
    const name = await start({ repo: repo(), credentialsSecret: 'nowhere' })
    await eventually(
      'the kubelet says so',
      async () => {
        const { waiting } = (await stateOfGitSync(name)) ?? {}
        return (
          waiting?.reason === 'CreateContainerConfigError' && waiting.message === 'secret "nowhere" not found'
        )
      },
      30_000,
    )
  })
})

const noSshd = sshdMissing()
describe.skipIf(noSshd !== undefined)(
  `over SSH${noSshd === undefined ? '' : ` (skipped: ${noSshd})`}`,
  () => {
    let server: GitSshServer

    beforeAll(async () => {
      server = await serveGitOverSsh(cluster.address)
      await secret(
        'key',
        `--from-file=gitSshKey=${server.keyFile}`,
        `--from-file=known_hosts=${server.knownHostsFile}`,
      )
      await secret('key-alone', `--from-file=gitSshKey=${server.keyFile}`)
      await namespace.kubectl([
        'create',
        'configmap',
        'hosts',
        `--from-file=known_hosts=${server.knownHostsFile}`,
      ])
      await namespace.kubectl([
        'create',
        'configmap',
        'others',
        `--from-file=known_hosts=${server.wrongKnownHostsFile}`,
      ])
    })
    afterAll(async () => {
      await server?.close()
    })
    const repo = () => server.url(repository.path)

    test.each([
      ['key', null],
      ['key-alone', 'hosts'],
    ])('key of the secret %s, known hosts of %s', async (sshKeySecret, knownHostsConfigMap) => {
      const name = await start({ repo: repo(), sshKeySecret, knownHostsConfigMap })
      expect(await ended(name)).toBe('Succeeded')
      expect(await namespace.kubectl(['logs', name, '--container=base'])).toBe(seenByBase)
    })

    test('it needs no group of the pod: one that an override sets changes nothing', async () => {
      const override = { spec: { securityContext: { runAsUser: 12345, fsGroup: 23456 } } }
      const name = await start({ repo: repo(), sshKeySecret: 'key' }, override)
      expect(await ended(name)).toBe('Succeeded')
      const log = await namespace.kubectl(['logs', name, '--container=base'])
      expect(log).toBe(seenByBase.replace('50000', '12345'))
    })

    test('a server that is not the known one is refused', async () => {
      const name = await start({ repo: repo(), sshKeySecret: 'key-alone', knownHostsConfigMap: 'others' })
      expect(await ended(name)).toBe('Failed')
      expect((await stateOfGitSync(name))!.terminated!.message).toMatch(/host key/i)
    })
  },
)
