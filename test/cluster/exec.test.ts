// `branchline exec`, `pods logs --container` and `pods cleanup` against real pods, as a person has them: by a kubeconfig
// of their own, in a terminal or in a pipe. The launch ledger has the rows that a scheduler would have written.
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { observePod } from '../../k8s/pod-observation.ts'
import type { V1Pod } from '../../runtime/kubernetes-types.ts'
import { programPath } from '../../runtime/programs.ts'
import { type CliOptions, cli, startCli } from '../cli/cli-process.ts'
import { pod as observed } from '../k8s/observations.ts'
import { type Cluster, connectCluster, type TestNamespace } from '../support/cluster.ts'
import { eventually } from '../support/eventually.ts'
import { startInTerminal } from '../support/pseudo-terminal.ts'
import { type Api, startApi } from '../web/api-fixture.ts'
import { insertDag, insertPod, insertRun, insertTaskInstance } from '../web/rows.ts'

const tasks = ['work', 'waits', 'stale', 'gone', 'local', 'killed']

let cluster: Cluster
let namespace: TestNamespace
let api: Api
let dagRunId: number
let directory: string

beforeAll(async () => {
  cluster = await connectCluster()
  namespace = await cluster.createNamespace('exec')
  directory = await mkdtemp(join(tmpdir(), 'branchline-exec-'))
  api = await startApi()
  await insertDag(api.db, 'flow', { edges: Object.fromEntries(tasks.map((task) => [task, []])) })
  dagRunId = await insertRun(api.db, 'flow', 'one')
  for (const task of tasks) await insertTaskInstance(api.db, dagRunId, task, 'running')
  await createPod('work-1', {
    containers: [
      container('base', 'echo from base; sleep 3600'),
      container('shipper', 'echo from shipper; sleep 3600'),
    ],
  })
  const waits = { nodeSelector: { 'no-such': 'node' }, containers: [container('base', 'true')] }
  await createPod('waits-1', waits)
  const seen = await eventually('both pods', async () => {
    const [work, unscheduled] = await Promise.all([podOf('work-1'), podOf('waits-1')])
    const isUp = work.status?.containerStatuses?.every(({ state }) => state?.running !== undefined)
    return isUp && unscheduled.status?.conditions?.length ? { work, unscheduled } : undefined
  })
  const of = { namespace: namespace.name }
  await insertPod(api.db, dagRunId, 'work', { ...of, observation: observePod(seen.work) })
  await insertPod(api.db, dagRunId, 'waits', { ...of, observation: observePod(seen.unscheduled) })
  // The API has seen it last when it waited for its image.
  await insertPod(api.db, dagRunId, 'stale', { ...of, podName: 'work-2', observation: observed({}) })
  await insertPod(api.db, dagRunId, 'gone', { ...of, observation: observed({}), isGone: true })
})
afterAll(async () => {
  await api?.[Symbol.asyncDispose]()
  await namespace?.[Symbol.asyncDispose]()
  await rm(directory, { recursive: true, force: true })
})

function container(name: string, script: string): object {
  const command = ['/bin/sh', '-c', `trap 'exit 0' TERM; ${script.replace(/sleep \d+/, '$& & wait')}`]
  return { name, image: cluster.images.worker, imagePullPolicy: 'Never', command }
}

async function createPod(name: string, spec: object, labels: Record<string, string> = {}): Promise<void> {
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels },
    spec: { restartPolicy: 'Never', ...spec },
  }
  await namespace.kubectl(['create', '--filename=-'], { input: JSON.stringify(pod) })
}

const podOf = (name: string) => namespace.kubectlJson<V1Pod>(['get', 'pod', name])

const environment = () => ({ KUBECONFIG: cluster.kubeconfig })
const options = (more: CliOptions = {}): CliOptions => ({ url: api.url, env: environment(), ...more })
const exec = (args: readonly string[], more: CliOptions = {}) => cli(['exec', ...args], options(more))

const execInTerminal = (task: string) =>
  `${process.execPath} ${programPath('branchline')} exec flow ${task} -- sh`
