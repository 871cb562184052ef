// Pain 18: logs that stop when a stream breaks. The log of a pod of any image is whole, and its end told once, where the
// API server refuses, hangs or fails on the way, and where the scheduler is another one.
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { type Cluster, connectCluster } from '../../support/cluster.ts'
import { dagsLoaded, type ProgramProcess } from '../../support/deployment.ts'
import { eventually } from '../../support/eventually.ts'
import { createKubernetesDeployment, type KubernetesDeployment } from '../../support/kubernetes-deployment.ts'
import {
  type KubernetesProxy,
  type ProxyFault,
  startKubernetesProxy,
} from '../../support/kubernetes-proxy.ts'
import { explainFailure, numberedLines, restrictedShell } from './pains.ts'

const dags = (image: string) => ({
  'dags/containers.ts': `
    import { dag, pod } from 'branchline'

    const shell = {
      ...${restrictedShell(image)},
      containerNameLogPrefixEnabled: false, logEventsOnStartup: false, retries: 0,
    } as const
    const count = 'for i in $(seq 40); do echo "line $i"; sleep 0.05; done'

    export const lines = dag('lines', {}, () => {
      pod('write', { ...shell, arguments: [count] })
    })

    export const beside = dag('beside', {}, () => {
      pod('write', {
        ...shell, arguments: ['sleep 4'], containerLogs: ['beside'], terminationGracePeriod: 1,
        fullPodSpec: { spec: { containers: [
          { name: 'base' },
          {
            name: 'beside', image: shell.image, imagePullPolicy: 'Never', command: ['bash', '-c', count + '; sleep 100'],
            securityContext: shell.containerSecurityContext,
          },
        ] } },
      })
    })

    export const overtime = dag('overtime', {}, () => {
      pod('write', {
        ...shell, executionTimeout: '5s', terminationGracePeriod: 5, arguments: [count + '; trap "" TERM; sleep 100'],
      })
    })

    export const told = dag('told', {}, () => {
      pod('write', {
        ...shell, arguments: ['exit 3'], logEventsOnFailure: true,
        callbacks: {
          async onPodCompletion({ log }) {
            log.info('completion begins')
            await new Promise((done) => setTimeout(done, 4000))
          },
        },
      })
    })`,
})

let cluster: Cluster
let deployment: KubernetesDeployment
let proxy: KubernetesProxy
let scheduler: ProgramProcess

beforeAll(async () => {
  cluster = await connectCluster()
  deployment = await createKubernetesDeployment({ cluster, files: dags(cluster.images.worker) })
  proxy = await startKubernetesProxy(cluster.kubeconfig)
  scheduler = start()
  await dagsLoaded(deployment, 4)
}, 120_000)
beforeEach(() => {
  explainFailure(deployment)
  proxy.faultOf = () => undefined
})
afterAll(async () => {
  await deployment?.[Symbol.asyncDispose]()
  await proxy?.[Symbol.asyncDispose]()
})

const start = () => deployment.startScheduler({ BRANCHLINE_KUBERNETES_CONFIG_FILE: proxy.kubeconfig })
const messages = (dagId: string, runId: string) => deployment.log(dagId, runId, 'write').map(({ msg }) => msg)
const isLog = ({ path }: { path: string }) => path.includes('/log?')
const failure = (code: number, reason: string) => ({
  answer: {
    status: code,
    body: JSON.stringify({
      kind: 'Status',
      apiVersion: 'v1',
      status: 'Failure',
      code,
      reason,
      message: reason,
    }),
  },
})

/** The first stream of a log meets this, and no other. */
function onFirstLog(fault: ProxyFault): { made: number } {
  const faults = { made: 0 }
  proxy.faultOf = (request) => {
    if (!isLog(request) || faults.made > 0) return undefined
    faults.made += 1
    return fault
  }
  return faults
}

test('a log that may not be read at first is read when it may', async () => {
  const faults = onFirstLog(failure(403, 'Forbidden'))
  await deployment.trigger('lines', 'refused')
  expect(await deployment.ended('lines', 'refused', 60_000)).toBe('success')
  expect(faults.made).toBe(1)
  expect(messages('lines', 'refused')).toEqual(numberedLines(40))
})

test('a stream that hangs while the container ends holds its end for a moment only', async () => {
  onFirstLog({ hangAfterBytes: 500 })
  await deployment.trigger('lines', 'hung')
  expect(await deployment.ended('lines', 'hung', 30_000)).toBe('success')
  expect(messages('lines', 'hung')).toEqual(numberedLines(40))
})

test('what a container that goes on has written is asked for again where the API server fails', async () => {
  let failed = 0
  proxy.faultOf = (request) => {
    if (!isLog(request)) return undefined
    if (request.path.includes('follow=true')) return { hangAfterBytes: 200 }
    failed += 1
    return failed > 2 ? undefined : failure(500, 'InternalError')
  }
  await deployment.trigger('beside', 'run')
  expect(await deployment.ended('beside', 'run', 60_000)).toBe('success')
  expect(messages('beside', 'run')).toEqual(numberedLines(40))
  expect(failed).toBeGreaterThan(2)
})

test('a stream that hangs is noticed before the pod that is told to end is gone, and its log with it', async () => {
  onFirstLog({ hangAfterBytes: 500 })
  await deployment.trigger('overtime', 'run')
  expect(await deployment.ended('overtime', 'run', 60_000)).toBe('failed')
  expect(messages('overtime', 'run').filter((line) => line.startsWith('line '))).toEqual(numberedLines(40))
})

test('the end of an attempt is told once, also where another scheduler goes on with it', async () => {
  await deployment.trigger('told', 'run')
  await eventually('its callback runs', () => messages('told', 'run').includes('completion begins'), 40_000)
  scheduler.kill('SIGTERM')
  await scheduler.exited
  scheduler = start()
  expect(await deployment.ended('told', 'run', 60_000)).toBe('failed')
  const lines = messages('told', 'run').filter((line) => line !== 'completion begins')
  expect(lines.filter((line) => line.startsWith('PodFailed'))).toHaveLength(1)
  expect(lines.filter((line) => line.startsWith('event '))).not.toHaveLength(0)
  expect(lines).toEqual([...new Set(lines)])
})
