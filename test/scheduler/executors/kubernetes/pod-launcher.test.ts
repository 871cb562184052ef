// Creating pods, against an API server that answers what each test wants: what is pushed back waits and is sent again,
// what is refused is told, a name that is taken is looked at, and no more is sent than may be.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { KubernetesClient } from '../../../../k8s/client/kubernetes-client.ts'
import type { V1Pod } from '../../../../runtime/kubernetes-types.ts'
import { activePod } from '../../../../scheduler/executors/kubernetes/active-pod.ts'
import {
  createPodLauncher,
  type LaunchedPod,
  type PodLauncher,
} from '../../../../scheduler/executors/kubernetes/pod-launcher.ts'
import { createTokenBucket } from '../../../../scheduler/executors/kubernetes/token-bucket.ts'
import { eventually } from '../../../support/eventually.ts'
import { clientOf } from '../../../support/kubernetes-pods.ts'
import { taskManifest } from '../../decide/graphs.ts'

interface Answer {
  status: number
  body: object
  headers?: Record<string, string>
}
/** Undefined: never. */
type Answering = (name: string, request: IncomingMessage) => Answer | undefined | Promise<Answer | undefined>

let directory: string
let server: ReturnType<typeof createServer>
let client: KubernetesClient & Disposable
let launcher: PodLauncher
let answerCreate: Answering
let answerRead: Answering
/** Names in the order in which their creates came. */
let creates: string[]
/** What the launcher told: `created a u-a`. */
let told: string[]
let mayCreate: boolean

const refusal = (status: number, reason: string, message: string, headers = {}): Answer => ({
  status,
  headers,
  body: { kind: 'Status', status: 'Failure', code: status, reason, message },
})
const made = (name: string): Answer => ({ status: 201, body: { metadata: { name, uid: `u-${name}` } } })
const taken = () => refusal(409, 'AlreadyExists', 'pods already exists')
const quota = () => refusal(403, 'Forbidden', 'pods "a" is forbidden: exceeded quota: small')

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  const isCreate = request.method === 'POST'
  const name = isCreate
    ? (JSON.parse(Buffer.concat(chunks).toString()) as V1Pod).metadata!.name!
    : request.url!.split('/').at(-1)!
  if (isCreate) creates.push(name)
  const given = await (isCreate ? answerCreate : answerRead)(name, request)
  if (given === undefined) return
  response.writeHead(given.status, { 'content-type': 'application/json', ...given.headers })
  response.end(JSON.stringify(given.body))
}

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'branchline-launcher-'))
  answerCreate = made
  answerRead = () => refusal(404, 'NotFound', 'not found')
  creates = []
  told = []
  mayCreate = true
  server = createServer((request, response) => void answer(request, response))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const config = {
    clusters: [{ name: 'c', cluster: { server: url } }],
    contexts: [{ name: 'c', context: { cluster: 'c' } }],
    'current-context': 'c',
  }
  writeFileSync(join(directory, 'config'), JSON.stringify(config))
  client = await clientOf(join(directory, 'config'))
  launcher = launcherOf()
})
afterEach(async () => {
  server.closeAllConnections()
  await launcher.stop()
  client.close()
  server.close()
  rmSync(directory, { recursive: true })
})

function launcherOf(limits: { concurrency?: number; rate?: number; burst?: number } = {}): PodLauncher {
  return createPodLauncher({
    client,
    concurrency: 8,
    rate: 1_000,
    burst: 1_000,
    ...limits,
    mayCreate: () => mayCreate,
    whose: (existing) => (existing.metadata?.labels?.whose ?? 'unknown') as 'its own' | "another attempt's",
    onCreated: ({ podName }, uid) => void told.push(`created ${podName} ${uid}`),
    onPushedBack: ({ podName }, { message }) => void told.push(`pushed back ${podName} ${message}`),
    onRefused: ({ podName }, error) => void told.push(`refused ${podName} ${(error as Error).message}`),
  })
}

function launched(name: string, priorityWeight = 1): LaunchedPod {
  const key = { dag_run_id: 1, task_id: name, map_index: -1, try_number: 1 }
  const active = activePod({
    key,
    token: 'token',
    place: { dag_id: 'd', run_id: 'r', ...key },
    task: { ...taskManifest(name), priority_weight: priorityWeight },
    kind: 'task',
    namespace: 'dags',
    podName: name,
    row: null,
  })
  return { active, manifest: { metadata: { name } } }
}
const idOf = (name: string) => launched(name).active.attemptId
/** So many tries: after four of each the next one is seconds away. */
const pushedBack = (count: number) =>
  eventually(
    'many tries',
    () => told.filter((line) => line.startsWith('pushed back')).length === count,
    10_000,
  )
