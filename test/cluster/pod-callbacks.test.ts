// Callbacks of `pod()` on a real cluster: each stage is told once to code of the Dag, which runs beside the scheduler and
// decides nothing; and when the scheduler is killed, the next one says so and goes on.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Cluster, connectCluster } from '../support/cluster.ts'
import type { ProgramProcess } from '../support/deployment.ts'
import { eventually } from '../support/eventually.ts'
import {
  createKubernetesDeployment,
  type KubernetesDeployment,
  schedulerReady,
} from '../support/kubernetes-deployment.ts'

const dags = (image: string) => ({
  'dags/greeting.txt': 'words of the commit',
  'dags/callbacks.ts': `
    import { readFileSync } from 'node:fs'
    import { dag, pod, type PodCallbackCall } from 'branchline'

    const shell = {
      image: '${image}', imagePullPolicy: 'Never', cmds: ['bash', '-c'],
      securityContext: { runAsNonRoot: true, runAsUser: 50000 },
      containerSecurityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
    } as const
    const say = (name: string) => ({ pod, log }: PodCallbackCall) =>
      log.info(name, { pod: pod?.metadata?.name, phase: pod?.status?.phase, isTerminating: pod?.metadata?.deletionTimestamp !== undefined })
    const all = {
      onPodManifestCreated: say('onPodManifestCreated'),
      onPodCreation: say('onPodCreation'),
      onPodStarting: say('onPodStarting'),
      onPodCompletion: say('onPodCompletion'),
      onPodTeardown: say('onPodTeardown'),
      onPodCleanup: say('onPodCleanup'),
      on_operator_resuming: say('onOperatorResuming'),
    }

    export const stages = dag('stages', { params: { who: 'world' } }, () => {
      pod('watched', {
        ...shell, arguments: ['for i in 1 2 3; do echo "line $i"; done; sleep 1'],
        callbacks: [all, { onPodStarting: ({ context }) => {
          console.log('hello ' + context.params.who + ', ' + context.taskId + ' ' + context.tryNumber)
          console.log(readFileSync('dags/greeting.txt', 'utf8'))
          console.log('database ' + (process.env.BRANCHLINE_DATABASE_URL ?? 'unknown'))
          throw new Error('which fails no task')
        } }],
        progressCallback: ({ line, container }) => console.log('progress ' + container + ' ' + line),
      })
    })

    export const killed = dag('killed', {}, () => {
      pod('watched', { ...shell, arguments: ['echo running; sleep 12'], callbacks: { ...all,
        onPodStarting: ({ log }) => { log.info('onPodStarting', { pid: process.pid }); for (;;); } } })
    })

    export const refused = dag('refused', {}, () => {
      pod('watched', { ...shell, arguments: ['true'], serviceAccountName: 'nobody', callbacks: all })
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

const lines = (dagId: string) => deployment.log(dagId, 'run', 'watched')
const messages = (dagId: string) => lines(dagId).map(({ msg }) => msg)
/** The names of the stages that the callbacks logged, in order. */
const stages = (dagId: string) => messages(dagId).filter((msg) => /^on[A-Z]\w+$/.test(msg))

test('each stage is told once, in order, with the pod of that time', async () => {
  await deployment.trigger('stages', 'run')
  expect(await deployment.ended('stages', 'run', 90_000)).toBe('success')
  // It was asked to end by what is told before the end of the attempt.
  expect(stages('stages')).toEqual(expect.arrayContaining(['onPodCompletion', 'onPodTeardown']))
  await eventually('the cleanup is told', () => stages('stages').includes('onPodCleanup'), 60_000)
  expect(stages('stages')).toEqual([
    'onPodManifestCreated',
    'onPodCreation',
    'onPodStarting',
    'onPodCompletion',
    'onPodTeardown',
    'onPodCleanup',
  ])
  const [made, created, starting, completed] = lines('stages').filter(({ msg }) => /^on[A-Z]\w+$/.test(msg))
  expect(made).toMatchObject({ callback: 'onPodManifestCreated', stream: 'log' })
  expect(made!.phase).toBeUndefined()
  expect(created!.pod).toBe(made!.pod)
  expect(starting).toMatchObject({ phase: 'Running', isTerminating: false })
  expect(completed).toMatchObject({ pod: made!.pod, isTerminating: false })
  const said = messages('stages')
  expect(said).toEqual(
    expect.arrayContaining(['hello world, watched 1', 'words of the commit', 'database unknown']),
  )
  expect(said.filter((msg) => msg.startsWith('progress'))).toEqual(
    [1, 2, 3].map((n) => `progress base line ${n}`),
  )
  const warning = lines('stages').find(({ level }) => level === 'warn')
  expect(warning!.msg).toContain(
    'callback onPodStarting failed, which changes nothing else: Error: which fails no task',
  )
  expect(warning!.msg).toContain('dags/callbacks.ts:')
})

test('a scheduler that is killed takes its callbacks with it, and the next one resumes', async () => {
  await deployment.trigger('killed', 'run')
  await eventually('the pod has started', () => stages('killed').includes('onPodStarting'), 60_000)
  const { pid } = lines('killed').find(({ msg }) => msg === 'onPodStarting') as unknown as { pid: number }
  scheduler.kill('SIGKILL')
  await eventually('the callback ended with it', () => isGone(pid), 10_000)
  scheduler = deployment.startScheduler()
  expect(await deployment.ended('killed', 'run', 120_000)).toBe('success')
  await eventually('the cleanup is told', () => stages('killed').includes('onPodCleanup'), 60_000)
  const told = stages('killed')
  expect(told.slice(told.indexOf('onOperatorResuming'))).toEqual([
    'onOperatorResuming',
    'onPodManifestCreated',
    'onPodCreation',
    'onPodStarting',
    'onPodCompletion',
    'onPodTeardown',
    'onPodCleanup',
  ])
  expect(messages('killed')).toContainEqual(
    expect.stringContaining('it took longer than 30 s, and was killed'),
  )
  expect(await deployment.attempts('killed', 'run')).toHaveLength(1)
})

test('of a pod that cannot be created only its end is told', async () => {
  await deployment.trigger('refused', 'run')
  expect(await deployment.ended('refused', 'run', 60_000)).toBe('failed')
  await eventually('the cleanup is told', () => stages('refused').includes('onPodCleanup'), 60_000)
  expect(stages('refused')).toEqual(['onPodManifestCreated', 'onPodTeardown', 'onPodCleanup'])
})

function isGone(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return false
  } catch {
    return true
  }
}
