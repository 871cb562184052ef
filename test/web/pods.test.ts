import { expect, test } from 'vitest'
import { container, ended, pod, running } from '../k8s/observations.ts'
import { type Api, startApi } from './api-fixture.ts'
import { insertDag, insertPod, insertRun, insertTaskInstance } from './rows.ts'

/** Two runs of `daily`: of the older one a pod is gone, of the newer one a pod waits and one runs. */
async function withPods(): Promise<Api> {
  const api = await startApi()
  const { db } = api
  await insertDag(db, 'daily', { edges: { extract: [], load: [] } })
  await insertDag(db, 'hourly')
  const older = await insertRun(db, 'daily', 'older', 'success')
  const gone = { state: 'deleted', isGone: true, podName: 'older-extract' } as const
  await insertPod(db, older, 'extract', {
    ...gone,
    observation: pod({ phase: 'Succeeded', containers: [ended('base', 0, 'Completed')] }),
  })
  const newer = await insertRun(db, 'daily', 'newer')
  await insertTaskInstance(db, newer, 'extract', 'running')
  await insertTaskInstance(db, newer, 'load', 'queued')
  await insertPod(db, newer, 'extract', {
    observation: pod({ uid: 'u1', phase: 'Running', containers: [running('base')] }),
    memoryPeakBytes: 5_000_000_000,
    manifest: {
      kind: 'Pod',
      spec: {
        containers: [
          {
            name: 'base',
            env: [
              { name: 'REGION', value: 'eu' },
              { name: 'DB_PASSWORD', value: 'hunter2' },
              { name: 'API_TOKEN', valueFrom: { secretKeyRef: { name: 'api', key: 'token' } } },
            ],
          },
        ],
      },
    },
  })
  await insertPod(db, newer, 'load', {
    namespace: 'big-jobs',
    observation: pod({
      node_name: null,
      containers: [],
      unschedulable: { reason: 'Unschedulable', message: '0/3 nodes are available: 3 Insufficient cpu.' },
    }),
  })
  return api
}

test("a task instance's attempts come with their pods, and in words how those are", async () => {
  await using api = await withPods()
  const instance = async (taskId: string) =>
    (await api.get(`/api/v2/dags/daily/dagRuns/newer/taskInstances/${taskId}`)).body
  expect((await instance('extract')).attempts).toMatchObject([
    {
      try_number: 1,
      pod: {
        namespace: 'jobs',
        pod_name: 'extract-1',
        uid: 'u1',
        state: 'created',
        status: 'Running',
        message: null,
        phase: 'Running',
        node_name: 'node-1',
        memory_peak_bytes: 5_000_000_000,
        planned_at: '2026-01-02T03:04:05.000Z',
        created_at: '2026-01-02T03:04:06.000Z',
        containers: [{ name: 'base', state: 'running' }],
      },
    },
  ])
  expect((await instance('load')).attempts[0].pod).toMatchObject({
    status: 'Unschedulable',
    message: 'no node takes it: 0/3 nodes are available: 3 Insufficient cpu.',
    unschedulable: { reason: 'Unschedulable' },
    phase: 'Pending',
    node_name: null,
    exit_code: null,
  })
})