const hasTold = (what: string) => eventually(what, () => told.some((line) => line.startsWith(what)))

test('a pod is created, and its uid told', async () => {
  launcher.launch([launched('a')])
  await hasTold('created a u-a')
  expect(creates).toEqual(['a'])
})

test('the same attempt twice is one create', async () => {
  answerCreate = (name) => (name === 'a' ? undefined : made(name))
  launcher.launch([launched('a'), launched('a')])
  launcher.launch([launched('a'), launched('b')])
  await hasTold('created b')
  expect(creates).toEqual(['a', 'b'])
})

test('what is pushed back is told with its words, and sent again until it is taken', async () => {
  answerCreate = (name) => (creates.length < 3 ? quota() : made(name))
  launcher.launch([launched('a')])
  await hasTold('created a')
  expect(creates).toEqual(['a', 'a', 'a'])
  expect(told[0]).toMatch(/^pushed back a .*exceeded quota: small/)
})

test('where one is taken, the next that waits is sent, and when room becomes free, without its time of waiting', async () => {
  let room = 0
  answerCreate = (name) => {
    room -= 1
    return room >= 0 ? made(name) : quota()
  }
  const names = ['a', 'b', 'c', 'd']
  launcher.launch(names.map((name) => launched(name, name === 'c' ? 9 : 1)))
  await pushedBack(4 * 4)
  creates.length = 0
  room = 2
  launcher.tryNext('elsewhere')
  launcher.tryNext('dags')
  await eventually('a refusal again', () => creates.length >= 3, 1_000)
  expect(creates[0]).toBe('c')
  expect(told.filter((line) => line.startsWith('created'))).toHaveLength(2)
})

test('one that is too large for the room that there is does not keep the others from it', async () => {
  let hasRoom = false
  answerCreate = (name) => (hasRoom && name !== 'large' ? made(name) : quota())
  launcher.launch([launched('large', 9), launched('a'), launched('b')])
  await pushedBack(3 * 4)
  creates.length = 0
  hasRoom = true
  launcher.tryNext()
  await eventually('both fit', () => told.filter((line) => line.startsWith('created')).length === 2, 1_000)
  expect(creates[0]).toBe('large')
})

test('where there is no room few are tried', async () => {
  answerCreate = quota
  const names = Array.from({ length: 20 }, (_, n) => `p${n}`)
  launcher.launch(names.map((name) => launched(name)))
  await pushedBack(20 * 4)
  creates.length = 0
  launcher.tryNext('dags')
  await expect(eventually('a fifth', () => creates.length > 4, 150)).rejects.toThrow()
  expect(creates).toHaveLength(4)
})

test('one that is cancelled while the pod of its name is looked at is answered for, and not sent again', async () => {
  const release = Promise.withResolvers<void>()
  answerCreate = taken
  answerRead = async () => {
    await release.promise
    return { status: 200, body: { metadata: { name: 'a', labels: { whose: "another attempt's" } } } }
  }
  launcher.launch([launched('a')])
  await eventually('it is under way', () => creates.length === 1)
  expect(launcher.withdraw(idOf('a'))).toBe(true)
  release.resolve()
  await hasTold('refused a')
})

test('a lost answer is no failure: the pod that has the name is the attempt’s own', async () => {
  answerCreate = (_name, request) => {
    if (creates.length > 1) return taken()
    request.socket.destroy()
    return undefined
  }
  answerRead = () => ({
    status: 200,
    body: { metadata: { name: 'a', uid: 'u-found', labels: { whose: 'its own' } } },
  })
  launcher.launch([launched('a')])
  await hasTold('created a u-found')
})

test('a name that a stranger has is a refusal', async () => {
  answerCreate = taken
  answerRead = () => ({ status: 200, body: { metadata: { name: 'a', uid: 'u-other' } } })
  launcher.launch([launched('a')])
  await hasTold('refused a')
})

test('a name that another attempt has is waited for', async () => {
  answerCreate = (name) => (creates.length > 1 ? made(name) : taken())
  answerRead = () => ({
    status: 200,
    body: { metadata: { name: 'a', labels: { whose: "another attempt's" } } },
  })
  launcher.launch([launched('a')])
  await hasTold('created a u-a')
  expect(told[0]).toMatch(/^pushed back a .*another attempt is still there/)
})