const terminalOptions = () => ({
  env: { ...environment(), PATH: process.env.PATH, HOME: directory, BRANCHLINE_API_URL: api.url },
})

test('a command gets its output to both pipes, and its exit code to the caller', async () => {
  const script = 'echo out; echo err >&2; exit 7'
  const { code, stdout, stderr } = await exec(['flow', 'work', '--', 'sh', '-c', script])
  expect({ code, stdout }).toEqual({ code: 7, stdout: 'out\n' })
  expect(stderr.split('\n')).toEqual([
    `run one, work try 1: container base of pod ${namespace.name}/work-1`,
    'err',
    '',
  ])
})

test('standard input is handed on to its end with -i, and not at all without', async () => {
  const input = 'x'.repeat(3 * 1024 * 1024)
  const counted = await exec(['-i', 'flow', 'work', '--', 'wc', '-c'], { input })
  expect(counted).toMatchObject({ code: 0, stdout: `${input.length}\n` })
  expect(await exec(['flow', 'work', '--', 'cat'], { input: 'unread' })).toMatchObject({
    code: 0,
    stdout: '',
  })
})

test('output is as large as the command makes it', async () => {
  const { stdout } = await exec([
    'flow',
    'work',
    '--',
    'sh',
    '-c',
    'head -c 5000000 /dev/zero | tr "\\\\0" x',
  ])
  expect(stdout.length).toBe(5_000_000)
})

