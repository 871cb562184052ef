// Pains 8, 25, 26 and 27: pods that end before their task is done, in every way that a cluster knows. What the cluster did
// is told apart from what the task did, has its own budget of further attempts, and its own words.
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { type Cluster, connectCluster } from '../../support/cluster.ts'
import { eventually } from '../../support/eventually.ts'
import {
  createKubernetesDeployment,
  type KubernetesDeployment,
  schedulerReady,
} from '../../support/kubernetes-deployment.ts'
import {
  branchline,
  endsOf,
  explainFailure,
  numberedLines,
  podsGone,
  quickRetries,
  taskLines,
} from './pains.ts'

const files = {
  // Each waits for long in its first attempt, and ends well in the next.
  'dags/disturbed.ts': `
    import { dag, task } from 'branchline'

    export const cancelled = dag('cancelled', {}, () => {
      task('wait', { retries: 3 }, async ({ log, signal }) => {
        log.info('line 1')
        await new Promise((done) => signal.addEventListener('abort', done))
        log.info('line 2')
        signal.throwIfAborted()
      })
      task('does_not_heed', { retries: 3, executionTimeout: '1s' }, async ({ log }) => {
        log.info('line 1')
        await new Promise((done) => setTimeout(done, 120_000))
      })
    })
    export default dag('disturbed', {}, () => {
      const wait = async ({ log, tryNumber, signal }) => {
        log.info('attempt ' + tryNumber)
        if (tryNumber === 1) {
          await new Promise((done) => {
            signal.addEventListener('abort', done)
            setTimeout(done, 120_000)
          })
          signal.throwIfAborted()
        }
      }
      const memory = (limit) => ({ spec: { containers: [{ resources: { limits: { memory: limit } } }] } })
      task('deleted', { retries: 0 }, wait)
      task('evicted', { retries: 0 }, wait)
      task('drained', { retries: 0, podOverride: { metadata: { labels: { drain: 'me' } } } }, wait)
      task('deleted_pending', { retries: 0, podOverride: { spec: { nodeSelector: { pool: 'none' } } } }, wait)
    })`,
  'dags/own.ts': `
    import { dag, task } from 'branchline'

    const limited = { spec: { containers: [{ resources: { limits: { memory: '192Mi' } } }] } }
    const eat = () => {
      const eaten = []
      for (;;) eaten.push(Buffer.alloc(8 * 1024 * 1024, 1))
    }
    /** The program that started the task's process, and runs in the container as its first but for the init. */
    const supervisor = () => process.ppid

    export default dag('own', {}, () => {
      task('out_of_memory', { retries: 0, podOverride: limited }, ({ log }) => {
        log.info('line 1')
        eat()
      })
      // The container's first process becomes the hog while the task runs.
      const hog = 'const e = []; for (;;) e.push(Buffer.alloc(8388608, 1))'
      task('container_out_of_memory', { retries: 0, podOverride: { spec: { containers: [{
        ...limited.spec.containers[0],
        command: ['sh', '-c', 'tini -s -- branchline task & sleep 5; exec node -e "' + hog + '"'],
      }] } } }, async ({ log }) => {
        log.info('line 1')
        await new Promise((done) => setTimeout(done, 60_000))
      })
      task('exits', { retries: 0 }, ({ log }) => {
        log.info('line 1')
        process.exit(0)
      })
      task('exits_again', { retries: 1, retryDelay: '100ms' }, ({ tryNumber }) => {
        if (tryNumber === 1) process.exit(3)
      })
      task('no_result', { retries: 0, podOverride: { spec: { containers: [{ command: ['true'] }] } } }, () => 1)
      task('other_program', { retries: 0, podOverride: { spec: { containers: [
        { command: ['sh', '-c', 'echo what is this; exit 7'] }
      ] } } }, () => 1)
      task('killed', { retries: 0 }, async ({ log }) => {
        for (let n = 1; n <= 2000; n += 1) log.info('line ' + n)
        await new Promise((done) => setTimeout(done, 300))
        process.kill(supervisor(), 'SIGKILL')
        await new Promise((done) => setTimeout(done, 10_000))
      })
      task('killed_at_once', { retries: 0 }, async ({ log }) => {
        await new Promise((done) => setTimeout(done, 300))
        for (let n = 1; n <= 2000; n += 1) log.info('line ' + n)
        await new Promise((done) => setTimeout(done, 20))
        process.kill(supervisor(), 'SIGKILL')
        await new Promise((done) => setTimeout(done, 10_000))
      })
      task('init_fails', { retries: 0, podOverride: { spec: { initContainers: [
        { name: 'prepare', image: 'WORKER', imagePullPolicy: 'Never', command: ['sh', '-c', 'echo no such bucket; exit 9'],
          securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } } }
      ] } } }, () => 1)
    })`,
}

