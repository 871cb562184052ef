// `pod()` on a real cluster: a pod of any image is the task. Its output is the attempt's log, its exit code the outcome,
// and what it leaves in a file its result.
import { renameSync, rmSync, writeFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Cluster, connectCluster } from '../support/cluster.ts'
import type { ProgramProcess } from '../support/deployment.ts'
import { eventually } from '../support/eventually.ts'
import {
  createKubernetesDeployment,
  type KubernetesDeployment,
  schedulerReady,
} from '../support/kubernetes-deployment.ts'

const restricted = `{
  securityContext: { runAsNonRoot: true, runAsUser: 50000 },
  containerSecurityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
}`

const dags = (image: string) => ({
  'dags/operators.ts': `
    import { dag, pod, task } from 'branchline'

    const shell = { image: '${image}', imagePullPolicy: 'Never', cmds: ['bash', '-c'], ...${restricted} } as const

    export const results = dag('results', { params: { who: 'world' } }, () => {
      const made = pod<{ greeting: string }>('make', {
        ...shell, doXcomPush: true,
        arguments: ['echo "hello {{ params.who }}"; echo "{\\\\"greeting\\\\": \\\\"hi {{ params.who }}\\\\"}" > /airflow/xcom/return.json'],
      })
      task('read', { made }, ({ made }, { log }) => log.info('greeting ' + made.greeting))
    })

    export const outcomes = dag('outcomes', {}, () => {
      pod('skips', { ...shell, arguments: ['exit 99'], skipOnExitCode: 99 })
      pod('fails', { ...shell, arguments: ['echo before; echo "no luck" >&2; exit 3'] })
      pod('late', { ...shell, arguments: ['echo started; sleep 60'], executionTimeout: '2s', terminationGracePeriod: 1 })
    })

    export const lines = dag('lines', {}, () => {
      pod('many', { ...shell, arguments: ['for i in $(seq 5000); do echo "line $i"; [ $((i % 500)) != 0 ] || sleep 0.5; done'], containerNameLogPrefixEnabled: false, logEventsOnStartup: false })
    })`,
})

let cluster: Cluster
let deployment: KubernetesDeployment
let scheduler: ProgramProcess

beforeAll(async () => {
  cluster = await connectCluster()
  deployment = await createKubernetesDeployment({ cluster, files: dags(cluster.images.worker) })
  scheduler = await schedulerReady(deployment, 3)
})
afterAll(async () => {
  await deployment?.[Symbol.asyncDispose]()
})

const messages = (dagId: string, taskId: string) => deployment.log(dagId, 'run', taskId).map(({ msg }) => msg)

test('a pod has its output in the log, and its result goes to the next task', async () => {
  await deployment.trigger('results', 'run')
  expect(await deployment.ended('results', 'run', 90_000)).toBe('success')
  expect(messages('results', 'make')).toContain('[base] hello world')
  expect(messages('results', 'read')).toContain('greeting hi world')
  await eventually('the pods are gone', async () => (await deployment.pods()).length === 0, 60_000)
})

test('exit codes skip or fail, and a timeout ends the pod', async () => {
  await deployment.trigger('outcomes', 'run')
  expect(await deployment.ended('outcomes', 'run', 90_000)).toBe('failed')
  const attempts = await deployment.attempts('outcomes', 'run')
  expect(Object.fromEntries(attempts.map(({ task_id, state }) => [task_id, state]))).toEqual({
    skips: 'skipped',
    fails: 'failed',
    late: 'failed',
  })
  const errors = Object.fromEntries(attempts.map(({ task_id, error }) => [task_id, error?.message]))
  expect(errors.fails).toContain('exit code 3')
  expect(errors.late).toContain('execution timeout')
  expect(messages('outcomes', 'fails')).toEqual(expect.arrayContaining(['[base] before', '[base] no luck']))
  expect(messages('outcomes', 'late')).toContain('[base] started')
  await eventually('the pods are gone', async () => (await deployment.pods()).length === 0, 60_000)
})

test('every line is kept once and in order, also when the scheduler is killed and the disk fails meanwhile', async () => {
  await deployment.trigger('lines', 'run')
  await eventually('the first lines', () => messages('lines', 'many').length > 600, 30_000)
  scheduler.kill('SIGKILL')
  scheduler = deployment.startScheduler()
  await eventually('it goes on', () => messages('lines', 'many').length > 1_600, 30_000)
  renameSync(deployment.logsDir, `${deployment.logsDir}-away`)
  writeFileSync(deployment.logsDir, 'no directory')
  await delay(3_000)
  rmSync(deployment.logsDir)
  renameSync(`${deployment.logsDir}-away`, deployment.logsDir)
  expect(await deployment.ended('lines', 'run', 90_000)).toBe('success')
  expect(messages('lines', 'many')).toEqual(Array.from({ length: 5_000 }, (_, n) => `line ${n + 1}`))
})
