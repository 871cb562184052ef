// The Kubernetes cluster of a test run: the one that test/cluster/run has booted, or whichever KUBECONFIG names. What
// a test needs of it beside our own client: namespaces that go away, kubectl as a person would use it, an address at
// which pods reach the servers of the test, and, on a cluster of our own, its programs, to be stopped and killed.
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
const machine = resolve(import.meta.dirname, '../cluster/machine')

/** Programs of a cluster that can be stopped, as test/cluster/machine/part names them. */
export type ClusterPart =
  | 'etcd'
  | 'apiserver'
  | 'controller-manager'
  | 'scheduler'
  | 'containerd'
  | 'kubelet'
  | 'proxy'

export interface Cluster {
  /** Path of a kubeconfig with all rights. */
  kubeconfig: string
  /** Where servers of a test listen that pods are to reach. There is no DNS: pods are told addresses. */
  address: string
  /** Images that pods find on the node, for `imagePullPolicy: Never` or `IfNotPresent`. */
  images: { sync: string; worker: string }
  createNamespace(prefix: string, options?: NamespaceOptions): Promise<TestNamespace>
  /**
   * Standard output of kubectl, without its last line break.
   * @param options.input its standard input
   * @throws Error with what it said, where it failed
   */
  kubectl(args: readonly string[], options?: { input?: string }): Promise<string>
  /** The same, read as JSON, which `-o json` is added for. */
  kubectlJson<T = unknown>(args: readonly string[]): Promise<T>
  /** Copies an image from buildah's store into the cluster, under its name. */
  loadImage(image: string): Promise<void>
  /** A program of the cluster. @throws Error where the cluster is not one of our own */
  part(name: ClusterPart): ClusterPartControl
  /**
   * Has etcd forget all revisions before the present one, which is returned. The API server answers 410 only for what
   * its own cache does not hold either, and that begins anew when it starts.
   * @throws Error where the cluster is not one of our own
   */
  compactEtcd(): Promise<string>
  /**
   * Adds nodes on which pods run and end without a process, for as long as kwok says or their annotations
   * `kwok.test/starts-after`, `kwok.test/runs-for` (durations such as `1.5s`) and `kwok.test/exit-code` do. A pod gets
   * there by `fakeNodeScheduling`. Disposing removes them, with their pods.
   * @throws Error where the cluster is not one of our own
   */
  startFakeNodes(options?: FakeNodeOptions): Promise<AsyncDisposable>
}

export interface FakeNodeOptions {
  /** Default 10. */
  count?: number
  /** From bound to running; default 0. */
  startsAfterMs?: number
  /** From running to succeeded; default 1000. */
  runsForMs?: number
}

/** What a pod's spec says to be put on a fake node. */
export const fakeNodeScheduling = {
  nodeSelector: { type: 'kwok' },
  tolerations: [{ key: 'kwok.x-k8s.io/node', operator: 'Exists', effect: 'NoSchedule' }],
}

export interface ClusterPartControl {
  /** SIGTERM; resolves when it has ended, which may take the API server ten seconds. */
  stop(): Promise<EndedPart>
  /** SIGKILL; resolves when it has ended. */
  kill(): Promise<EndedPart>
}

/** A program that does not run. Disposing starts it, where nobody has yet, so that a test that fails leaves it running. */
export interface EndedPart extends AsyncDisposable {
  /** As it was started first; resolves when it answers. */
  start(): Promise<void>
}

export interface NamespaceOptions {
  /** What its pods may do: Pod Security's level, enforced. Default: none, so anything. */
  podSecurity?: 'baseline' | 'restricted'
}

/** A namespace that is deleted with all that is in it. */
export interface TestNamespace extends AsyncDisposable {
  name: string
  /** kubectl within the namespace. */
  kubectl(args: readonly string[], options?: { input?: string }): Promise<string>
  kubectlJson<T = unknown>(args: readonly string[]): Promise<T>
}

/** Why there is no cluster to test with; undefined where there is. */
export function clusterMissing(): string | undefined {
  return process.env.KUBECONFIG === undefined
    ? 'KUBECONFIG is not set: run it by `npm run test:cluster`, or by test/cluster/machine/in'
    : undefined
}

