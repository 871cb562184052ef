// What commands tell of pods by the API alone; test/cluster/exec.test.ts has what they ask of a cluster.
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { attemptLogPath } from '../../../runtime/log-line.ts'
import { programPath } from '../../../runtime/programs.ts'
import { ended, pod, running } from '../../k8s/observations.ts'
import { startInTerminal } from '../../support/pseudo-terminal.ts'
import { type Api, startApi } from '../../web/api-fixture.ts'
import { insertDag, insertPod, insertRun, insertTaskInstance } from '../../web/rows.ts'
import { cli } from '../cli-process.ts'

let api: Api
const branchline = (...args: string[]) => cli(args, { url: api.url })

beforeAll(async () => {
  api = await startApi()
  const { db } = api
  await insertDag(db, 'daily', { edges: { extract: [], load: ['extract'], report: [], train: [] } })
  const older = await insertRun(db, 'daily', 'older', 'failed')
  await insertTaskInstance(db, older, 'extract', 'failed')
  await insertPod(db, older, 'extract', {
    podName: 'older-extract',
    state: 'deleted',
    isGone: true,
    memoryPeakBytes: 536_000_000,
    observation: pod({ phase: 'Failed', containers: [ended('base', 137, 'OOMKilled')] }),
  })
  const newer = await insertRun(db, 'daily', 'newer')
  await insertTaskInstance(db, newer, 'extract', 'running')
  await insertTaskInstance(db, newer, 'load', 'queued')
  await insertPod(db, newer, 'extract', {
    observation: pod({ phase: 'Running', containers: [running('base')] }),
  })
  await insertPod(db, newer, 'load', {
    state: 'planned',
    waiting: { reason: 'Forbidden', message: 'exceeded quota: small' },
  })
  await insertTaskInstance(db, newer, 'train', 'running')
  await insertPod(db, newer, 'train', { kind: 'job', state: 'ended', podName: 'train-job' })
  const place = { dag_id: 'daily', run_id: 'newer', task_id: 'extract', map_index: -1, try_number: 1 }
  const path = attemptLogPath(api.logsDir, place)
  await mkdir(dirname(path), { recursive: true })
  const line = { ts: '2026-01-02T03:04:05.678Z', level: 'info', stream: 'task', msg: 'counting' }
  await writeFile(path, `${JSON.stringify(line)}\n`)
})
afterAll(async () => {
  await api?.[Symbol.asyncDispose]()
})

test('tasks show tells each attempt with its pod, and why that is as it is', async () => {
  const { code, stdout, stderr } = await branchline('tasks', 'show', 'daily', 'older', 'extract')
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  const queued = /queued +(.*)/.exec(stdout)![1]!
  expect(stdout.replace(queued, 'then')).toMatchInlineSnapshot(`
    "task_id   extract
    dag_id    daily
    run_id    older
    kind      task
    after     -
    state     ✗ failed
    attempts  1 of at most 2
    result    -

    attempt 1  ✗ failed  1.25s
      queued    then
      started   2026-01-02 03:04:05
      ended     2026-01-02 03:04:06
      executor  local on host-1, process 4711
      pod       jobs/older-extract (gone)
      node      node-1
      status    OOMKilled: container base ran out of memory (OOMKilled, exit code 137, SIGKILL)
      memory    512 MiB at most
      error     Error: no luck
    "
  `)
  const json = await branchline('tasks', 'show', 'daily', 'latest', 'load', '--json')
  expect(JSON.parse(json.stdout)).toMatchObject({
    task_id: 'load',
    attempts: [{ pod: { status: 'Forbidden' } }],
  })
})

test('tasks show tells why an attempt does not run yet, and of one without attempts that there are none', async () => {
  const waiting = await branchline('tasks', 'show', 'daily', 'latest', 'load')
  expect(waiting.stdout).toMatch(
    /^ {2}status +Forbidden: it could not be created yet: exceeded quota: small$/m,
  )
  const none = await branchline('tasks', 'show', 'daily', 'latest', 'report')
  expect(none.stdout).toMatch(/^attempts +none$/m)
})

