// What users of the pod operator suffer from, on a real cluster: sidecars that hang or cut results, pods that are found
// twice or not at all, ends without a reason. Each kind of end in one Dag, so that they happen at once.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Cluster, connectCluster } from '../../support/cluster.ts'
import type { ProgramProcess } from '../../support/deployment.ts'
import { eventually } from '../../support/eventually.ts'
import {
  createKubernetesDeployment,
  type KubernetesDeployment,
  schedulerReady,
} from '../../support/kubernetes-deployment.ts'
import { accountOfPods, restrictedShell } from './pains.ts'

const resultBytes = 50 * 1024 * 1024

const dags = (image: string) => ({
  'dags/operators.ts': `
    import { dag, pod, task } from 'branchline'

    const shell = ${restrictedShell(image)} as const
    const file = '/branchline/xcom/return.json'

    export const ends = dag('ends', {}, () => {
      pod('exits', { ...shell, doXcomPush: true, arguments: ['echo 1 > ' + file + '; exit 3'] })
      pod('out_of_memory', {
        ...shell, doXcomPush: true, containerResources: { limits: { memory: '32Mi' } },
        arguments: ['head -c 200m /dev/zero | tail'],
      })
      pod('not_json', { ...shell, doXcomPush: true, arguments: ['echo "{a: 1}" > ' + file] })
      pod('unreadable', { ...shell, doXcomPush: true, arguments: ['echo 1 > ' + file + '; chmod 0 ' + file] })
      const none = pod('no_result', { ...shell, doXcomPush: true, arguments: ['true'] })
      task('takes_none', { none }, ({ none }, { log }) => log.info('result ' + String(none)))
      pod('short', { ...shell, doXcomPush: true, cmds: ['cp', '/etc/hostname', '/tmp/x'], arguments: null })
      pod('no_image', { ...shell, image: 'localhost/nothing:1' })
      pod('late_start', { ...shell, image: 'localhost/nothing:1', startupTimeoutSeconds: 2, imagePullPolicy: 'IfNotPresent' })
      pod('no_room', { ...shell, containerResources: { requests: { cpu: '1000' } }, scheduleTimeoutSeconds: 2 })
      pod('no_name', { ...shell, arguments: ['{{ params.nothing }}'] })
      pod('goes_on', {
        ...shell, arguments: ['echo done'],
        fullPodSpec: { spec: { containers: [
          { name: 'base' },
          { name: 'proxy', image: '${image}', imagePullPolicy: 'Never', command: ['sleep', '3600'], securityContext: shell.containerSecurityContext },
        ] } },
        terminationGracePeriod: 1,
      })
    })

    export const large = dag('large', {}, () => {
      const made = pod<string>('make', {
        ...shell, doXcomPush: true,
        arguments: ['(printf \\\\"; head -c ${resultBytes - 2} /dev/zero | tr "\\\\0" x; printf \\\\") > ' + file],
      })
      task('measure', { made }, ({ made }, { log }) => log.info('length ' + made.length + ', all x: ' + /^x+$/.test(made)))
    })

    export const exact = dag('exact', {}, () => {
      pod('named', {
        ...shell, name: 'exactly-so', randomNameSuffix: false, retries: 1, retryDelay: '100ms',
        arguments: ['[ {{ try_number }} = 2 ]'],
      })
    })

    export const restarts = dag('restarts', {}, () => {
      pod('once', { ...shell, doXcomPush: true, arguments: ['for i in 1 2 3 4 5 6; do echo $i; sleep 1; done; echo 6 > ' + file] })
    })`,
})

let cluster: Cluster
let deployment: KubernetesDeployment
let scheduler: ProgramProcess

