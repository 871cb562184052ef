// A whole deployment beside a real cluster: Postgres, a Git server, sync, the API and schedulers as processes of the
// test, which pods reach at the cluster's address, and a namespace for its pods. Each of them may be killed.
import { mkdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Cluster, TestNamespace } from './cluster.ts'
import { createDeployment, type Deployment, dagsLoaded, type ProgramProcess } from './deployment.ts'
import { freePort } from './free-port.ts'
import {
  createTestRepository,
  type PushOptions,
  serveGitOverHttp,
  type TestRepository,
} from './git-server.ts'

export interface KubernetesDeployment extends Deployment {
  cluster: Cluster
  namespace: TestNamespace
  further: TestNamespace | undefined
  repository: TestRepository
  /** Commits and pushes over HTTP, as a person would. */
  push(files: Record<string, string | null>): Promise<string>
  apiUrl: string
  startScheduler(env?: Record<string, string>): ProgramProcess
  startWeb(): ProgramProcess
  /** Pods of the deployment that the API server has now. */
  pods(): Promise<PodSummary[]>
}

export interface PodSummary {
  name: string
  phase: string
  taskId: string
  tryNumber: number
  isTerminating: boolean
}

const username = 'worker'
const password = 'a-password'

/**
 * Everything but schedulers runs when this resolves.
 * @param options.files of the first commit
 * @param options.env further settings; a function of the namespace where they name it
 */
export async function createKubernetesDeployment(options: {
  cluster: Cluster
  files: Record<string, string>
  env?: Record<string, string> | ((namespace: string) => Record<string, string>)
  /** Default restricted; 'privileged' enforces nothing. */
  podSecurity?: 'baseline' | 'restricted' | 'privileged'
  /** Whether there is a second namespace for pods. */
  furtherNamespace?: boolean
}): Promise<KubernetesDeployment> {
  const { cluster, podSecurity = 'restricted' } = options
  const stack = new AsyncDisposableStack()
  const namespace = stack.use(
    await cluster.createNamespace('deployment', podSecurity === 'privileged' ? {} : { podSecurity }),
  )
  const repository = stack.use(await createTestRepository(options.files))
  const server = stack.use(
    await serveGitOverHttp({ folder: repository.folder, username, password, address: cluster.address }),
  )
  const url = server.url('origin.git')
  const pushOptions: PushOptions = { url: server.urlWithPassword('origin.git') }
  const further = options.furtherNamespace
    ? stack.use(await cluster.createNamespace('further', { podSecurity: 'restricted' }))
    : undefined
  for (const one of [namespace, ...(further === undefined ? [] : [further])]) await addGitSecret(one)
  const port = await freePort(cluster.address)
  const apiUrl = `http://${cluster.address}:${port}`
  const deployment = stack.use(
    await createDeployment({
      env: (directory) => ({
        BRANCHLINE_SOURCE_PATH: join(directory, 'sync', 'current'),
        BRANCHLINE_EXECUTORS: 'kubernetes',
        BRANCHLINE_EXECUTION_API_URL: apiUrl,
        BRANCHLINE_API_URL: apiUrl,
        BRANCHLINE_WEB_HOST: cluster.address,
        BRANCHLINE_WEB_PORT: String(port),
        BRANCHLINE_KUBERNETES_CONFIG_FILE: cluster.kubeconfig,
        BRANCHLINE_KUBERNETES_NAMESPACE: namespace.name,
        BRANCHLINE_WORKER_IMAGE: cluster.images.worker,
        BRANCHLINE_WORKER_IMAGE_PULL_POLICY: 'Never',
        BRANCHLINE_GIT_SYNC_IMAGE: cluster.images.sync,
        BRANCHLINE_GIT_SYNC_REPO: url,
        BRANCHLINE_GIT_SYNC_CREDENTIALS_SECRET: 'git-credentials',
        ...(further && { BRANCHLINE_KUBERNETES_NAMESPACES: further.name }),
        ...(typeof options.env === 'function' ? options.env(namespace.name) : options.env),
      }),
    }),
  )
  const root = dirname(deployment.env.BRANCHLINE_SOURCE_PATH!)
  await mkdir(root, { recursive: true })
  deployment.startProgram('sync', ['--repo', url, '--root', root, '--link', 'current', '--period', '200ms'], {
    GITSYNC_USERNAME: username,
    GITSYNC_PASSWORD: password,
  })
  const startWeb = () => deployment.startProgram('web')
  startWeb()
  return {
    ...deployment,
    cluster,
    namespace,
    further,
    repository,
    apiUrl,
    push: (files) => repository.commit(files, pushOptions),
    startScheduler: (env = {}) => deployment.startProgram('scheduler', [], env),
    startWeb,
    async pods() {
      const { items } = await namespace.kubectlJson<{ items: Pod[] }>(['get', 'pods'])
      return items.map(({ metadata, status }) => ({
        name: metadata.name,
        phase: status.phase,
        taskId: metadata.annotations?.['branchline.dev/task_id'] ?? '',
        tryNumber: Number(metadata.annotations?.['branchline.dev/try_number']),
        isTerminating: metadata.deletionTimestamp !== undefined,
      }))
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  }
}

async function addGitSecret(namespace: TestNamespace): Promise<void> {
  await namespace.kubectl([
    ...['create', 'secret', 'generic', 'git-credentials'],
    `--from-literal=GITSYNC_USERNAME=${username}`,
    `--from-literal=GITSYNC_PASSWORD=${password}`,
  ])
}

/** Starts a scheduler and waits until it has loaded the Dags. */
export async function schedulerReady(deployment: KubernetesDeployment, count = 1): Promise<ProgramProcess> {
  const scheduler = deployment.startScheduler()
  try {
    await dagsLoaded(deployment, count)
  } catch (cause) {
    const { rows } = await deployment.db
      .query('select file, message from import_error')
      .catch(() => ({ rows: [] }))
    throw new Error(`the Dags are not loaded: ${JSON.stringify([...rows, ...scheduler.lines().slice(-5)])}`, {
      cause,
    })
  }
  return scheduler
}

interface Pod {
  metadata: { name: string; annotations?: Record<string, string>; deletionTimestamp?: string }
  status: { phase: string }
}
