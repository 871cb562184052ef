// What people do about worker pods of a real deployment: look how they are, enter one that runs, read what each of its
// containers wrote, and see why one does not begin.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type CliResult, cli } from '../cli/cli-process.ts'
import { type Cluster, connectCluster } from '../support/cluster.ts'
import { eventually } from '../support/eventually.ts'
import {
  createKubernetesDeployment,
  type KubernetesDeployment,
  schedulerReady,
} from '../support/kubernetes-deployment.ts'

const files = {
  'dags/flow.ts': `
    import { existsSync } from 'node:fs'
    import { dag, task } from 'branchline'

    export default dag('flow', {}, () => {
      task('waits', async ({ log }) => {
        log.info('waiting')
        while (!existsSync('/tmp/go')) await new Promise((done) => setTimeout(done, 50))
        return 'went'
      })
      task('nowhere', { podOverride: { spec: { nodeSelector: { 'no-such': 'node' } } } }, () => 1)
    })`,
}

let cluster: Cluster
let deployment: KubernetesDeployment

beforeAll(async () => {
  cluster = await connectCluster()
  deployment = await createKubernetesDeployment({ cluster, files })
  await schedulerReady(deployment)
  await deployment.trigger('flow', 'one')
})
afterAll(async () => {
  await deployment?.[Symbol.asyncDispose]()
})

const branchline = (...args: string[]): Promise<CliResult> =>
  cli(args, { url: deployment.apiUrl, env: { KUBECONFIG: cluster.kubeconfig } })
const shown = async (task: string) => (await branchline('tasks', 'show', 'flow', 'one', task)).stdout

test('tasks show and pods list tell how the pods are, and why one of them does not begin', async () => {
  await eventually('it runs', async () => /status +Running/.test(await shown('waits')), 30_000)
  await eventually('its reason', async () => (await shown('nowhere')).includes('Unschedulable'), 30_000)
  expect(await shown('nowhere')).toMatch(/^ {2}status +Unschedulable: no node takes it: 0\/\d+ nodes are/m)
  expect(await shown('waits')).toMatch(/^ {2}node +\S+$/m)
  const { stdout } = await branchline('pods', 'list', 'flow')
  expect(stdout).toMatch(/ waits +1 +Running /)
  expect(stdout).toMatch(/ nowhere +1 +Unschedulable /)
})

test('a command is run in a worker pod that runs, and the logs of all its containers are read', async () => {
  const entered = await branchline(
    'exec',
    'flow',
    'waits',
    '--',
    'sh',
    '-c',
    'id -u; ls $BRANCHLINE_DAGS_PATH',
  )
  expect(entered).toMatchObject({ code: 0, stdout: expect.stringMatching(/^50000\n/) })
  expect(entered.stderr).toContain(`container base of pod ${deployment.namespace.name}/flow-waits-`)
  const logs = (...args: string[]) => branchline('pods', 'logs', 'flow', 'waits', ...args)
  expect(await logs()).toMatchObject({ code: 0, stdout: expect.stringContaining('waiting') })
  const clone = await logs('-c', 'git-sync-clone')
  expect(clone).toMatchObject({ code: 0, stdout: expect.stringContaining('"msg"') })
  expect(await branchline('exec', 'flow', 'nowhere', '--', 'sh')).toMatchObject({
    code: 5,
    stderr: expect.stringContaining('no node takes it'),
  })
})

test('a pod whose attempt goes on is not cleaned up; one that has ended tells how when it is gone', async () => {
  const { code, stdout } = await branchline('pods', 'cleanup', '-n', deployment.namespace.name, '--json')
  expect({ code, pods: JSON.parse(stdout).pods }).toEqual({ code: 0, pods: [] })
  expect(await branchline('exec', 'flow', 'waits', '--', 'touch', '/tmp/go')).toMatchObject({ code: 0 })
  await eventually('its end', async () => /state +✓ success/.test(await shown('waits')), 30_000)
  await eventually('its pod is gone', async () => (await shown('waits')).includes('(gone)'), 30_000)
  expect(await shown('waits')).toMatch(/^ {2}status +Completed$/m)
  expect(await shown('waits')).toMatch(/^ {2}memory +\d+ MiB at most$/m)
  expect(await branchline('exec', 'flow', 'waits', '--', 'sh')).toMatchObject({
    code: 5,
    stderr: expect.stringContaining('Completed'),
  })
})
