// What a deployment's settings do to its pods on a real cluster: where the Dags come from, which pods stay, and in which
// namespaces they are.
import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { beforeAll, expect, test } from 'vitest'
import { type Cluster, clusterPartsMissing, connectCluster } from '../support/cluster.ts'
import { eventually } from '../support/eventually.ts'
import { createKubernetesDeployment, schedulerReady } from '../support/kubernetes-deployment.ts'

const run = promisify(execFile)

const files = {
  'dags/reads.ts': `
    import { readFileSync } from 'node:fs'
    import { join } from 'node:path'
    import { dag, task } from 'branchline'

    export const reads = dag('reads', {}, () => {
      task('read', ({ log }) => log.info(readFileSync(join(import.meta.dirname, 'data.txt'), 'utf8').trim()))
    })
    export const ends = dag('ends', {}, () => {
      task('well', () => 1)
      task('badly', () => { throw new Error('no luck') })
    })`,
  'dags/data.txt': 'from the commit\n',
}

let cluster: Cluster

beforeAll(async () => {
  cluster = await connectCluster()
})

const noGit = {
  BRANCHLINE_GIT_SYNC_IMAGE: '',
  BRANCHLINE_GIT_SYNC_REPO: '',
  BRANCHLINE_GIT_SYNC_CREDENTIALS_SECRET: '',
}

test.skipIf(clusterPartsMissing() !== undefined)(
  'Dags come from a directory of the node, and from a claim with a sub-path',
  async () => {
    const directory = await mkdtemp(join(tmpdir(), 'branchline-dags-'))
    for (const source of ['host_path', 'volume_claim'] as const) {
      await using deployment = await createKubernetesDeployment({
        cluster,
        files,
        podSecurity: 'privileged',
        env: {
          ...noGit,
          BRANCHLINE_WORKER_DAGS_SOURCE: source,
          ...(source === 'host_path'
            ? { BRANCHLINE_WORKER_DAGS_HOST_PATH: join(directory, 'team', 'repository') }
            : {
                BRANCHLINE_WORKER_DAGS_VOLUME_CLAIM: 'dags',
                BRANCHLINE_WORKER_DAGS_VOLUME_SUB_PATH: 'team/repository',
              }),
        },
      })
      const { namespace, repository } = deployment
      await run('git', ['clone', '--quiet', repository.path, join(directory, 'team', 'repository')]).catch(
        () => {},
      )
      if (source === 'volume_claim') {
        const volume = claimOf(namespace.name, directory)
        await namespace.kubectl(['apply', '--filename', '-'], { input: JSON.stringify(volume) })
      }
      await schedulerReady(deployment, 2)
      await deployment.trigger('reads', 'run')
      expect(await deployment.ended('reads', 'run', 60_000)).toBe('success')
      // A claim that is not bound yet is a word of its own in it.
      expect(deployment.log('reads', 'run', 'read').at(-1)?.msg).toBe('from the commit')
      await cluster.kubectl(['delete', 'pv', namespace.name, '--ignore-not-found', '--wait=false'])
    }
    await rm(directory, { recursive: true })
  },
  120_000,
)

test('pods of failed attempts stay where the deployment says so, those of others go', async () => {
  await using deployment = await createKubernetesDeployment({
    cluster,
    files,
    env: { BRANCHLINE_DELETE_WORKER_PODS: 'on_success' },
  })
  await schedulerReady(deployment, 2)
  await deployment.trigger('ends', 'run')
  expect(await deployment.ended('ends', 'run', 60_000)).toBe('failed')
  await eventually(
    'the pod of the good one is gone',
    async () => (await deployment.pods()).every(({ taskId }) => taskId === 'badly'),
    30_000,
  )
  expect(await deployment.pods()).toMatchObject([{ taskId: 'badly', phase: 'Failed', isTerminating: false }])
})

test('a task has its pod in another namespace that the deployment knows', async () => {
  await using deployment = await createKubernetesDeployment({
    cluster,
    furtherNamespace: true,
    files: { 'README.md': 'Dags' },
  })
  const further = deployment.further!
  await deployment.push({
    'dags/elsewhere.ts': `
      import { dag, task } from 'branchline'
      export default dag('elsewhere', { podOverride: { metadata: { namespace: '${further.name}' } } }, () => {
        task('one', async ({ log }) => { log.info('ran'); await new Promise((done) => setTimeout(done, 1_500)) })
      })
      export const nowhere = dag('nowhere', { podOverride: { metadata: { namespace: 'kube-system' } } }, () => {
        task('one', () => 1)
      })`,
  })
  await schedulerReady(deployment, 2)
  await deployment.trigger('elsewhere', 'run')
  await deployment.trigger('nowhere', 'run')
  await eventually(
    'the pod is there',
    async () => (await further.kubectl(['get', 'pods', '--output=name'])) !== '',
    30_000,
  )
  expect(await deployment.pods()).toEqual([])
  expect(await deployment.ended('elsewhere', 'run', 60_000)).toBe('success')
  expect(deployment.log('elsewhere', 'run', 'one').map(({ msg }) => msg)).toEqual(['ran'])
  expect(await deployment.ended('nowhere', 'run', 60_000)).toBe('failed')
  const [refused] = await deployment.attempts('nowhere', 'run')
  expect(refused?.error?.message).toContain('kubernetes_namespaces')
})

/** A volume of the node, and a claim that takes it. */
function claimOf(name: string, path: string): object {
  const spec = { accessModes: ['ReadOnlyMany'], storageClassName: '', volumeName: name }
  const capacity = { storage: '1Gi' }
  return {
    apiVersion: 'v1',
    kind: 'List',
    items: [
      {
        apiVersion: 'v1',
        kind: 'PersistentVolume',
        metadata: { name },
        spec: { accessModes: spec.accessModes, capacity, storageClassName: '', hostPath: { path } },
      },
      {
        apiVersion: 'v1',
        kind: 'PersistentVolumeClaim',
        metadata: { name: 'dags' },
        spec: { ...spec, resources: { requests: capacity } },
      },
    ],
  }
}