test('in a terminal the command has one too, with its size, its keys and its end; it is given back after that', async () => {
  const command = `${execInTerminal('work')}; code=$?; stty --all; exit $code`
  await using terminal = await startInTerminal(command, terminalOptions())
  await eventually('a prompt', () => /[$#] $/.test(terminal.shown()))
  terminal.press('stty size; tty\r')
  await eventually('the size', () => terminal.shown().includes('33 101'))
  expect(terminal.shown()).toContain('/dev/pts/')
  terminal.resize(120, 44)
  await eventually('the new size', () => {
    terminal.press('stty size\r')
    return terminal.shown().includes('44 120')
  })
  terminal.press('sleep 1000; echo "ended with $?"\r')
  await eventually('the command', () => terminal.shown().includes('sleep 1000'))
  terminal.press('\x03')
  await eventually('a new prompt', () => {
    terminal.press('echo go""ne on\r')
    return terminal.shown().includes('gone on')
  })
  terminal.press('exit 5\r')
  expect(await terminal.result).toBe(5)
  const settings = terminal.shown().slice(terminal.shown().lastIndexOf('speed'))
  expect(settings).toMatch(/^isig icanon /m)
  expect(settings).toMatch(/ echo /)
})

test('a pod that goes away ends the session, says so, and leaves the terminal as it was', async () => {
  await createPod('killed-1', { containers: [container('base', 'sleep 3600')] })
  const observation = await eventually('it runs', async () => {
    const found = await podOf('killed-1')
    return found.status?.phase === 'Running' ? observePod(found) : undefined
  })
  await insertPod(api.db, dagRunId, 'killed', { namespace: namespace.name, observation })
  await using terminal = await startInTerminal(
    `${execInTerminal('killed')}; code=$?; stty --all; exit $code`,
    terminalOptions(),
  )
  await eventually('a prompt', () => /[$#] $/.test(terminal.shown()))
  await namespace.kubectl(['delete', 'pod', 'killed-1', '--grace-period=1'])
  expect(await terminal.result).toBe(137)
  expect(terminal.shown()).toContain('the command was killed, as it is when its container ends: see ')
  expect(terminal.shown()).toMatch(/^isig icanon /m)
})

test('a terminal that is asked for where there is none is refused', async () => {
  const { code, stderr } = await exec(['-t', 'flow', 'work', '--', 'sh'])
  expect({ code, stderr }).toEqual({
    code: 2,
    stderr: 'branchline: --tty needs a terminal at standard input: leave it out, and add -i for a pipe\n',
  })
})

test('ctrl-C without a terminal ends it with 130', async () => {
  await using started = startCli(['exec', 'flow', 'work', '--', 'sh', '-c', 'echo up; sleep 1000'], options())
  await eventually('the command', () => started.stdout().includes('up'))
  started.child.kill('SIGINT')
  expect(await started.result).toMatchObject({ code: 130 })
})

test('a container is chosen by its name, and a misspelt one is not found', async () => {
  const { stdout } = await exec(['-c', 'shipper', 'flow', 'work', '--', 'sh', '-c', 'echo $0 is in', 'me'])
  expect(stdout).toBe('me is in\n')
  expect(await exec(['-c', 'shiper', 'flow', 'work', '--', 'sh'])).toMatchObject({
    code: 3,
    stderr: `branchline: pod ${namespace.name}/work-1 has no container 'shiper'. Did you mean 'shipper'? It has: base, shipper\n`,
  })
})

test('a pod that does not run is told in its own words', async () => {
  const waits = await exec(['flow', 'waits', '--', 'sh'])
  expect(waits).toMatchObject({ code: 5, stdout: '' })
  expect(waits.stderr).toMatch(
    /is not running: .*: Unschedulable: no node takes it: 0\/1 nodes are available/,
  )
  const gone = await exec(['flow', 'gone', '--', 'sh'])
  expect(gone.stderr).toContain('is not running: container base of')
  expect(gone.stderr).toContain('Deleted: it was deleted before it ran')
  const local = await exec(['flow', 'local', '--', 'sh'])
  expect(local).toMatchObject({
    code: 5,
    stderr: "branchline: attempt 1 of task 'local' has no pod: its executor is 'local', on host-1\n",
  })
})

test('a pod that runs by now, though the API has not seen it, is asked of the cluster', async () => {
  await createPod('work-2', { containers: [container('base', 'sleep 3600')] })
  await eventually('it runs', async () => (await podOf('work-2')).status?.phase === 'Running')
  expect(await exec(['flow', 'stale', '--', 'echo', 'here'])).toMatchObject({ code: 0, stdout: 'here\n' })
})

test('a command that is not there is refused in the words of the container runtime', async () => {
  const { code, stderr } = await exec(['flow', 'work', '--', 'no-such-command'])
  expect(code).not.toBe(0)
  expect(stderr).toContain('no-such-command')
})

/** A kubeconfig of a service account with these rules, each `verbs resources`. */
async function kubeconfigOf(
  account: string,
  rules: { verbs: string[]; resources: string[] }[],
): Promise<string> {
  await namespace.kubectl(['create', 'serviceaccount', account])
  const meta = { name: account, namespace: namespace.name }
  const role = {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'Role',
    metadata: meta,
    rules: rules.map((rule) => ({ apiGroups: [''], ...rule })),
  }
  const binding = {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'RoleBinding',
    metadata: meta,
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: account },
    subjects: [{ kind: 'ServiceAccount', ...meta }],
  }
  for (const object of [role, binding]) {
    await namespace.kubectl(['create', '--filename=-'], { input: JSON.stringify(object) })
  }
  const token = await namespace.kubectl(['create', 'token', account])
  const config = JSON.parse(
    await cluster.kubectl(['config', 'view', '--raw', '--minify', '--flatten', '-o', 'json']),
  )
  config.users = [{ name: account, user: { token } }]
  config.contexts[0].context.user = account
  const file = join(directory, `${account}.json`)
  await writeFile(file, JSON.stringify(config))
  return file
}

test('who may not is told the rule that is missing, and with it alone may', async () => {
  const none = await kubeconfigOf('nobody', [])
  const refused = await exec(['flow', 'work', '--kubeconfig', none, '--', 'true'])
  expect(refused.code).toBe(1)
  expect(refused.stderr).toMatch(/system:serviceaccount:exec-\w+:nobody/)
  expect(refused.stderr).toContain(
    `by a Role of namespace '${namespace.name}' with the rule {apiGroups: [""], resources: [pods/exec], verbs: [get, create]}`,
  )
  const some = await kubeconfigOf('somebody', [{ resources: ['pods/exec'], verbs: ['get', 'create'] }])
  expect(await exec(['flow', 'work', '--kubeconfig', some, '--', 'true'])).toMatchObject({ code: 0 })
})

test('without a kubeconfig it says where it looked', async () => {
  const { code, stderr } = await exec(['flow', 'work', '--', 'sh'], { env: { HOME: '/nowhere' } })
  expect(code).toBe(2)
  expect(stderr).toContain('/nowhere/.kube/config')
})

test('pods logs prints what any container wrote', async () => {
  const logs = (...args: string[]) => cli(['pods', 'logs', 'flow', 'work', ...args], options())
  expect(await logs('-c', 'shipper')).toMatchObject({ code: 0, stdout: 'from shipper\n', stderr: '' })
  expect(await logs('-c', 'shiper')).toMatchObject({
    code: 3,
    stderr: expect.stringContaining("Did you mean 'shipper'?"),
  })
  const gone = await cli(['pods', 'logs', 'flow', 'gone', '-c', 'base'], options())
  expect(gone).toMatchObject({ code: 5, stderr: expect.stringContaining('tasks logs flow one gone') })
  await using following = startCli(['pods', 'logs', 'flow', 'work', '-c', 'base', '-f'], options())
  await eventually('the first line', () => following.stdout() === 'from base\n')
  following.child.kill('SIGINT')
  expect(await following.result).toMatchObject({ code: 130 })
})

test('pods cleanup deletes what has ended of this deployment, and nothing whose attempt goes on', async () => {
  const { rows } = await api.db.query<{ deployment_id: string }>('select deployment_id from deployment')
  const ours = { 'branchline.dev/deployment_id': rows[0]!.deployment_id }
  const quick = { containers: [container('base', 'true')] }
  await createPod('ended-1', quick, ours)
  await createPod('unknown-1', quick, ours)
  await createPod('needed-1', quick, ours)
  await createPod('others-1', quick, { 'branchline.dev/deployment_id': 'another' })
  await createPod('runs-1', { containers: [container('base', 'sleep 3600')] }, ours)
  const names = ['ended-1', 'unknown-1', 'needed-1', 'others-1']
  await eventually('their ends', async () =>
    (await Promise.all(names.map(podOf))).every(({ status }) => status?.phase === 'Succeeded'),
  )
  const of = { namespace: namespace.name }
  const id = await insertRun(api.db, 'flow', 'two')
  await insertPod(api.db, id, 'work', { ...of, podName: 'ended-1', state: 'ended' })
  await insertPod(api.db, id, 'local', { ...of, podName: 'needed-1' })
  const cleanup = async (...args: string[]) => {
    const flags = ['--namespace', namespace.name, '--min-completed-minutes', '0', '--json', ...args]
    const { code, stdout, stderr } = await cli(['pods', 'cleanup', ...flags], options())
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    const told = JSON.parse(stdout).pods as { pod_name: string; action: string; reason: string }[]
    return told.toSorted((a, b) => a.pod_name.localeCompare(b.pod_name))
  }
  const left = {
    pod_name: 'needed-1',
    action: 'left',
    reason: 'attempt 1 of local in flow two has not ended; Completed',
  }
  expect(await cleanup('--dry-run')).toMatchObject([
    { pod_name: 'ended-1', action: 'would be deleted', reason: 'Completed' },
    left,
    { pod_name: 'unknown-1', action: 'would be deleted' },
  ])
  expect(await cleanup()).toMatchObject([
    { pod_name: 'ended-1', action: 'deleted' },
    left,
    { pod_name: 'unknown-1', action: 'deleted' },
  ])
  const present = await eventually('their deletion', async () => {
    const { items } = await namespace.kubectlJson<{ items: V1Pod[] }>(['get', 'pods'])
    const all = items.map(({ metadata }) => metadata!.name)
    return all.includes('ended-1') || all.includes('unknown-1') ? undefined : all
  })
  expect(present).toEqual(expect.arrayContaining(['needed-1', 'others-1', 'runs-1']))
  expect(await cleanup()).toMatchObject([left])
})