test('an attempt of another executor has no pod, and each attempt has its own', async () => {
  await using api = await startApi()
  await insertDag(api.db, 'daily')
  const id = await insertRun(api.db, 'daily', 'one')
  await insertTaskInstance(api.db, id, 'only', 'running')
  const attempts = async () =>
    (await api.get('/api/v2/dags/daily/dagRuns/one/taskInstances/only')).body.attempts
  expect(await attempts()).toMatchObject([{ try_number: 1, pod: null }])
  await api.db.query(
    `insert into past_attempt (dag_run_id, task_id, map_index, try_number, state, token, executor, scheduler_id,
       queued_at, end_date)
     select dag_run_id, task_id, map_index, 1, 'failed', gen_random_uuid(), 'kubernetes', 1, now(), now()
     from task_instance`,
  )
  await api.db.query('update task_instance set try_number = 2')
  const killed = pod({ phase: 'Failed', containers: [ended('base', 137, 'OOMKilled')] })
  await insertPod(api.db, id, 'only', { observation: killed, state: 'ended' })
  await insertPod(api.db, id, 'only', {
    tryNumber: 2,
    state: 'planned',
    waiting: { reason: 'Forbidden', message: 'exceeded quota: small' },
  })
  expect(await attempts()).toMatchObject([
    {
      try_number: 1,
      pod: { status: 'OOMKilled', exit_code: 137, message: expect.stringContaining('SIGKILL') },
    },
    {
      try_number: 2,
      pod: {
        status: 'Forbidden',
        message: 'it could not be created yet: exceeded quota: small',
        phase: null,
      },
    },
  ])
})

test('pods are listed, those of the newest runs first, by Dag, run, namespace and state', async () => {
  await using api = await withPods()
  const names = async (query: string) => {
    const { body } = await api.get(`/api/v2/pods${query}`)
    return [body.total_entries, ...body.pods.map((one: { pod_name: string }) => one.pod_name)]
  }
  expect(await names('')).toEqual([3, 'extract-1', 'load-1', 'older-extract'])
  expect(await names('?limit=1&offset=1')).toEqual([3, 'load-1'])
  expect(await names('?dag_id=daily&run_id=newer')).toEqual([2, 'extract-1', 'load-1'])
  expect(await names('?namespace=big-jobs')).toEqual([1, 'load-1'])
  expect(await names('?state=planned&state=created')).toEqual([2, 'extract-1', 'load-1'])
  expect(await names('?dag_id=hourly')).toEqual([0])
})

test('a list of an unknown Dag, run or state is refused', async () => {
  await using api = await withPods()
  const unknown = await api.get('/api/v2/pods?dag_id=dayly')
  expect([unknown.status, unknown.body.message]).toEqual([
    404,
    "there is no Dag 'dayly'. Did you mean 'daily'?",
  ])
  expect((await api.get('/api/v2/pods?dag_id=daily&run_id=newr')).status).toBe(404)
  expect((await api.get('/api/v2/pods?state=running')).status).toBe(400)
})

test('a pod comes with what was sent, but for values that look secret', async () => {
  await using api = await withPods()
  const { body } = await api.get('/api/v2/pods/jobs/extract-1')
  expect(body).toMatchObject({ dag_id: 'daily', run_id: 'newer', task_id: 'extract', status: 'Running' })
  expect(body.manifest.spec.containers[0].env).toEqual([
    { name: 'REGION', value: 'eu' },
    { name: 'DB_PASSWORD', value: '***' },
    { name: 'API_TOKEN', valueFrom: { secretKeyRef: { name: 'api', key: 'token' } } },
  ])
  const missing = await api.get('/api/v2/pods/jobs/extract-2')
  expect([missing.status, missing.body.message]).toEqual([
    404,
    "no attempt has a pod 'extract-2' in namespace 'jobs'. Did you mean 'extract-1'?",
  ])
  const elsewhere = await api.get('/api/v2/pods/none/extract-1')
  expect(elsewhere.body.message).toContain('No attempt has a pod in that namespace')
})

test("what a resource's Secret holds is not told", async () => {
  await using api = await startApi()
  await insertDag(api.db, 'daily')
  const id = await insertRun(api.db, 'daily', 'one')
  const manifest = {
    kind: 'Secret',
    metadata: { name: 's' },
    stringData: { user: 'me', password: 'hunter2' },
  }
  await insertPod(api.db, id, 'only', { manifest, observation: pod({ containers: [container('base')] }) })
  const { body } = await api.get('/api/v2/pods/jobs/only-1')
  expect(body.manifest).toEqual({ ...manifest, stringData: { user: '***', password: '***' } })
})
