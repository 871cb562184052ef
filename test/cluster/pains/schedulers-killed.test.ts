// Pains 1, 2, 4, 5, 6, 7 and 24: schedulers that die or are paused at the worst moments. A proxy before the API server
// holds a scheduler exactly where it is to die; pods and servers do not pass through it.
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { type Cluster, connectCluster, type TestNamespace } from '../../support/cluster.ts'
import { dagsLoaded, type ProgramProcess } from '../../support/deployment.ts'
import { eventually } from '../../support/eventually.ts'
import { createKubernetesDeployment, type KubernetesDeployment } from '../../support/kubernetes-deployment.ts'
import { type KubernetesProxy, startKubernetesProxy } from '../../support/kubernetes-proxy.ts'
import {
  accountOfPods,
  expectWroteOnce,
  explainFailure,
  ledgerOf,
  linesDag,
  type PodAccount,
  podsGone,
  quickRetries,
} from './pains.ts'

let cluster: Cluster
let elsewhere: TestNamespace
let deployment: KubernetesDeployment
let account: PodAccount
let proxy: KubernetesProxy
/** The one that the test's proxy is before. */
let scheduler: ProgramProcess

const isCreate = ({ method, path }: { method: string; path: string }) =>
  method === 'POST' && /\/pods(\?|$)/.test(path)

const throughProxy = (): ProgramProcess =>
  deployment.startScheduler({ BRANCHLINE_KUBERNETES_CONFIG_FILE: proxy.kubeconfig })

beforeAll(async () => {
  cluster = await connectCluster()
  elsewhere = await cluster.createNamespace('elsewhere', { podSecurity: 'restricted' })
  const elsewhereDag = {
    'dags/elsewhere.ts': linesDag['dags/lines.ts']
      .replace("dag('lines'", "dag('elsewhere'")
      .replace('retries: 0', `retries: 0, podOverride: { metadata: { namespace: '${elsewhere.name}' } }`),
  }
  deployment = await createKubernetesDeployment({
    cluster,
    files: { ...linesDag, ...elsewhereDag },
    env: quickRetries,
  })
  const secret = await deployment.namespace.kubectlJson<{ metadata: object }>([
    'get',
    'secret',
    'git-credentials',
  ])
  secret.metadata = { name: 'git-credentials' }
  await elsewhere.kubectl(['create', '--filename=-'], { input: JSON.stringify(secret) })
  account = await accountOfPods(deployment)
  proxy = await startKubernetesProxy(cluster.kubeconfig)
  scheduler = throughProxy()
  await dagsLoaded(deployment, 2)
}, 120_000)
beforeEach(async () => {
  explainFailure(deployment)
  proxy.faultOf = () => undefined
  if (scheduler.child.exitCode !== null || scheduler.child.signalCode !== null) scheduler = throughProxy()
})
afterAll(async () => {
  await account?.[Symbol.asyncDispose]()
  await deployment?.[Symbol.asyncDispose]()
  await elsewhere?.[Symbol.asyncDispose]()
  await proxy?.[Symbol.asyncDispose]()
})

async function kill(): Promise<void> {
  scheduler.kill('SIGKILL')
  await scheduler.exited
}

test('pain 1: a task whose scheduler dies between the ledger and the create is launched by the next one', async () => {
  proxy.faultOf = (request) => (isCreate(request) ? { hangAfterBytes: -1 } : undefined)
  await deployment.trigger('lines', 'before-create')
  await eventually('a create is under way', () => proxy.requests.some(isCreate))
  await kill()
  expect(await ledgerOf(deployment, 'before-create')).toMatchObject([{ state: 'planned', uid: null }])
  expect(await deployment.pods()).toEqual([])

  proxy.faultOf = () => undefined
  scheduler = throughProxy()
  await expectWroteOnce(deployment, account, 'before-create', 10)
})

test('pain 7: a pod whose create was not answered before its scheduler died is found again, not made twice', async () => {
  proxy.faultOf = (request) => (isCreate(request) ? { hangAfterBytes: 0 } : undefined)
  await deployment.trigger('lines', 'before-answer', { count: 30, pause_ms: 50 })
  await eventually('the pod is there', async () => (await deployment.pods()).length > 0)
  await kill()

  proxy.faultOf = () => undefined
  scheduler = throughProxy()
  await expectWroteOnce(deployment, account, 'before-answer', 30)
})

test('pain 7: a lost answer to a create makes no second pod', async () => {
  let lost = 0
  proxy.faultOf = (request) => {
    if (!isCreate(request) || lost > 0) return undefined
    lost += 1
    return { loseAnswer: true }
  }
  await deployment.trigger('lines', 'answer-lost')
  await expectWroteOnce(deployment, account, 'answer-lost', 10)
  expect(lost).toBe(1)
})