test('pods list shows what is there, and with --all what is gone', async () => {
  const { code, stdout, stderr } = await branchline('pods', 'list')
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  const columns = (text: string) =>
    text
      .trimEnd()
      .split('\n')
      .map((line) => line.split(/ {2,}/))
  const rows = columns(stdout)
  expect(rows[0]).toEqual(['pod', 'dag_id', 'run_id', 'task_id', 'try', 'status', 'node', 'age', 'message'])
  expect(rows.slice(1).map(([name, dag, run, task, , status]) => [name, dag, run, task, status])).toEqual([
    ['jobs/extract-1', 'daily', 'newer', 'extract', 'Running'],
    ['jobs/load-1', 'daily', 'newer', 'load', 'Forbidden'],
    ['jobs/train-job', 'daily', 'newer', 'train', 'Deleted'],
  ])
  expect(rows[2]!.at(-1)).toBe('it could not be created yet: exceeded quota: small')
  const all = columns((await branchline('pods', 'list', 'daily', '--all')).stdout)
  expect(all.map(([name]) => name)).toEqual([
    'pod',
    'jobs/extract-1',
    'jobs/load-1',
    'jobs/train-job',
    'jobs/older-extract',
  ])
})

test('pods list is narrowed by run and namespace, and gives the JSON of the API', async () => {
  const older = await branchline('pods', 'list', 'daily', '--run', 'older')
  expect(older).toMatchObject({ code: 0, stdout: '', stderr: expect.stringContaining('--all shows') })
  const json = await branchline('pods', 'list', 'daily', '--run', 'older', '--all', '-o', 'json')
  expect(JSON.parse(json.stdout)).toMatchObject({ total_entries: 1, pods: [{ exit_code: 137 }] })
  const elsewhere = await branchline('pods', 'list', '--namespace', 'other', '--json')
  expect(JSON.parse(elsewhere.stdout).pods).toEqual([])
  const latest = await branchline('pods', 'list', '--run', 'latest')
  expect(latest).toMatchObject({ code: 2, stderr: expect.stringContaining('name the Dag too') })
})

test('pods logs prints the log that is kept', async () => {
  expect(await branchline('pods', 'logs', 'daily', 'extract')).toMatchObject({
    code: 0,
    stdout: '03:04:05.678 INFO  counting\n',
  })
  expect(await branchline('pods', 'logs', 'daily', 'extract', '--try', '2')).toMatchObject({
    code: 3,
    stderr: expect.stringContaining('has no attempt 2: there is 1'),
  })
  expect(await branchline('pods', 'logs', 'daily', 'extract', '--context', 'x')).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('--container'),
  })
})

test("a job's pods are not taken for the attempt's own", async () => {
  for (const words of [
    ['exec', 'daily', 'train', '--', 'sh'],
    ['pods', 'logs', 'daily', 'train', '-c', 'base'],
  ]) {
    expect(await branchline(...words)).toMatchObject({
      code: 5,
      stderr: expect.stringContaining('kubectl --namespace jobs get pods --selector job-name=train-job'),
    })
  }
})

test('ctrl-C ends exec while it waits for an API server that does not answer', async () => {
  const asked = Promise.withResolvers<void>()
  const silent = createServer(() => asked.resolve())
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
  const directory = await mkdtemp(join(tmpdir(), 'branchline-pods-'))
  const file = join(directory, 'kubeconfig.json')
  const server = `https://127.0.0.1:${(silent.address() as AddressInfo).port}`
  const config = {
    'current-context': 'it',
    contexts: [{ name: 'it', context: { cluster: 'it', user: 'it' } }],
    clusters: [{ name: 'it', cluster: { server, 'insecure-skip-tls-verify': true } }],
    users: [{ name: 'it', user: { token: 'none' } }],
  }
  await writeFile(file, JSON.stringify(config))
  const env = { PATH: process.env.PATH, HOME: directory, BRANCHLINE_API_URL: api.url, KUBECONFIG: file }
  const command = `exec ${process.execPath} ${programPath('branchline')} exec daily extract -- sh`
  await using terminal = await startInTerminal(command, { env })
  await asked.promise
  terminal.press('\x03')
  expect(await terminal.result).toBe(130)
  silent.close()
  await rm(directory, { recursive: true })
})

test('a number of minutes that is none, or too small, is refused', async () => {
  expect(await branchline('pods', 'cleanup', '--min-pending-minutes', '1')).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('Write a number of minutes from 5.'),
  })
})

test('completion knows the Dags and tasks of exec and pods logs', async () => {
  const { stdout } = await branchline('__complete', 'branchline exec daily ')
  expect(stdout).toContain('extract\trunning\n')
  const logs = await branchline('__complete', 'branchline pods logs da')
  expect(logs.stdout).toMatch(/^daily\t/)
  const runs = await branchline('__complete', 'branchline exec daily extract --run ')
  expect(runs.stdout.split('\n')).toEqual(['latest\tthe newest run', 'newer\trunning', 'older\tfailed', ''])
  expect((await branchline('__complete', 'branchline pods list --output ')).stdout).toBe('table\t\njson\t\n')
})
