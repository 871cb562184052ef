// Pain 29: servers and Postgres that are away while tasks run, log, end and begin. What is not taken waits in the pod;
// nothing is killed for it, and nothing is lost or doubled.
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { type Cluster, connectCluster } from '../../support/cluster.ts'
import { kill } from '../../support/deployment.ts'
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
  linesDag,
  type PodAccount,
  quickRetries,
  taskLines,
} from './pains.ts'

let cluster: Cluster
let deployment: KubernetesDeployment
let account: PodAccount

beforeAll(async () => {
  cluster = await connectCluster()
  deployment = await createKubernetesDeployment({ cluster, files: linesDag, env: quickRetries })
  account = await accountOfPods(deployment)
  await schedulerReady(deployment)
}, 120_000)
beforeEach(() => explainFailure(deployment))
afterAll(async () => {
  await account?.[Symbol.asyncDispose]()
  await deployment?.[Symbol.asyncDispose]()
})

/** Two tasks: the first has written something and goes on, of the other there is only the pod. */
async function twoUnderWay(name: string): Promise<void> {
  await deployment.trigger('lines', `${name}-runs`, { count: 40, pause_ms: 50 })
  await eventually(
    'it writes',
    () => taskLines(deployment, 'lines', `${name}-runs`, 'write').length > 0,
    60_000,
  )
  await deployment.trigger('lines', `${name}-begins`)
  await eventually('the other pod is there', () => account.made().has(`${name}-begins/write/1`), 60_000)
}

const phases = async () => (await deployment.pods()).map(({ phase }) => phase)

test('a task that runs, ends or begins while the server is away loses nothing, and its pod waits for it', async () => {
  await twoUnderWay('web')
  const { pid } = deployment.processes().find(({ command }) => command.includes('web/server/main'))!
  kill(pid, 'SIGKILL')
  await eventually('both run', async () => (await phases()).join() === 'Running,Running', 60_000)
  // The first has nothing left to write, and may not end before that is taken.
  const since = Date.now()
  await eventually('its end is over', () => Date.now() - since > 4_000)
  expect(await phases()).toEqual(['Running', 'Running'])
  deployment.startWeb()
  await expectWroteOnce(deployment, account, 'web-runs', 40)
  await expectWroteOnce(deployment, account, 'web-begins', 10)
}, 180_000)

test('a task that runs, ends or begins while Postgres is away loses nothing', async () => {
  await twoUnderWay('postgres')
  await deployment.killPostgres()
  await eventually('both run', async () => (await phases()).join() === 'Running,Running', 60_000)
  const since = Date.now()
  await eventually('its end is over', () => Date.now() - since > 4_000)
  expect(await phases()).toEqual(['Running', 'Running'])
  await deployment.startPostgres()
  await expectWroteOnce(deployment, account, 'postgres-runs', 40)
  await expectWroteOnce(deployment, account, 'postgres-begins', 10)
}, 180_000)
