// Branchline inside the cluster, by its own manifests: what a push does from there, that nobody has more rights than
// needed, and that the kubelet brings back a scheduler that stands.
import { readdirSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Cluster, clusterPartsMissing, connectCluster } from '../support/cluster.ts'
import { type ClusterInstallation, installInCluster } from '../support/cluster-installation.ts'
import { eventually } from '../support/eventually.ts'
import { serveGitOverSsh, sshdMissing } from '../support/git-server.ts'

/** A task that says its commit, waits until `gate` answers, and says it again. */
const hello = (revision: string) => ({
  'dags/hello.ts': `
    import { readFileSync } from 'node:fs'
    import { join } from 'node:path'
    import { dag, task } from 'branchline'
    import { revision } from './revision.ts'

    export default dag('hello', { params: { gate: '' } }, () => {
      task('say', async ({ log, params }) => {
        const say = () => log.info(revision + ' ' + readFileSync(join(import.meta.dirname, 'data.txt'), 'utf8').trim())
        say()
        if (params.gate !== '') await fetch(params.gate)
        say()
      })
    })`,
  'dags/revision.ts': `export const revision = '${revision}'\n`,
  'dags/data.txt': `${revision}\n`,
})

let cluster: Cluster
let installation: ClusterInstallation

beforeAll(async () => {
  cluster = await connectCluster()
  installation = await installInCluster({ cluster, files: hello('one') })
}, 300_000)
afterAll(async () => {
  await installation?.[Symbol.asyncDispose]()
}, 120_000)

test('a push runs in a pod, while a run of the commit before ends on that one', async () => {
  const { branchline, api, push, workers } = installation
  await using gate = await openGate(cluster.address)
  await eventually(
    'the Dag is live',
    async () => (await branchline('dags', 'list')).includes('hello'),
    60_000,
  )
  await branchline('dags', 'trigger', 'hello', '--run-id', 'old', '--param', `gate=${gate.url}`)
  await eventually('the old run waits', () => gate.isWaitedFor(), 60_000)

  const commit = await push(hello('two'))
  await eventually(
    'the new commit is live',
    async () => (await branchline('dags', 'show', 'hello', '--json')).includes(commit),
    60_000,
  )
  await branchline('dags', 'trigger', 'hello', '--run-id', 'new', '--wait')
  expect(await runState('old')).toBe('running')
  gate.open()
  await eventually('the old run ends', async () => (await runState('old')) !== 'running', 60_000)

  expect(await runState('old')).toBe('success')
  expect(await runState('new')).toBe('success')
  expect(await said('old')).toEqual(['one one', 'one one'])
  expect(await said('new')).toEqual(['two two', 'two two'])
  const pods = async () => (await workers.kubectlJson<{ items: unknown[] }>(['get', 'pods'])).items
  await eventually('the pods are gone', async () => (await pods()).length === 0, 60_000)

  async function runState(runId: string): Promise<string> {
    return JSON.parse(await api(`/api/v2/dags/hello/dagRuns/${runId}`)).state
  }
  async function said(runId: string): Promise<string[]> {
    const log = await branchline('tasks', 'logs', 'hello', runId, 'say', '--json')
    return log.split('\n').map((line) => (JSON.parse(line) as { msg: string }).msg)
  }
})

test('what is rolled out anew while a task runs takes nothing from it', async () => {
  const { branchline, api, control, rolledOut } = installation
  await using gate = await openGate(cluster.address)
  await branchline('dags', 'trigger', 'hello', '--run-id', 'long', '--param', `gate=${gate.url}`)
  await eventually('its task waits', () => gate.isWaitedFor(), 60_000)
  const { name } = await schedulerPod()
  await control.kubectl([
    'rollout',
    'restart',
    'deployment/branchline-scheduler',
    'deployment/branchline-web',
  ])
  await rolledOut()
  expect((await schedulerPod()).name).not.toBe(name)
  gate.open()
  await branchline('runs', 'watch', 'hello', 'long')
  const task = JSON.parse(await api('/api/v2/dags/hello/dagRuns/long/taskInstances/say'))
  expect(task).toMatchObject({ state: 'success', try_number: 1 })
}, 180_000)

test('scheduler and sync agree about the worktrees: one holds by leases what the other keeps', async () => {
  const { control, push, branchline } = installation
  const commit = await push(hello('three'))
  await eventually('it is live', async () =>
    (await branchline('dags', 'show', 'hello', '--json')).includes(commit),
  )
  const sh = (script: string) =>
    control.kubectl([
      ...['exec', 'deployment/branchline-scheduler', '--container=scheduler', '--', 'sh', '-c', script],
    ])
  await eventually('the commit is held', async () => (await sh('ls /git/.leases')).includes(commit), 30_000)
  await expect(sh('touch /git/current/x')).rejects.toThrow(/Read-only file system/)
  const log = await control.kubectl(['logs', 'deployment/branchline-scheduler', '--container=scheduler'])
  expect(log).not.toMatch(/could not be held/)
})

