// Why pods wait, asked of an API server that knows events: once for a whole namespace, then about those with a warning.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { activePod } from '../../../../scheduler/executors/kubernetes/active-pod.ts'
import { createPodWarnings } from '../../../../scheduler/executors/kubernetes/pod-warnings.ts'
import { eventually } from '../../../support/eventually.ts'
import { clientOf } from '../../../support/kubernetes-pods.ts'
import { taskManifest } from '../../decide/graphs.ts'

interface SeenEvent {
  uid: string
  type: 'Warning' | 'Normal'
  reason: string
  at: string
}

let directory: string
let server: ReturnType<typeof createServer>
let events: SeenEvent[]
/** Field selectors of the questions, in their order. */
let asked: string[]

beforeEach(async () => {
  events = []
  asked = []
  server = createServer((request, response) => {
    const selector = new URL(request.url!, 'http://server').searchParams.get('fieldSelector')!
    asked.push(selector)
    const uid = /involvedObject\.uid=(.*)/.exec(selector)?.[1]
    const items = events
      .filter((event) => (uid === undefined ? event.type === 'Warning' : event.uid === uid))
      .map(({ uid, type, reason, at }) => ({
        involvedObject: { uid },
        type,
        reason,
        message: `${reason} happened`,
        lastTimestamp: at,
        metadata: {},
      }))
    response.setHeader('content-type', 'application/json').end(JSON.stringify({ items }))
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  directory = mkdtempSync(join(tmpdir(), 'branchline-warnings-'))
})
afterEach(() => {
  server.close()
  rmSync(directory, { recursive: true, force: true })
})

function client() {
  const kubeconfig = join(directory, 'config')
  const { port } = server.address() as AddressInfo
  const config = {
    clusters: [{ name: 'c', cluster: { server: `http://127.0.0.1:${port}` } }],
    users: [{ name: 'u', user: {} }],
    contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
    'current-context': 'x',
  }
  writeFileSync(kubeconfig, JSON.stringify(config))
  return clientOf(kubeconfig)
}

function podWith(uid: string) {
  const key = { dag_run_id: 1, task_id: uid, map_index: -1, try_number: 1 }
  const place = { dag_id: 'd', run_id: 'r', task_id: uid, map_index: -1, try_number: 1 }
  const pod = activePod({
    ...{ key, token: 't', place, task: taskManifest(uid), kind: 'task', namespace: 'n', podName: uid },
    row: null,
  })
  pod.row = { uid } as never
  return pod
}

test('a namespace is asked once, whatever the number of pods, and again no sooner than after five seconds', async () => {
  using kubernetes = await client()
  const warned: string[] = []
  const warnings = createPodWarnings({ client: kubernetes, onWarning: (pod) => warned.push(pod.podName) })
  const pods = Array.from({ length: 300 }, (_, n) => podWith(`u-${n}`))
  const now = Date.now()
  warnings.ask(pods, now)
  warnings.ask(pods, now)
  await eventually('the question', () => asked.length > 0)
  warnings.ask(pods, now + 4_000)
  expect(asked).toEqual(['involvedObject.kind=Pod,type=Warning'])
  expect(warned).toEqual([])
})

test('of a pod with a warning its own events are read, and one that came past it is not told', async () => {
  using kubernetes = await client()
  events = [
    { uid: 'stuck', type: 'Normal', reason: 'Scheduled', at: '2026-01-01T00:00:00Z' },
    { uid: 'stuck', type: 'Warning', reason: 'FailedMount', at: '2026-01-01T00:00:01Z' },
    { uid: 'past', type: 'Warning', reason: 'FailedMount', at: '2026-01-01T00:00:00Z' },
    { uid: 'past', type: 'Normal', reason: 'Pulling', at: '2026-01-01T00:00:01Z' },
  ]
  const warned: string[] = []
  const warnings = createPodWarnings({
    client: kubernetes,
    onWarning: (pod, { name, message }) => warned.push(`${pod.podName}: ${name}: ${message}`),
  })
  warnings.ask([podWith('stuck'), podWith('past'), podWith('quiet')], Date.now())
  await eventually('all questions', () => asked.length === 3)
  await eventually('a warning', () => warned.length > 0)
  expect(warned).toEqual(['stuck: FailedMount: FailedMount happened'])
})
