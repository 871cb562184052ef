// `job()` and `resource()` on a real cluster.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Cluster, connectCluster } from '../support/cluster.ts'
import { eventually } from '../support/eventually.ts'
import {
  createKubernetesDeployment,
  type KubernetesDeployment,
  schedulerReady,
} from '../support/kubernetes-deployment.ts'

const dags = (image: string) => ({
  'dags/objects.ts': `
    import { chain, dag, job, resource } from 'branchline'

    const shell = {
      image: '${image}', imagePullPolicy: 'Never', cmds: ['bash', '-c'],
      securityContext: { runAsNonRoot: true, runAsUser: 50000, seccompProfile: { type: 'RuntimeDefault' } },
      containerSecurityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
    } as const

    export const jobs = dag('jobs', {}, () => {
      job('works', { ...shell, arguments: ['echo {{ run_id }}'], completions: 2, parallelism: 2 })
      job('fails', { ...shell, arguments: ['exit 1'], backoffLimit: 0 })
    })

    const settings = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'settings' } }
    export const resources = dag('resources', {}, () => {
      chain(
        resource('create', { manifest: { ...settings, data: { phase: '{{ run_id }}' } } }),
        resource('wait', { action: 'get', manifest: settings, successCondition: 'data.phase = done' }),
        resource('delete', { action: 'delete', manifest: settings }),
      )
      resource('refused', { manifest: { apiVersion: 'v1', kind: 'Secrett', metadata: { name: 'x' } } })
    })`,
})

let cluster: Cluster
let deployment: KubernetesDeployment

beforeAll(async () => {
  cluster = await connectCluster()
  deployment = await createKubernetesDeployment({ cluster, files: dags(cluster.images.worker) })
  await schedulerReady(deployment, 2)
})
afterAll(async () => {
  await deployment?.[Symbol.asyncDispose]()
})

const states = async (dagId: string) =>
  Object.fromEntries((await deployment.attempts(dagId, 'run')).map(({ task_id, state }) => [task_id, state]))

test('a job is done when its pods are, and fails with the words of its condition', async () => {
  await deployment.trigger('jobs', 'run')
  expect(await deployment.ended('jobs', 'run', 90_000)).toBe('failed')
  expect(await states('jobs')).toEqual({ works: 'success', fails: 'failed' })
  const failed = (await deployment.attempts('jobs', 'run')).find(({ task_id }) => task_id === 'fails')
  expect(failed?.error).toMatchObject({ name: 'BackoffLimitExceeded' })
})

test('an object is made, waited for until its condition holds, and deleted', async () => {
  const { namespace } = deployment
  await deployment.trigger('resources', 'run')
  await eventually('the wait', async () => (await states('resources')).wait === 'running', 30_000)
  const made = await namespace.kubectlJson<{ data: object }>(['get', 'configmap', 'settings'])
  expect(made.data).toEqual({ phase: 'run' })
  await namespace.kubectl(['patch', 'configmap', 'settings', '--patch', '{"data":{"phase":"done"}}'])
  expect(await deployment.ended('resources', 'run', 60_000)).toBe('failed')
  expect(await states('resources')).toEqual({
    create: 'success',
    wait: 'success',
    delete: 'success',
    refused: 'failed',
  })
  expect(await namespace.kubectl(['get', 'configmap', 'settings', '--ignore-not-found'])).toBe('')
  const refused = (await deployment.attempts('resources', 'run')).find(({ task_id }) => task_id === 'refused')
  expect(refused?.error?.message).toContain("no kind 'Secrett' in v1")
})