test('the log is read through the Service of web', async () => {
  const path = '/api/v2/dags/hello/dagRuns/new/taskInstances/say/logs/1'
  expect(await installation.api(path)).toContain('"msg":"two two"')
})

test('both namespaces enforce the strictest level of Pod Security', async () => {
  for (const { name } of [installation.control, installation.workers]) {
    const { metadata } = await cluster.kubectlJson<{ metadata: { labels: Record<string, string> } }>([
      ...['get', 'namespace', name],
    ])
    expect(metadata.labels).toMatchObject({ 'pod-security.kubernetes.io/enforce': 'restricted' })
  }
})

test('in the pods only the programs that speak to the API server have its token', async () => {
  const readToken = 'cat /var/run/secrets/kubernetes.io/serviceaccount/token'
  const read = (container: string) =>
    installation.control.kubectl([
      ...['exec', 'deployment/branchline-scheduler', `--container=${container}`, '--', 'sh', '-c', readToken],
    ])
  expect(await read('scheduler')).toMatch(/^eyJ/)
  await expect(read('git-sync')).rejects.toThrow(/No such file/)
})

describe('rights', () => {
  /** Verb and resource, and where it may: `workers`, `control` or `cluster`. */
  const scheduler: [right: string, where: string, isAllowed: boolean][] = [
    ['create pods', 'workers', true],
    ['get pods', 'workers', true],
    ['list pods', 'workers', true],
    ['watch pods', 'workers', true],
    ['delete pods', 'workers', true],
    ['get pods --subresource=log', 'workers', true],
    ['list events', 'workers', true],
    ['create pods --subresource=exec', 'workers', false],
    ['get pods --subresource=exec', 'workers', false],
    ['create pods --subresource=attach', 'workers', false],
    ['create pods --subresource=portforward', 'workers', false],
    ['create pods --subresource=ephemeralcontainers', 'workers', false],
    ['patch pods', 'workers', false],
    ['update pods', 'workers', false],
    ['deletecollection pods', 'workers', false],
    ['get secrets', 'workers', false],
    ['list secrets', 'workers', false],
    ['get configmaps', 'workers', false],
    ['create serviceaccounts --subresource=token', 'workers', false],
    ['create jobs.batch', 'workers', false],
    ['create rolebindings.rbac.authorization.k8s.io', 'workers', false],
    ['get pods', 'control', false],
    ['create pods', 'control', false],
    ['get secrets', 'control', false],
    ['list pods', 'cluster', false],
    ['list nodes', 'cluster', false],
    ['list namespaces', 'cluster', false],
    ['get /openid/v1/jwks', 'cluster', true],
  ]
  test('the scheduler has those that the executor uses, in worker namespaces', async () => {
    expect(await table('control', 'branchline-scheduler', scheduler)).toEqual(scheduler)
  })

  test.each([
    ['control', 'branchline-web'],
    ['workers', 'branchline-worker'],
  ] as const)('in %s, %s has none but to read the keys of tokens', async (home, account) => {
    const none = scheduler.map(([right, where]): [string, string, boolean] => [
      right,
      where,
      right === 'get /openid/v1/jwks',
    ])
    expect(await table(home, account, none)).toEqual(none)
  })

  async function table(home: 'control' | 'workers', account: string, rows: typeof scheduler) {
    const as = `--as=system:serviceaccount:${installation[home].name}:${account}`
    const groups = ['serviceaccounts', `serviceaccounts:${installation[home].name}`, 'authenticated']
    const who = [as, ...groups.map((group) => `--as-group=system:${group}`)]
    return await Promise.all(
      rows.map(async ([right, where]) => {
        const namespace =
          where === 'cluster' ? [] : [`--namespace=${installation[where as 'control' | 'workers'].name}`]
        const scope = where === 'cluster' && !right.includes('/') ? ['--all-namespaces'] : []
        // It exits with 1 where the answer is no.
        const command = ['auth', 'can-i', ...right.split(' '), ...namespace, ...scope, ...who]
        const answer = await cluster.kubectl(command).catch((error: Error) => error.message)
        return [right, where, answer.endsWith('yes')]
      }),
    )
  }
})

describe('health', () => {
  const get = (path: string) =>
    installation.control.kubectl([
      ...['exec', 'deployment/branchline-scheduler', '--container=scheduler', '--', 'node', '--eval'],
      `fetch('http://127.0.0.1:8974${path}').then(async (r) => console.log(r.status, await r.text()))`,
    ])

  test('while Postgres is away the scheduler is not ready and says so; nothing is restarted', async () => {
    const { postgres } = installation
    const before = await schedulerPod()
    expect(await get('/readyz')).toMatch(/^200 \[\+\] lease: held\n\[\+\] dags: loaded\n\[\+\] watch of /)
    await postgres.cut()
    try {
      await eventually('the scheduler is not ready', async () => !(await schedulerPod()).isReady, 60_000)
      expect(await get('/readyz')).toMatch(/^503 \[-\] lease: not renewed: postgres does not answer/)
      expect(await get('/livez')).toMatch(/^200 .*\n\[\+\] lease: turns/)
      expect(await get('/metrics')).toMatch(/^branchline_scheduler_lease_held 0$/m)
    } finally {
      await postgres.mend()
    }
    await eventually('the scheduler is ready', async () => (await schedulerPod()).isReady, 60_000)
    expect(await schedulerPod()).toEqual(before)
  }, 150_000)

  test('metrics tell of pods and watches', async () => {
    await installation.branchline('dags', 'trigger', 'hello', '--run-id', 'counted', '--wait')
    const metrics = await get('/metrics')
    expect(metrics).toMatch(/^branchline_pod_creations_total\{outcome="created"\} [1-9]/m)
    const namespace = installation.workers.name
    expect(metrics).toContain(`branchline_pod_watch_relists_total{namespace="${namespace}"}`)
    expect(metrics).toContain(`branchline_pod_watch_age_seconds{namespace="${namespace}"}`)
  })
})