let cluster: Cluster
let deployment: KubernetesDeployment

beforeAll(async () => {
  cluster = await connectCluster()
  const own = files['dags/own.ts'].replace('WORKER', cluster.images.worker)
  deployment = await createKubernetesDeployment({
    cluster,
    files: { ...files, 'dags/own.ts': own },
    env: { ...quickRetries, BRANCHLINE_TASK_KILL_GRACE: '1s' },
  })
  await schedulerReady(deployment, 3)
}, 120_000)
beforeEach(() => explainFailure(deployment))
afterAll(async () => {
  await deployment?.[Symbol.asyncDispose]()
})

test('pain 8: a pod that is deleted, evicted or drained costs no retry of the task, and says who ended it', async () => {
  const { namespace } = deployment
  await deployment.trigger('disturbed', 'one')
  const podOf = async (taskId: string) => (await deployment.pods()).find((pod) => pod.taskId === taskId)
  for (const taskId of ['deleted', 'evicted', 'drained']) {
    await eventually(
      `${taskId} runs`,
      () => taskLines(deployment, 'disturbed', 'one', taskId).length > 0,
      40_000,
    )
  }
  const pending = await podOf('deleted_pending')
  await namespace.kubectl(['delete', 'pod', pending!.name, '--wait=false'])
  await namespace.kubectl(['delete', 'pod', (await podOf('deleted'))!.name, '--wait=false'])
  const evicted = (await podOf('evicted'))!.name
  const eviction = {
    apiVersion: 'policy/v1',
    kind: 'Eviction',
    metadata: { name: evicted, namespace: namespace.name },
  }
  await cluster.kubectl(
    ['create', '--raw', `/api/v1/namespaces/${namespace.name}/pods/${evicted}/eviction`, '--filename=-'],
    { input: JSON.stringify(eviction) },
  )
  const node = await cluster.kubectl(['get', 'nodes', '--output=jsonpath={.items[0].metadata.name}'])
  try {
    await cluster.kubectl([
      'drain',
      node,
      '--pod-selector=drain=me',
      '--force',
      '--delete-emptydir-data',
      '--timeout=60s',
    ])
    const text = async () => branchline(deployment, ['tasks', 'show', 'disturbed', 'one', 'drained'])
    await eventually(
      'the cordoned node is told',
      async () => (await text()).includes('unschedulable'),
      20_000,
    )
  } finally {
    await cluster.kubectl(['uncordon', node])
  }
  // This one waits for a node that does not come.
  await eventually(
    'a second pod of the one that was pending',
    async () => (await podOf('deleted_pending'))?.tryNumber === 2,
  )
  const ends = async () =>
    (await deployment.attempts('disturbed', 'one')).map(({ task_id, try_number, state, error }) => [
      `${task_id}/${try_number}`,
      state,
      error === null ? '' : `${error.name}: ${error.message}`,
    ])
  await eventually(
    'three have ended',
    async () => (await ends()).filter(([, state]) => state === 'success').length === 3,
    40_000,
  )
  expect(await ends()).toEqual([
    [
      'deleted/1',
      'failed',
      expect.stringMatching(/^PodDeleted: somebody deleted the pod; the task: .*its pod was told to end/),
    ],
    ['deleted/2', 'success', ''],
    ['deleted_pending/1', 'failed', expect.stringMatching(/^PodDeleted: /)],
    ['deleted_pending/2', 'queued', ''],
    [
      'drained/1',
      'failed',
      expect.stringMatching(/^EvictionByEvictionAPI: Eviction API: evicting; the task: /),
    ],
    ['drained/2', 'success', ''],
    [
      'evicted/1',
      'failed',
      expect.stringMatching(/^EvictionByEvictionAPI: Eviction API: evicting; the task: /),
    ],
    ['evicted/2', 'success', ''],
  ])
  await branchline(deployment, ['runs', 'cancel', 'disturbed', 'one'])
  await deployment.ended('disturbed', 'one')
  await podsGone(deployment)
}, 180_000)