/** Why the cluster's own programs cannot be stopped; undefined where they can. */
export function clusterPartsMissing(): string | undefined {
  return (
    clusterMissing() ??
    (process.env.TEST_CLUSTER_RUN === undefined ? 'the cluster is not one that we booted' : undefined)
  )
}

/** @throws Error where there is none, or where it was not prepared by test/cluster/run */
export async function connectCluster(): Promise<Cluster> {
  const missing = clusterMissing()
  if (missing !== undefined) throw new Error(missing)
  const kubectl = (args: readonly string[], options: { input?: string } = {}) => runKubectl(args, options)
  const machineOf = (script: string, args: readonly string[], env?: Record<string, string>) => {
    const reason = clusterPartsMissing()
    if (reason !== undefined) throw new Error(reason)
    return runScript(script, args, env)
  }
  const cluster: Cluster = {
    kubeconfig: variable('KUBECONFIG'),
    address: variable('TEST_CLUSTER_ADDRESS'),
    images: { sync: variable('TEST_SYNC_IMAGE'), worker: variable('TEST_WORKER_IMAGE') },
    kubectl,
    kubectlJson: async (args) => JSON.parse(await kubectl([...args, '--output=json'])),
    createNamespace: (prefix, options = {}) => createNamespace(cluster, prefix, options),
    loadImage: async (image) => {
      await runScript('load', [image])
    },
    part: (name) => {
      const start = async () => {
        await machineOf('part', ['start', name])
      }
      const end = (verb: string) => async () => {
        await machineOf('part', [verb, name])
        return { start, [Symbol.asyncDispose]: start }
      }
      return { stop: end('stop'), kill: end('kill') }
    },
    compactEtcd: () => machineOf('compact', []),
    startFakeNodes: async ({ count = 10, startsAfterMs = 0, runsForMs = 1000 } = {}) => {
      const env = { STARTS_AFTER_MS: String(startsAfterMs), RUNS_FOR_MS: String(runsForMs) }
      await machineOf('nodes', ['start', String(count)], env)
      return {
        [Symbol.asyncDispose]: async () => {
          await machineOf('nodes', ['stop'])
        },
      }
    },
  }
  await kubectl(['version', '--request-timeout=10s'])
  return cluster
}

async function createNamespace(
  cluster: Cluster,
  prefix: string,
  options: NamespaceOptions,
): Promise<TestNamespace> {
  const name = `${prefix}-${randomBytes(4).toString('hex')}`
  const labels =
    options.podSecurity === undefined ? {} : { 'pod-security.kubernetes.io/enforce': options.podSecurity }
  const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } }
  await cluster.kubectl(['create', '--filename=-'], { input: JSON.stringify(namespace) })
  const within = (args: readonly string[]) => [`--namespace=${name}`, ...args]
  // Without its default service account a namespace refuses every pod.
  await cluster.kubectl(within(['wait', '--for=create', 'serviceaccount/default', '--timeout=30s']))
  return {
    name,
    kubectl: (args, more) => cluster.kubectl(within(args), more),
    kubectlJson: (args) => cluster.kubectlJson(within(args)),
    [Symbol.asyncDispose]: async () => {
      // A pod that does not heed SIGTERM would hold up the end of its namespace for its grace period.
      await cluster.kubectl(within(['delete', 'pods', '--all', '--grace-period=1', '--wait=false']))
      await cluster.kubectl(['delete', 'namespace', name, '--ignore-not-found', '--timeout=60s'])
    },
  }
}

async function runKubectl(args: readonly string[], options: { input?: string }): Promise<string> {
  const child = run('kubectl', [...args], { maxBuffer: 512 * 1024 * 1024 })
  child.child.stdin?.end(options.input ?? '')
  return await outputOf(`kubectl ${args.join(' ')}`, child)
}

async function runScript(
  script: string,
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<string> {
  const child = run(join(machine, script), [...args], { env: { ...process.env, ...env } })
  return await outputOf([script, ...args].join(' '), child)
}

async function outputOf(command: string, child: Promise<{ stdout: string }>): Promise<string> {
  try {
    return (await child).stdout.trimEnd()
  } catch (error) {
    const { stderr, message } = error as { stderr?: string; message: string }
    throw new Error(`${command}: ${stderr?.trim() || message}`, { cause: error })
  }
}

function variable(name: string): string {
  const value = process.env[name]
  if (value === undefined) throw new Error(`${name} is not set: run it by \`npm run test:cluster\``)
  return value
}