beforeAll(async () => {
  cluster = await connectCluster()
  deployment = await createKubernetesDeployment({
    cluster,
    files: dags(cluster.images.worker),
    env: {
      BRANCHLINE_XCOM_MAX_BYTES: String(resultBytes),
      BRANCHLINE_WORKER_POD_PENDING_FATAL_GRACE: '1s',
    },
  })
  scheduler = await schedulerReady(deployment, 4)
}, 120_000)
afterAll(async () => {
  await deployment?.[Symbol.asyncDispose]()
})

const messages = (dagId: string, taskId: string) => deployment.log(dagId, 'run', taskId).map(({ msg }) => msg)
const podsAreGone = () =>
  eventually('the pods are gone', async () => (await deployment.pods()).length === 0, 90_000)

test('pain 20 and 26: however a pod ends, it ends at once, with its reason, and nothing of it stays', async () => {
  await deployment.trigger('ends', 'run')
  expect(await deployment.ended('ends', 'run', 120_000)).toBe('failed')
  const attempts = await deployment.attempts('ends', 'run')
  const states = Object.fromEntries(attempts.map(({ task_id, state }) => [task_id, state]))
  const errors = Object.fromEntries(
    attempts.map(({ task_id, error }) => [task_id, error === null ? '' : `${error.name}: ${error.message}`]),
  )
  expect(states).toMatchObject({
    no_result: 'success',
    takes_none: 'success',
    short: 'success',
    goes_on: 'success',
  })
  expect(messages('ends', 'takes_none')).toContain('result undefined')
  expect(messages('ends', 'goes_on')).toContain('[base] done')
  expect(errors.exits).toMatch(/exit code 3/)
  expect(errors.out_of_memory).toMatch(/^OOMKilled: /)
  expect(errors.not_json).toMatch(/^XComNotTaken: .*return\.json is not JSON.*It begins with "\{a: 1\}/)
  expect(errors.unreadable).toMatch(/^XComNotTaken: .*return\.json cannot be read.*chmod a\+r/)
  expect(errors.no_image).toMatch(/localhost\/nothing:1/)
  // Which of the two comes first depends on how fast the pull fails.
  expect(errors.late_start).toMatch(/^StartupTimeout: .*within 2 seconds|localhost\/nothing:1/)
  expect(errors.no_room).toMatch(/^ScheduleTimeout: .*no node within 2 seconds.*Insufficient cpu/)
  expect(errors.no_name).toMatch(/there is no field of params 'nothing'/)
  await podsAreGone()
}, 180_000)

test('pain 21: a result of 50 MB arrives whole', async () => {
  await deployment.trigger('large', 'run')
  expect(await deployment.ended('large', 'run', 120_000)).toBe('success')
  expect(messages('large', 'measure')).toContain(`length ${resultBytes - 2}, all x: true`)
  await podsAreGone()
}, 180_000)

test('pain 24: a pod of an exact name is made anew for each attempt', async () => {
  await deployment.trigger('exact', 'run')
  expect(await deployment.ended('exact', 'run', 120_000)).toBe('success')
  const attempts = await deployment.attempts('exact', 'run')
  expect(attempts.map(({ try_number, state }) => [try_number, state])).toEqual([
    [1, 'failed'],
    [2, 'success'],
  ])
  await podsAreGone()
}, 180_000)

test('pain 23: schedulers that are killed while a pod runs leave one pod, one log and the right end', async () => {
  await using account = await accountOfPods(deployment)
  await deployment.trigger('restarts', 'run')
  for (const line of ['[base] 1', '[base] 3']) {
    await eventually('the pod speaks', () => messages('restarts', 'once').includes(line), 60_000)
    scheduler.kill('SIGKILL')
    scheduler = deployment.startScheduler()
  }
  expect(await deployment.ended('restarts', 'run', 120_000)).toBe('success')
  const lines = messages('restarts', 'once').filter((line) => line.startsWith('[base]'))
  expect(lines).toEqual([1, 2, 3, 4, 5, 6].map((n) => `[base] ${n}`))
  await podsAreGone()
  expect([...account.made().values()].map((uids) => uids.size)).toEqual([1])
}, 180_000)
