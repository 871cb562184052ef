// Pains 10 and 3: an API server that says 'not now', that fails, that hangs, and one that forbids. Push-back keeps a task
// waiting with the reason shown, and never fails it; a refusal is told at once.
import { mkdtempSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { parseYaml } from '../../../k8s/yaml.ts'
import { type Cluster, connectCluster } from '../../support/cluster.ts'
import { dagsLoaded, type ProgramProcess } from '../../support/deployment.ts'
import { eventually } from '../../support/eventually.ts'
import { createKubernetesDeployment, type KubernetesDeployment } from '../../support/kubernetes-deployment.ts'
import { type KubernetesProxy, startKubernetesProxy } from '../../support/kubernetes-proxy.ts'
import {
  accountOfPods,
  branchline,
  expectWroteOnce,
  explainFailure,
  linesDag,
  type PodAccount,
  quickRetries,
} from './pains.ts'

const otherDags = {
  'dags/others.ts': `
    import { dag, task } from 'branchline'

    export const refused = dag('refused', {}, () => {
      task('write', { podOverride: { spec: { priorityClassName: 'nobody-has-it' } } }, () => {})
    })

    export const dies = dag('dies', {}, () => {
      task('write', { retries: 0 }, ({ log }) => {
        log.info('the last line')
        setTimeout(() => process.kill(process.ppid, 'SIGKILL'), 1_000)
        return new Promise(() => {})
      })
    })`,
}

let cluster: Cluster
let deployment: KubernetesDeployment
let account: PodAccount
let proxy: KubernetesProxy
let scheduler: ProgramProcess

const isCreate = ({ method, path }: { method: string; path: string }) =>
  method === 'POST' && /\/pods(\?|$)/.test(path)
const status = (code: number, reason: string, message: string, more: object = {}) =>
  JSON.stringify({ kind: 'Status', apiVersion: 'v1', status: 'Failure', code, reason, message, ...more })
const log = (runId: string, dagId = 'lines') => deployment.log(dagId, runId, 'write').map(({ msg }) => msg)
const start = (kubeconfig: string) =>
  deployment.startScheduler({ BRANCHLINE_KUBERNETES_CONFIG_FILE: kubeconfig })
async function stop(): Promise<void> {
  scheduler.kill('SIGTERM')
  await scheduler.exited
}

beforeAll(async () => {
  cluster = await connectCluster()
  deployment = await createKubernetesDeployment({
    cluster,
    files: { ...linesDag, ...otherDags },
    env: {
      ...quickRetries,
      BRANCHLINE_WORKER_POD_PENDING_TIMEOUT: '20s',
      // And with it the time until a watch that hangs is noticed.
      BRANCHLINE_KUBERNETES_RELIST_INTERVAL: '5s',
    },
  })
  account = await accountOfPods(deployment)
  proxy = await startKubernetesProxy(cluster.kubeconfig)
  scheduler = start(proxy.kubeconfig)
  await dagsLoaded(deployment)
}, 120_000)
beforeEach(async () => {
  explainFailure(deployment)
  await deployment.namespace.kubectl(['delete', 'quota', '--all'])
  proxy.faultOf = () => undefined
})
afterAll(async () => {
  await account?.[Symbol.asyncDispose]()
  await deployment?.[Symbol.asyncDispose]()
  await proxy?.[Symbol.asyncDispose]()
})

test('pain 10: a task waits while a quota is used up, says so, and runs when there is room, however long that took', async () => {
  const { namespace } = deployment
  await namespace.kubectl(['create', 'quota', 'small', '--hard=pods=0'])
  await eventually(
    'the quota counts',
    async () =>
      (await namespace.kubectlJson<{ status?: { hard?: object } }>(['get', 'quota', 'small'])).status
        ?.hard !== undefined,
  )
  await deployment.trigger('lines', 'quota')
  await eventually(
    'its log says why',
    () => log('quota').some((line) => line.includes('exceeded quota')),
    30_000,
  )
  const words = () => branchline(deployment, ['tasks', 'show', 'lines', 'quota', 'write'])
  expect(await words()).toMatch(/exceeded quota: small, requested: pods=1, used: pods=0, limited: pods=0/)
  // One that is cancelled meanwhile ends at once, and never had a pod.
  await deployment.trigger('lines', 'quota-cancelled')
  await eventually('it waits too', () => log('quota-cancelled').length > 0, 30_000)
  await branchline(deployment, ['runs', 'cancel', 'lines', 'quota-cancelled'])
  expect(await deployment.ended('lines', 'quota-cancelled')).toBe('failed')
  // Longer than a pod may be pending: it is none yet.
  const since = Date.now()
  await eventually('it has waited longer than a pod may', () => Date.now() - since > 15_000)
  await namespace.kubectl(['delete', 'quota', 'small'])
  await deployment.ended('lines', 'quota', 90_000)
  expect(log('quota').at(-1)).toBe('line 10')
  expect(await deployment.attempts('lines', 'quota')).toMatchObject([{ try_number: 1, state: 'success' }])
  expect(account.made().has('quota-cancelled/write/1')).toBe(false)
}, 150_000)

test('pain 10: a storm of 429, 500, 503 and conflicts delays pods and fails none', async () => {
  const answers = [
    {
      status: 429,
      headers: { 'retry-after': '1' },
      body: status(429, 'TooManyRequests', 'too many requests'),
    },
    { status: 500, body: status(500, 'InternalError', 'etcdserver: request timed out') },
    { status: 503, body: 'upstream connect error' },
    { status: 409, body: status(409, 'Conflict', 'Operation cannot be fulfilled on resourcequotas "q"') },
  ]
  let creates = 0
  proxy.faultOf = (request) => {
    if (!isCreate(request)) return undefined
    creates += 1
    return creates % 3 === 0 ? undefined : { answer: answers[creates % answers.length]! }
  }
  const runIds = ['storm-0', 'storm-1', 'storm-2']
  for (const runId of runIds) await deployment.trigger('lines', runId)
  await eventually('all are created', () => runIds.every((id) => account.made().has(`${id}/write/1`)), 90_000)
  for (const runId of runIds) {
    expect(await deployment.ended('lines', runId, 60_000)).toBe('success')
    expect(await deployment.attempts('lines', runId)).toMatchObject([{ try_number: 1, state: 'success' }])
    expect(account.made().get(`${runId}/write/1`)?.size).toBe(1)
  }
}, 180_000)

test('pain 3: an API server that hangs is noticed, and everything goes on when it is back', async () => {
  await deployment.trigger('lines', 'hangs', { count: 20, pause_ms: 100 })
  await eventually('it runs', () => log('hangs').length > 0, 40_000)
  proxy.hang()
  await deployment.trigger('lines', 'hangs-too')
  await eventually(
    'it has ended',
    async () => (await deployment.pods()).some(({ phase }) => phase === 'Succeeded'),
    40_000,
  )
  await proxy.mend()
  await expectWroteOnce(deployment, account, 'hangs', 20)
  await eventually(
    'the other one has ended',
    async () => (await deployment.attempts('lines', 'hangs-too'))[0]?.state === 'success',
    60_000,
  )
  expect(account.made().get('hangs-too/write/1')?.size).toBe(1)
}, 180_000)

test('pain 2: a watch that is told its version is too old, at once or amid the stream, lists and misses nothing', async () => {
  let expired = 0
  proxy.faultOf = ({ path }) => {
    if (!path.includes('watch=true') || expired >= 2) return undefined
    expired += 1
    const body = status(410, 'Expired', 'too old resource version: 1 (2)')
    return expired === 1
      ? { answer: { status: 410, body } }
      : { answer: { status: 200, body: `${JSON.stringify({ type: 'ERROR', object: JSON.parse(body) })}\n` } }
  }
  await deployment.trigger('lines', 'expired', { count: 20, pause_ms: 50 })
  await eventually('it runs', () => log('expired').length > 0, 40_000)
  proxy.cut()
  await expectWroteOnce(deployment, account, 'expired', 20)
  expect(expired).toBe(2)
}, 120_000)

test('a pod that may not be deleted is told in its log and waits, and ends when it may', async () => {
  await deployment.trigger('lines', 'undeletable', { count: 10_000, pause_ms: 50 })
  await eventually('it runs', () => log('undeletable').length > 0, 40_000)
  proxy.faultOf = ({ method }) =>
    method === 'DELETE'
      ? {
          answer: { status: 403, body: status(403, 'Forbidden', 'pods "it" is forbidden: no deletes today') },
        }
      : undefined
  await branchline(deployment, ['runs', 'cancel', 'lines', 'undeletable'])
  const told = () => log('undeletable').filter((line) => line.includes('no deletes today'))
  await eventually('its log says why it goes on', () => told().length > 0, 30_000)
  expect(await deployment.attempts('lines', 'undeletable')).toMatchObject([{ state: 'running' }])
  proxy.faultOf = () => undefined
  expect(await deployment.ended('lines', 'undeletable', 60_000)).toBe('failed')
  expect(told()).toEqual([expect.stringContaining('the pod cannot be told to end yet: delete pod')])
}, 120_000)

test('a refusal that comes while Postgres is away is told when it is back', async () => {
  const release = Promise.withResolvers<void>()
  let isHeld = false
  proxy.faultOf = (request) => {
    if (!isCreate(request)) return undefined
    isHeld = true
    return { heldUntil: release.promise }
  }
  await deployment.trigger('refused', 'away')
  await eventually('its pod is asked for', () => isHeld, 30_000)
  await deployment.killPostgres()
  release.resolve()
  await delay(1_000)
  await deployment.startPostgres()
  expect(await deployment.ended('refused', 'away', 60_000)).toBe('failed')
  expect(log('away', 'refused').join()).toMatch(/no PriorityClass with name nobody-has-it was found/)
}, 120_000)

test('where the last lines of a container may not be read, its attempt ends with what there is', async () => {
  proxy.faultOf = ({ path }) =>
    path.includes('/log?')
      ? { answer: { status: 403, body: status(403, 'Forbidden', 'pods "it" is forbidden: no logs today') } }
      : undefined
  await deployment.trigger('dies', 'unread')
  expect(await deployment.ended('dies', 'unread', 60_000)).toBe('failed')
  const lines = log('unread', 'dies')
  expect(lines[0]).toBe('the last line')
  expect(lines.join()).toMatch(/the last lines of the container may be missing: .*no logs today/)
}, 120_000)

test('a scheduler whose account may not create pods says which right is missing, and the task fails with it', async () => {
  await stop()
  const { namespace } = deployment
  await namespace.kubectl(['create', 'serviceaccount', 'reader'])
  await namespace.kubectl(['create', 'role', 'reader', '--verb=get,list,watch', '--resource=pods'])
  await namespace.kubectl([
    'create',
    'rolebinding',
    'reader',
    '--role=reader',
    `--serviceaccount=${namespace.name}:reader`,
  ])
  const token = await namespace.kubectl(['create', 'token', 'reader'])
  const config = parseYaml(await cluster.kubectl(['config', 'view', '--raw', '--flatten']), 'kubeconfig') as {
    users: object[]
    contexts: { context: { user: string } }[]
  }
  config.users = [{ name: 'reader', user: { token } }]
  config.contexts[0]!.context.user = 'reader'
  const kubeconfig = join(mkdtempSync(join(deployment.directory, 'reader-')), 'config')
  writeFileSync(kubeconfig, JSON.stringify(config))
  scheduler = start(kubeconfig)
  await deployment.trigger('lines', 'forbidden')
  expect(await deployment.ended('lines', 'forbidden', 60_000)).toBe('failed')
  const words =
    /is forbidden: User "system:serviceaccount:.*:reader" cannot create resource "pods" in API group "" in the namespace/
  expect((await deployment.attempts('lines', 'forbidden'))[0]!.error!.message).toMatch(words)
  expect(log('forbidden').join('\n')).toMatch(words)
  await stop()
}, 120_000)