test('pain 6: a task goes on while there is no scheduler, ends meanwhile, and is taken over by reading alone', async () => {
  await deployment.trigger('lines', 'ends-alone', { count: 20, pause_ms: 50 })
  await deployment.trigger('lines', 'goes-on', { count: 60, pause_ms: 100 })
  await eventually('both run', async () => {
    const rows = [...(await ledgerOf(deployment, 'ends-alone')), ...(await ledgerOf(deployment, 'goes-on'))]
    return rows.length === 2 && rows.every(({ started_at }) => started_at !== null)
  })
  await kill()
  await eventually('one has ended', async () =>
    (await deployment.pods()).some(({ phase }) => phase === 'Succeeded'),
  )
  proxy.requests.length = 0
  scheduler = throughProxy()
  await expectWroteOnce(deployment, account, 'ends-alone', 20)
  await expectWroteOnce(deployment, account, 'goes-on', 60)
  const writes = proxy.requests.filter(({ method }) => method !== 'GET').map(({ method }) => method)
  expect(writes).toEqual(['DELETE', 'DELETE'])
})

test('pain 5: the pod of an attempt whose end was committed just before its scheduler died is deleted too', async () => {
  // What marks a pod as ended is a statement of its own, after the commit: here Postgres refuses it.
  await deployment.db.query(`
    create function refuse() returns trigger language plpgsql as $$ begin raise 'not now'; end $$;
    create trigger refuse before update on pod for each row when (new.state = 'ended') execute function refuse()`)
  await deployment.trigger('lines', 'dies-at-end')
  expect(await deployment.ended('lines', 'dies-at-end', 60_000)).toBe('success')
  await kill()
  await deployment.db.query('drop function refuse cascade')
  scheduler = throughProxy()
  await podsGone(deployment)
})

test('pain 7: a create that a paused scheduler sends when another one has done the task makes no second attempt', async () => {
  const release = Promise.withResolvers<void>()
  let held = 0
  proxy.faultOf = (request) => {
    if (!isCreate(request)) return undefined
    held += 1
    return { heldUntil: release.promise }
  }
  await deployment.trigger('lines', 'paused', { count: 10, pause_ms: 0 })
  await eventually('a create is under way', () => held > 0)
  const other = deployment.startScheduler()
  scheduler.kill('SIGSTOP')
  try {
    expect(await deployment.ended('lines', 'paused', 60_000)).toBe('success')
    await podsGone(deployment)
    release.resolve()
    await eventually('the late pod is there', () => account.made().get('paused/write/1')?.size === 2)
  } finally {
    scheduler.kill('SIGCONT')
  }
  await podsGone(deployment)
  expect((await deployment.attempts('lines', 'paused')).map(({ state }) => state)).toEqual(['success'])
  const log = deployment.log('lines', 'paused', 'write').map(({ msg }) => msg)
  expect(log).toEqual(Array.from({ length: 10 }, (_, n) => `line ${n + 1}`))

  // The one that was paused lives on, and so does the work.
  await deployment.trigger('lines', 'after-pause')
  await expectWroteOnce(deployment, account, 'after-pause', 10)
  other.kill('SIGTERM')
  await other.exited
})

test('pain 2: the watch goes to another scheduler when its holder dies, and misses nothing', async () => {
  const other = deployment.startScheduler()
  await eventually('two schedulers', async () => {
    const { rows } = await deployment.db.query('select 1 from scheduler where lease_expires_at > now()')
    return rows.length === 2
  })
  for (let n = 0; n < 4; n += 1) await deployment.trigger('lines', `two-${n}`, { count: 20, pause_ms: 50 })
  await eventually('one runs', async () => (await deployment.pods()).some(({ phase }) => phase === 'Running'))
  await kill()
  for (let n = 0; n < 4; n += 1) await expectWroteOnce(deployment, account, `two-${n}`, 20)
  other.kill('SIGTERM')
  await other.exited
})

test('pain 1: a pod in a namespace that is not configured any more is seen to its end', async () => {
  const both = { BRANCHLINE_KUBERNETES_NAMESPACES: `${deployment.namespace.name},${elsewhere.name}` }
  await kill()
  scheduler = deployment.startScheduler(both)
  await deployment.trigger('elsewhere', 'moved', { count: 40, pause_ms: 50 })
  await eventually('it writes', () => deployment.log('elsewhere', 'moved', 'write').length > 0, 40_000)
  await kill()
  scheduler = throughProxy()
  expect(await deployment.ended('elsewhere', 'moved', 60_000)).toBe('success')
  const pods = () => elsewhere.kubectlJson<{ items: object[] }>(['get', 'pods'])
  await eventually('its pod is gone', async () => (await pods()).items.length === 0, 30_000)
}, 120_000)