test('a name that is free again when it is looked at is asked for again', async () => {
  answerCreate = (name) => (creates.length > 1 ? made(name) : taken())
  launcher.launch([launched('a')])
  await hasTold('created a u-a')
})

test('what is refused is told once, with the server’s words', async () => {
  answerCreate = () => refusal(422, 'Invalid', 'spec.containers: Required value')
  launcher.launch([launched('a')])
  await hasTold('refused a')
  expect(told).toEqual([expect.stringMatching(/spec\.containers: Required value/)])
  expect(creates).toEqual(['a'])
})

test('where the server asks for a pause nothing is sent for as long', async () => {
  answerCreate = (name) =>
    creates.length === 1 ? refusal(429, 'TooManyRequests', 'slow', { 'retry-after': '1' }) : made(name)
  launcher.launch([launched('a')])
  await hasTold('pushed back a')
  const since = performance.now()
  launcher.launch([launched('b')])
  await hasTold('created b')
  expect(performance.now() - since).toBeGreaterThan(800)
})

test('no more requests are under way than may be, and the heaviest come first', async () => {
  const release = Promise.withResolvers<void>()
  answerCreate = async (name) => {
    await release.promise
    return made(name)
  }
  launcher = launcherOf({ concurrency: 2 })
  launcher.launch([launched('a'), launched('light', 1), launched('heavy', 9), launched('b', 5)])
  await eventually('two are under way', () => creates.length === 2)
  expect(creates).toEqual(['heavy', 'b'])
  release.resolve()
  await eventually('all are created', () => told.length === 4)
  expect(creates).toEqual(['heavy', 'b', 'a', 'light'])
})

test('after the burst so many are sent in a second', async () => {
  launcher = launcherOf({ rate: 10, burst: 2 })
  const since = performance.now()
  launcher.launch(['a', 'b', 'c', 'd', 'e'].map((name) => launched(name)))
  await eventually('all are created', () => told.length === 5)
  expect(performance.now() - since).toBeGreaterThan(250)
})

test('nothing is sent while the lease may be another’s', async () => {
  mayCreate = false
  launcher.launch([launched('a')])
  await expect(eventually('a create', () => creates.length > 0, 300)).rejects.toThrow()
  mayCreate = true
  await hasTold('created a')
})

test('one that was never sent is withdrawn for certain', async () => {
  mayCreate = false
  launcher.launch([launched('a')])
  expect(launcher.withdraw(idOf('a'))).toBe(false)
  mayCreate = true
  launcher.launch([launched('b')])
  await hasTold('created b')
  expect(creates).toEqual(['b'])
})

test('one that is under way may exist when it is withdrawn, and is answered for', async () => {
  const release = Promise.withResolvers<void>()
  answerCreate = async (name) => {
    await release.promise
    return made(name)
  }
  launcher.launch([launched('a')])
  await eventually('it is under way', () => creates.length === 1)
  expect(launcher.withdraw(idOf('a'))).toBe(true)
  release.resolve()
  await hasTold('created a')
})

test('one that is pushed back after it was withdrawn is not sent again, but told', async () => {
  const release = Promise.withResolvers<void>()
  answerCreate = async () => {
    await release.promise
    return quota()
  }
  launcher.launch([launched('a')])
  await eventually('it is under way', () => creates.length === 1)
  expect(launcher.withdraw(idOf('a'))).toBe(true)
  release.resolve()
  await hasTold('refused a')
  expect(creates).toEqual(['a'])
})

test('a launcher that is stopped sends nothing more and waits for what is under way', async () => {
  const release = Promise.withResolvers<void>()
  answerCreate = async (name) => {
    await release.promise
    return made(name)
  }
  launcher = launcherOf({ concurrency: 1 })
  launcher.launch([launched('a'), launched('b')])
  await eventually('one is under way', () => creates.length === 1)
  const stopped = launcher.stop()
  release.resolve()
  await stopped
  expect(told).toEqual(['created a u-a'])
  expect(creates).toEqual(['a'])
})

test('a token bucket lets a burst through, and then one at a time, and is never fuller than its burst', () => {
  const bucket = createTokenBucket({ rate: 10, burst: 2 })
  expect([bucket.take(0), bucket.take(0), bucket.take(0)]).toEqual([0, 0, 100])
  expect(bucket.take(50)).toBe(50)
  expect(bucket.take(100)).toBe(0)
  expect([bucket.take(10_000), bucket.take(10_000), bucket.take(10_000)]).toEqual([0, 0, 100])
  // A clock that goes back takes nothing away.
  expect(bucket.take(5_000)).toBe(100)
})