const missing = clusterPartsMissing()
test.skipIf(missing !== undefined)(
  `a scheduler that stands is started anew by the kubelet${missing === undefined ? '' : ` (skipped: ${missing})`}`,
  async () => {
    const { name, restarts } = await schedulerPod()
    const pid = processOf(name)
    process.kill(pid, 'SIGSTOP')
    await eventually('it runs again', async () => (await schedulerPod()).restarts === restarts + 1, 60_000)
    await eventually('it is ready', async () => (await schedulerPod()).isReady, 60_000)
    const events = await installation.control.kubectl([
      ...[
        'get',
        'events',
        `--field-selector=involvedObject.name=${name}`,
        '--output=jsonpath={.items[*].message}',
      ],
    ])
    expect(events).toMatch(/Container scheduler failed liveness probe, will be restarted/)
    await installation.branchline('dags', 'trigger', 'hello', '--run-id', 'after', '--wait')
  },
  150_000,
)

const sshMissing = sshdMissing()
test.skipIf(sshMissing !== undefined)(
  `with a key in the place of a password, sync and worker pods pull by SSH${sshMissing === undefined ? '' : ` (skipped: ${sshMissing})`}`,
  async () => {
    const { control, workers, repository, branchline } = installation
    await using ssh = await serveGitOverSsh(cluster.address)
    for (const namespace of [control, workers]) {
      await namespace.kubectl([
        ...['create', 'secret', 'generic', 'git-ssh'],
        ...[`--from-file=gitSshKey=${ssh.keyFile}`, `--from-file=known_hosts=${ssh.knownHostsFile}`],
      ])
    }
    const settings = { BRANCHLINE_GIT_SYNC_REPO: ssh.url(repository.path) }
    await installation.configure({ settings, git: 'git-ssh' })
    const commit = await repository.commit(hello('by-ssh'))
    await eventually('it is live', async () =>
      (await branchline('dags', 'show', 'hello', '--json')).includes(commit),
    )
    await branchline('dags', 'trigger', 'hello', '--run-id', 'by-ssh', '--wait')
    expect(await branchline('tasks', 'logs', 'hello', 'by-ssh', 'say')).toContain('by-ssh by-ssh')
  },
  180_000,
)

test('the overlay of the example is one that the API server’s schema takes', async () => {
  const example = resolve(import.meta.dirname, '../../examples/kubernetes/deployment')
  const applied = await cluster.kubectl([
    ...['apply', `--kustomize=${example}`, '--dry-run=client', '--validate=strict'],
  ])
  for (const one of ['deployment.apps/branchline-scheduler', 'namespace/team-a', 'networkpolicy']) {
    expect(applied).toContain(one)
  }
})

async function schedulerPod(): Promise<{ name: string; restarts: number; isReady: boolean }> {
  const { items } = await installation.control.kubectlJson<{ items: Pod[] }>([
    ...['get', 'pods', '--selector=app.kubernetes.io/component=scheduler'],
  ])
  const pod = items.find(({ metadata }) => metadata.deletionTimestamp === undefined)!
  const container = pod.status.containerStatuses.find(({ name }) => name === 'scheduler')!
  return { name: pod.metadata.name, restarts: container.restartCount, isReady: container.ready }
}

interface Pod {
  metadata: { name: string; deletionTimestamp?: string }
  status: { containerStatuses: { name: string; restartCount: number; ready: boolean }[] }
}

/** Of Node in the container `scheduler`, which runs on this machine. */
function processOf(podName: string): number {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  const found = pids.find((pid) => {
    try {
      const environment = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0')
      const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8')
      return environment.includes(`HOSTNAME=${podName}`) && command.endsWith('branchline.js\0scheduler\0')
    } catch {
      return false
    }
  })
  return Number(found)
}

/** A server that answers nobody until it is opened. */
async function openGate(address: string) {
  const waiting: (() => void)[] = []
  const server = createServer((_request, response) => void waiting.push(() => response.end()))
  await new Promise<void>((done) => server.listen(0, address, done))
  return {
    url: `http://${address}:${(server.address() as AddressInfo).port}/`,
    isWaitedFor: () => waiting.length > 0,
    open: () => {
      for (const answer of waiting) answer()
    },
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await new Promise((done) => server.close(done))
    },
  }
}
