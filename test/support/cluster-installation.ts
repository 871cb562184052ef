// Branchline installed in the cluster by its own manifests: an overlay as a user would write it, in namespaces of the
// test, with a Postgres and a Git server of the test at the cluster's address. There need be no DNS: what pods are told
// are addresses.
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative, resolve } from 'node:path'
import { proxyTo, type TcpProxy } from '../web/tcp-proxy.ts'
import { type Cluster, clusterPartsMissing, type TestNamespace } from './cluster.ts'
import { createTestRepository, serveGitOverHttp, type TestRepository } from './git-server.ts'
import { createTestDatabase } from './postgres.ts'

const manifests = resolve(import.meta.dirname, '../../k8s/manifests')
const username = 'worker'
const password = 'a-password'

export interface ClusterInstallation extends AsyncDisposable {
  /** Of scheduler and web. */
  control: TestNamespace
  /** Of worker pods. */
  workers: TestNamespace
  repository: TestRepository
  /** The way of both programs to Postgres. */
  postgres: TcpProxy
  /** Commits and pushes over HTTP, as a person would; the commit's full hash. */
  push(files: Record<string, string | null>): Promise<string>
  /** `branchline ARGS…` in a pod of web; its standard output. */
  branchline(...args: string[]): Promise<string>
  /** What the API answers to a GET of a path, through its Service. */
  api(path: string): Promise<string>
  /** Applies the overlay with other settings, and waits until the Deployments have them. */
  configure(change: { settings: Record<string, string>; git: GitAccess }): Promise<void>
  /** Waits until both Deployments are as they were last applied. */
  rolledOut(): Promise<void>
}

/** Component for the repository's secret. */
type GitAccess = 'git-https' | 'git-ssh'

