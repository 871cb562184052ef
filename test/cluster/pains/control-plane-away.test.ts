// Pains 2, 3 and 29: programs of the cluster that are killed, and away, while tasks run, end and begin: the API server, etcd
// with a compaction, kubelet, containerd. Tasks go on; when all is back, everything is known, once.
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { type Cluster, clusterPartsMissing, connectCluster } from '../../support/cluster.ts'
import type { ProgramProcess } from '../../support/deployment.ts'
import { eventually } from '../../support/eventually.ts'
import {
  createKubernetesDeployment,
  type KubernetesDeployment,
  schedulerReady,
} from '../../support/kubernetes-deployment.ts'
import {
  accountOfPods,
  expectWroteOnce,
  explainFailure,
  ledgerOf,
  linesDag,
  type PodAccount,
  quickRetries,
  taskLines,
} from './pains.ts'

let cluster: Cluster
let deployment: KubernetesDeployment
let account: PodAccount
let scheduler: ProgramProcess

beforeAll(async () => {
  cluster = await connectCluster()
  deployment = await createKubernetesDeployment({ cluster, files: linesDag, env: quickRetries })
  account = await accountOfPods(deployment)
  scheduler = await schedulerReady(deployment)
}, 120_000)
beforeEach(() => explainFailure(deployment))
afterAll(async () => {
  await account?.[Symbol.asyncDispose]()
  await deployment?.[Symbol.asyncDispose]()
})

/** Its task has written something, and goes on for some seconds. */
async function runningRun(runId: string, count = 40): Promise<void> {
  await deployment.trigger('lines', runId, { count, pause_ms: 50 })
  await eventually('it writes', () => taskLines(deployment, 'lines', runId, 'write').length > 0, 60_000)
}

const hasFinished = async (runId: string) => (await ledgerOf(deployment, runId))[0]?.has_finished === true
const says = (message: string) => scheduler.lines().some(({ msg }) => msg === message)

test.skipIf(clusterPartsMissing() !== undefined)(
  'pain 2: an API server that was away while a task ended, and one was to begin, is asked when it is back',
  async () => {
    await runningRun('api-runs')
    {
      await using apiServer = await cluster.part('apiserver').kill()
      await deployment.trigger('lines', 'api-begins')
      // Servers know the pods' tokens without the API server.
      await eventually('it has told its end', () => hasFinished('api-runs'), 30_000)
      await eventually('the other one waits for the API server', async () => {
        const [row] = await ledgerOf(deployment, 'api-begins')
        return row?.state === 'planned' && /no answer from/.test(row.waiting_message ?? '')
      })
      await apiServer.start()
    }
    await expectWroteOnce(deployment, account, 'api-runs', 40)
    await expectWroteOnce(deployment, account, 'api-begins', 10)
  },
  180_000,
)

test.skipIf(clusterPartsMissing() !== undefined)(
  'pain 2: a version that etcd has forgotten is answered with 410, and the list finds what happened meanwhile',
  async () => {
    await runningRun('compacted')
    scheduler.kill('SIGKILL')
    await scheduler.exited
    await eventually(
      'its pod has ended',
      async () => (await deployment.pods()).some(({ phase }) => phase === 'Succeeded'),
      60_000,
    )
    await deployment.namespace.kubectl(['create', 'configmap', 'newer'])
    await cluster.compactEtcd()
    {
      // Its cache begins anew with it.
      await using apiServer = await cluster.part('apiserver').kill()
      await apiServer.start()
    }
    scheduler = deployment.startScheduler()
    await expectWroteOnce(deployment, account, 'compacted', 40)
    expect(says('the version is too old for the API server, listing anew')).toBe(true)
  },
  180_000,
)

test.skipIf(clusterPartsMissing() !== undefined)(
  'pain 29: a task goes on while kubelet, containerd and etcd are away, and its end is known when they are back',
  async () => {
    await runningRun('node-away')
    {
      await using kubelet = await cluster.part('kubelet').kill()
      await deployment.trigger('lines', 'node-begins')
      await eventually('it has told its end', () => hasFinished('node-away'), 30_000)
      await eventually('the other pod is there', async () => (await deployment.pods()).length === 2, 30_000)
      // Until the node has told the exit code, nobody takes it for a success.
      expect((await deployment.attempts('lines', 'node-away'))[0]!.state).toBe('running')
      await kubelet.start()
    }
    await expectWroteOnce(deployment, account, 'node-away', 40)
    await expectWroteOnce(deployment, account, 'node-begins', 10)

    await runningRun('runtime-away', 60)
    {
      await using containerd = await cluster.part('containerd').kill()
      await using etcd = await cluster.part('etcd').kill()
      const written = taskLines(deployment, 'lines', 'runtime-away', 'write').length
      await eventually(
        'it goes on',
        () => taskLines(deployment, 'lines', 'runtime-away', 'write').length > written,
      )
      await etcd.start()
      await containerd.start()
    }
    await expectWroteOnce(deployment, account, 'runtime-away', 60)
  },
  240_000,
)
