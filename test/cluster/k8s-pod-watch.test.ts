// The watch of a namespace on a real API server, with a proxy in between that cuts, hangs and answers wrongly. What is
// compared at the end is always the same: the pods that the batches add up to, and those that there are.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { KubernetesClient } from '../../k8s/client/kubernetes-client.ts'
import { createPodWatch, type PodBatch, type PodWatchDeps } from '../../k8s/pod-watch.ts'
import { type Cluster, clusterMissing, connectCluster, type TestNamespace } from '../support/cluster.ts'
import { eventually } from '../support/eventually.ts'
import { clientOf, idlePod, keptLog } from '../support/kubernetes-pods.ts'
import {
  type KubernetesProxy,
  type ProxiedRequest,
  startKubernetesProxy,
} from '../support/kubernetes-proxy.ts'

interface Seen {
  name: string
  uid: string
  isMarked: boolean
}

describe.skipIf(clusterMissing() !== undefined)('a pod watch', () => {
  let cluster: Cluster
  let namespace: TestNamespace
  let direct: KubernetesClient & Disposable
  let proxy: KubernetesProxy
  let through: KubernetesClient & Disposable
  beforeAll(async () => {
    cluster = await connectCluster()
    direct = await clientOf(cluster.kubeconfig)
    proxy = await startKubernetesProxy(cluster.kubeconfig)
    through = await clientOf(proxy.kubeconfig, { requestTimeoutMs: 2_000 })
    namespace = await cluster.createNamespace('watch')
  })
  afterAll(async () => {
    through?.[Symbol.dispose]()
    await proxy?.[Symbol.asyncDispose]()
    await namespace?.[Symbol.asyncDispose]()
    direct?.[Symbol.dispose]()
  })

  /** A watch of the pods with this label, and what its batches add up to, as a database would have it. */
  function startWatch(topic: string, options: Partial<PodWatchDeps<Seen>> = {}) {
    const { log, lines } = keptLog()
    const state = {
      version: null as string | null,
      pods: new Map<string, Seen>(),
      batches: [] as PodBatch<Seen>[],
    }
    const watch = createPodWatch<Seen>({
      client: through,
      namespace: namespace.name,
      labelSelector: `topic=${topic}`,
      resourceVersion: null,
      summarise: ({ metadata }) => ({
        name: metadata!.name!,
        uid: metadata!.uid!,
        isMarked: metadata!.annotations?.mark === 'yes',
      }),
      async apply(batch) {
        state.batches.push(batch)
        if (batch.kind === 'list') state.pods = new Map(batch.pods.map((pod) => [pod.uid, pod]))
        else
          for (const { type, pod } of batch.pods)
            type === 'present' ? state.pods.set(pod.uid, pod) : state.pods.delete(pod.uid)
        state.version = batch.resourceVersion
      },
      log,
      ...options,
    })
    proxy.requests.length = 0
    watch.start()
    const names = () => [...state.pods.values()].map(({ name }) => name).toSorted()
    return { watch, state, lines, names, [Symbol.asyncDispose]: () => watch.stop() }
  }
  const create = (name: string, topic: string) => direct.createPod(namespace.name, idlePod(name, { topic }))
  const remove = (name: string) => direct.deletePod(namespace.name, name, { gracePeriodSeconds: 0 })
  const isWatch = ({ path }: ProxiedRequest) => path.includes('watch=true')
  const isList = ({ method, path }: ProxiedRequest) =>
    method === 'GET' &&
    /\/pods\?/.test(path) &&
    !path.includes('watch=true') &&
    !path.includes('limit=1&') &&
    !path.endsWith('limit=1')
  const reallyThere = async (topic: string) =>
    (await direct.listPods(namespace.name, { labelSelector: `topic=${topic}` })).pods
      .map((pod) => pod.metadata!.name!)
      .toSorted()

  test('begins with a list and goes on with what happens, each with its version', async () => {
    await create('early', 'begin')
    await using one = startWatch('begin')
    await eventually('the list', () => one.names().length === 1)
    await create('late', 'begin')
    await eventually('the new pod', () => one.names().length === 2)
    await remove('early')
    await eventually('the deletion', () => one.names().join() === 'late')
    expect(one.state.batches[0]).toMatchObject({
      kind: 'list',
      resourceVersion: expect.stringMatching(/^\d+$/),
    })
    const versions = one.state.batches.map(({ resourceVersion }) => Number(resourceVersion))
    expect(versions).toEqual(versions.toSorted((a, b) => a - b))
    expect(one.watch.counters).toMatchObject({ relists: 1, expired: 0, reconnects: 0 })
    await remove('late')
  })

  test('goes on from a stored version without a list, and hears what happened meanwhile', async () => {
    await create('stays', 'restart')
    await create('goes', 'restart')
    const first = startWatch('restart')
    await eventually('both pods', () => first.names().length === 2)
    await first.watch.stop()
    await remove('goes')
    await create('comes', 'restart')
    await using second = startWatch('restart', { resourceVersion: first.state.version })
    await eventually('what happened', () => second.names().join() === 'comes')
    const deleted = second.state.batches
      .flatMap((batch) => (batch.kind === 'events' ? batch.pods : []))
      .filter(({ type }) => type === 'deleted')
    expect(deleted.map(({ pod }) => pod.name)).toEqual(['goes'])
    expect(proxy.requests.filter(isList)).toEqual([])
    expect(second.watch.counters.relists).toBe(0)
  })

  test('a version of a future that the API server does not have makes it list', async () => {
    await create('future', 'future')
    await using one = startWatch('future', { resourceVersion: '99999999999' })
    await eventually('the pod', () => one.names().length === 1)
    expect(one.state.batches[0]?.kind).toBe('list')
    expect(one.lines[0]).toMatchObject({ level: 'warn', resource_version: '99999999999' })
  })

  test.each([
    [
      'as an answer',
      {
        status: 410,
        body: JSON.stringify({
          kind: 'Status',
          code: 410,
          reason: 'Expired',
          message: 'too old resource version',
        }),
      },
    ],
    [
      'as an event',
      {
        status: 200,
        body: `${JSON.stringify({ type: 'ERROR', object: { kind: 'Status', code: 410, reason: 'Expired', message: 'too old resource version' } })}\n`,
      },
    ],
    [
      'as an event without a reason',
      {
        status: 200,
        body: `${JSON.stringify({ type: 'ERROR', object: { kind: 'Status', code: 410, message: 'too old resource version' } })}\n`,
      },
    ],
  ])('a version that expires amid the watch, told %s, makes it list and go on', async (name, answer) => {
    const topic = `expired-${name.length}`
    await create(`${topic}-a`, topic)
    await using one = startWatch(topic)
    await eventually('the pod', () => one.names().length === 1)
    await eventually('the stream', () => proxy.requests.some(isWatch))
    let isTold = false
    proxy.faultOf = (request) => {
      if (!isWatch(request) || isTold) return undefined
      isTold = true
      return { answer }
    }
    proxy.cut()
    await create(`${topic}-b`, topic)
    await eventually('the second pod', () => one.names().length === 2)
    await eventually('the list', () => one.watch.counters.relists === 2)
    expect(one.watch.counters.expired).toBe(1)
    await create(`${topic}-c`, topic)
    await eventually('the third pod', () => one.names().length === 3)
  })

  test('nothing is lost where the stream is cut again and again', { timeout: 120_000 }, async () => {
    let seed = 7
    const random = (most: number) => {
      seed = (seed * 16_807) % 2_147_483_647
      return seed % most
    }
    await using one = startWatch('cuts')
    await eventually('the first list', () => one.state.batches.length > 0)
    proxy.faultOf = (request) => (isWatch(request) ? { cutAfterBytes: 4_000 + random(12_000) } : undefined)
    proxy.cut()
    for (let index = 0; index < 60; index += 1) {
      await create(`cut-${index}`, 'cuts')
      if (index % 3 === 0) await direct.deletePod(namespace.name, `cut-${index}`, { gracePeriodSeconds: 0 })
      if (index % 7 === 0) proxy.cut()
    }
    await eventually('all of it', async () => one.names().join() === (await reallyThere('cuts')).join())
    proxy.faultOf = () => undefined
    expect(one.names()).toHaveLength(40)
    expect(one.watch.counters.relists).toBe(1)
    expect(one.watch.counters.reconnects).toBeGreaterThan(10)
    const deletions = one.state.batches
      .flatMap((batch) => (batch.kind === 'events' ? batch.pods : []))
      .filter(({ type }) => type === 'deleted')
    expect(new Set(deletions.map(({ pod }) => pod.name)).size).toBe(20)
  })

  test('a stream that hangs without end is dropped, and the age tells of it meanwhile', async () => {
    await using one = startWatch('hang', { watchSeconds: 1, marginMs: 500 })
    await eventually('the stream', () => one.state.batches.length > 0 && proxy.requests.some(isWatch))
    proxy.hang()
    await create('unheard', 'hang')
    await eventually('the age', () => one.watch.ageMs() > 1_600)
    expect(one.names()).toEqual([])
    const attempts = proxy.requests.length
    await eventually('another attempt', () => proxy.requests.length > attempts)
    await proxy.mend()
    await eventually('the pod', () => one.names().length === 1)
    expect(one.watch.ageMs()).toBeLessThan(1_600)
  })

  test('a server that is away is told once, and once when it is back; what happened meanwhile is heard', async () => {
    await using one = startWatch('away')
    await eventually('the stream', () => one.state.batches.length > 0 && proxy.requests.some(isWatch))
    await proxy.close()
    await create('meanwhile', 'away')
    await eventually('the failure', () => one.lines.some(({ msg }) => msg === 'pod watch is interrupted'))
    await eventually('more failures', () => one.watch.ageMs() > 1_500)
    await proxy.mend()
    await eventually('the pod', () => one.names().join() === 'meanwhile')
    expect(one.lines.map(({ level, msg }) => [level, msg])).toEqual([
      ['warn', 'pod watch is interrupted'],
      ['info', 'pod watch is back'],
    ])
  })

  test('a missing right is told, and the watch begins when it is there', async () => {
    const refusal = {
      status: 403,
      body: JSON.stringify({
        kind: 'Status',
        code: 403,
        reason: 'Forbidden',
        message: 'pods is forbidden: User "u" cannot list',
      }),
    }
    proxy.faultOf = () => ({ answer: refusal })
    await using one = startWatch('rights')
    const line = await eventually('the warning', () => one.lines[0])
    expect(line).toMatchObject({ level: 'warn', err: expect.stringContaining('pods is forbidden') })
    expect(one.watch.trouble()).toBe(line.err)
    proxy.faultOf = () => undefined
    await eventually('the list', () => one.state.batches.length > 0)
    await eventually('no trouble', () => one.watch.trouble() === null)
  })

  test('a list comes now and then, and agrees', async () => {
    await create('listed', 'relist')
    await using one = startWatch('relist', { relistIntervalMs: 1_000 })
    await eventually('the third list', () => one.watch.counters.relists >= 3)
    expect(one.names()).toEqual(['listed'])
    expect(one.watch.counters.expired).toBe(0)
  })

  test('a slow database gets the newest of each pod, not a queue of old ones', async () => {
    await create('busy', 'slow')
    const gate = Promise.withResolvers<void>()
    const applied: PodBatch<Seen>[] = []
    await using one = startWatch('slow', {
      async apply(batch) {
        applied.push(batch)
        if (applied.length === 1) await gate.promise
      },
    })
    await eventually('the list', () => applied.length === 1)
    const version = async () =>
      Number((await direct.readPod(namespace.name, 'busy'))!.metadata!.resourceVersion)
    for (const mark of ['no', 'maybe', 'yes'])
      await namespace.kubectl(['annotate', 'pod', 'busy', `mark=${mark}`, '--overwrite'])
    await eventually('the events', () => one.watch.counters.events >= 3)
    gate.resolve()
    await eventually('the second batch', () => applied.length === 2)
    expect(applied[1]).toMatchObject({
      kind: 'events',
      pods: [{ type: 'present', pod: { name: 'busy', isMarked: true } }],
    })
    expect(Number(applied[1]!.resourceVersion)).toBe(await version())
  })
})