test('pains 25, 26 and 27: a container that ends without a result is a failure with its reason and all that it wrote', async () => {
  await deployment.trigger('own', 'one')
  expect(await deployment.ended('own', 'one', 110_000)).toBe('failed')
  const ends = await endsOf(deployment, 'own', 'one')
  expect.soft(ends.get('out_of_memory')!.error).toMatch(/ran out of memory.*OOMKilled/)
  expect
    .soft(ends.get('container_out_of_memory')!.error)
    .toMatch(/^OOMKilled: container base ended with exit code 137/)
  expect.soft(ends.get('exits')!.error).toMatch(/exit/)
  expect.soft(ends.get('exits_again')).toMatchObject({ state: 'success', tryNumber: 2 })
  expect.soft(ends.get('no_result')!.error).toMatch(/^NoResult: .*exit code 0/)
  expect.soft(ends.get('other_program')!.error).toMatch(/exit code 7.*what is this/)
  expect
    .soft(ends.get('init_fails')!.error)
    .toMatch(/container prepare ended with exit code 9.*no such bucket/)
  expect.soft(ends.get('killed')!.error).toMatch(/exit code 137/)
  for (const taskId of ['out_of_memory', 'container_out_of_memory', 'exits']) {
    expect.soft(taskLines(deployment, 'own', 'one', taskId), taskId).toContain('line 1')
  }
  for (const taskId of ['killed', 'killed_at_once']) {
    expect.soft(taskLines(deployment, 'own', 'one', taskId), taskId).toEqual(numberedLines(2000))
  }
  for (const [taskId, { tryNumber, log, state }] of ends) {
    if (taskId !== 'exits_again') expect.soft(tryNumber, taskId).toBe(1)
    if (state === 'failed') expect.soft(log, taskId).not.toBe('')
  }
  await podsGone(deployment)
}, 180_000)

test('a run that is cancelled ends its pods, tells the task why, and makes no further attempt', async () => {
  await deployment.trigger('cancelled', 'one')
  const lines = (taskId: string) => taskLines(deployment, 'cancelled', 'one', taskId)
  await eventually('it runs', () => lines('wait').length > 0, 60_000)
  await eventually(
    'the other one is to be tried again',
    async () =>
      (await deployment.attempts('cancelled', 'one')).some(
        ({ task_id, state }) => task_id === 'does_not_heed' && state === 'failed',
      ),
    60_000,
  )
  await branchline(deployment, ['runs', 'cancel', 'cancelled', 'one'])
  expect(await deployment.ended('cancelled', 'one', 60_000)).toBe('failed')
  const ends = await endsOf(deployment, 'cancelled', 'one')
  expect(ends.get('wait')).toMatchObject({
    state: 'failed',
    tryNumber: 1,
    error: expect.stringMatching(/cancelled/),
  })
  expect(lines('wait')).toEqual(['line 1', 'line 2'])
  expect(ends.get('does_not_heed')!.error).toMatch(/timeout|took longer|timed out/i)
  await podsGone(deployment)
}, 150_000)