/** Resolves when scheduler and web are ready. @param options.files of the first commit */
export async function installInCluster(options: {
  cluster: Cluster
  files: Record<string, string>
}): Promise<ClusterInstallation> {
  const { cluster } = options
  await using cleanup = new AsyncDisposableStack()
  const control = cleanup.use(await cluster.createNamespace('manifests-control'))
  const workers = cleanup.use(await cluster.createNamespace('manifests-workers'))
  const repository = cleanup.use(await createTestRepository(options.files))
  const { folder } = repository
  const git = cleanup.use(await serveGitOverHttp({ folder, username, password, address: cluster.address }))
  const database = cleanup.use(await createTestDatabase())
  const postgres = cleanup.use(await proxyTo(database.url, cluster.address))

  for (const namespace of [control, workers]) {
    await secret(namespace, 'git-credentials', { GITSYNC_USERNAME: username, GITSYNC_PASSWORD: password })
  }
  await secret(control, 'branchline-database', { url: postgres.url })

  const overlay = await mkdtemp(join(tmpdir(), 'branchline-overlay-'))
  cleanup.defer(() => rm(overlay, { recursive: true, force: true }))
  const apply = async (settings: Record<string, string>, replicas: number, git: GitAccess = 'git-https') => {
    await writeOverlay({ overlay, cluster, control, workers, replicas, settings, git })
    await cluster.kubectl(['apply', `--kustomize=${overlay}`])
  }
  cleanup.defer(async () => {
    await cluster.kubectl(['delete', 'pv', '--ignore-not-found', '--wait=false', volumeName(control)])
  })
  const settings = { BRANCHLINE_GIT_SYNC_REPO: git.url('origin.git') }
  // First without pods: the address of web's Service is known when there is one.
  await apply(settings, 0)
  const service = await control.kubectlJson<{ spec: { clusterIP: string } }>([
    'get',
    'service/branchline-web',
  ])
  const api = { BRANCHLINE_EXECUTION_API_URL: `http://${service.spec.clusterIP}:8080` }
  await apply({ ...settings, ...api }, 1)

  const rolledOut = async () => {
    for (const name of ['web', 'scheduler']) {
      await control.kubectl(['rollout', 'status', `deployment/branchline-${name}`, '--timeout=120s'])
    }
  }
  await rolledOut()
  const owned = cleanup.move()
  return {
    control,
    workers,
    repository,
    postgres,
    push: (files) => repository.commit(files, { url: git.urlWithPassword('origin.git') }),
    branchline: (...args) =>
      control.kubectl(['exec', 'deployment/branchline-web', '--', 'branchline', ...args]),
    api: (path) => {
      const proxy = `/api/v1/namespaces/${control.name}/services/branchline-web:http/proxy`
      return cluster.kubectl(['get', `--raw=${proxy}${path}`])
    },
    async configure(change) {
      await apply({ ...settings, ...api, ...change.settings }, 1, change.git)
      await rolledOut()
    },
    rolledOut,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

async function secret(namespace: TestNamespace, name: string, values: Record<string, string>): Promise<void> {
  const literals = Object.entries(values).map(([key, value]) => `--from-literal=${key}=${value}`)
  await namespace.kubectl(['create', 'secret', 'generic', name, ...literals])
}

function volumeName(control: TestNamespace): string {
  return `${control.name}-logs`
}

/** Probes of the manifests are patient; here a process that stands is to be noticed in seconds. */
const quickLiveness = { periodSeconds: 1, timeoutSeconds: 1, failureThreshold: 3 }

async function writeOverlay(input: {
  overlay: string
  cluster: Cluster
  control: TestNamespace
  workers: TestNamespace
  replicas: number
  settings: Record<string, string>
  git: GitAccess
}): Promise<void> {
  const { overlay, cluster, control, workers, replicas, settings } = input
  const { images } = cluster
  const from = (folder: string, ...path: string[]) =>
    relative(join(overlay, folder), join(manifests, ...path))
  const patch = (kind: string, name: string, ...operations: object[]) => ({
    target: { kind, name },
    patch: JSON.stringify(operations),
  })
  // A cluster of our own has no storage class; any other one is taken to have one for a single node at least.
  const ownVolume = clusterPartsMissing() === undefined
  if (ownVolume) await mkdir(join(overlay, 'logs'), { recursive: true })
  const volumePatches = [
    patch(
      'PersistentVolume',
      'branchline-logs',
      { op: 'replace', path: '/metadata/name', value: volumeName(control) },
      { op: 'replace', path: '/spec/local/path', value: join(overlay, 'logs') },
    ),
    patch('PersistentVolumeClaim', 'branchline-logs', {
      op: 'replace',
      path: '/spec/volumeName',
      value: volumeName(control),
    }),
  ]
  const container = (kind: string) => `/spec/template/spec/${kind}/0`
  const never = (kind: string) => ({ op: 'add', path: `${container(kind)}/imagePullPolicy`, value: 'Never' })
  const probe = {
    op: 'replace',
    path: `${container('containers')}/livenessProbe`,
    value: {
      httpGet: { path: '/livez', port: 'health' },
      ...quickLiveness,
      terminationGracePeriodSeconds: 1,
    },
  }
  const literals = {
    BRANCHLINE_KUBERNETES_NAMESPACE: workers.name,
    BRANCHLINE_WORKER_IMAGE: images.worker,
    BRANCHLINE_GIT_SYNC_IMAGE: images.sync,
    BRANCHLINE_WORKER_IMAGE_PULL_POLICY: 'Never',
    ...settings,
  }
  await kustomization(join(overlay, 'control'), {
    namespace: control.name,
    resources: [from('control', 'control')],
    components: [
      from('control', 'components', ownVolume ? 'node-directory' : 'one-node'),
      from('control', 'components', input.git),
    ],
    configMapGenerator: [
      {
        name: 'branchline',
        namespace: 'branchline',
        behavior: 'merge',
        literals: Object.entries(literals).map(([key, value]) => `${key}=${value}`),
      },
      {
        name: 'branchline-sync',
        namespace: 'branchline',
        behavior: 'merge',
        literals: ['GITSYNC_PERIOD=200ms'],
      },
    ],
    images: [image('worker', images.worker), image('sync', images.sync)],
    replicas: ['scheduler', 'web'].map((name) => ({ name: `branchline-${name}`, count: replicas })),
    patches: [
      patch('Deployment', 'branchline-scheduler', never('containers'), never('initContainers'), probe),
      patch('Deployment', 'branchline-web', never('containers')),
      ...(ownVolume ? volumePatches : []),
    ],
  })
  await kustomization(join(overlay, 'workers'), {
    namespace: workers.name,
    resources: [from('workers', 'workers')],
    patches: [
      patch('RoleBinding', 'branchline-scheduler', {
        op: 'replace',
        path: '/subjects/0/namespace',
        value: control.name,
      }),
    ],
  })
  // Where policies are enforced: the servers of the test have ports of their own.
  await kustomization(overlay, {
    resources: ['control', 'workers', 'test-servers.yaml'],
  })
  const policies = [control, workers].map(({ name: namespace }) => ({
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name: 'test-servers', namespace },
    spec: {
      podSelector: {},
      policyTypes: ['Egress'],
      egress: [{ to: [{ ipBlock: { cidr: `${cluster.address}/32` } }] }],
    },
  }))
  await writeFile(
    join(overlay, 'test-servers.yaml'),
    policies.map((policy) => JSON.stringify(policy)).join('\n---\n'),
  )
}

function image(program: string, reference: string): object {
  const [, newName, newTag] = /^(.+):([^:/]+)$/.exec(reference)!
  return { name: `registry.example/branchline-${program}`, newName, newTag }
}

/** JSON is YAML too. */
async function kustomization(folder: string, fields: object): Promise<void> {
  await mkdir(folder, { recursive: true })
  const text = JSON.stringify({
    apiVersion: 'kustomize.config.k8s.io/v1beta1',
    kind: 'Kustomization',
    ...fields,
  })
  await writeFile(join(folder, 'kustomization.yaml'), text)
}
