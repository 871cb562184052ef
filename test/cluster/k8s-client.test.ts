// What our client says to a real API server, and what it makes of its answers; and of those of a proxy that breaks them.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { KubernetesClient, PodPage } from '../../k8s/client/kubernetes-client.ts'
import { connectKubernetes } from '../../k8s/connect.ts'
import { isAlreadyExists, isForbidden, isNotFound, pushBackOf } from '../../k8s/kubernetes-error.ts'
import { parseYaml } from '../../k8s/yaml.ts'
import { type Cluster, clusterMissing, connectCluster, type TestNamespace } from '../support/cluster.ts'
import { eventually } from '../support/eventually.ts'
import { clientOf, idlePod } from '../support/kubernetes-pods.ts'
import { type ProxyFault, startKubernetesProxy } from '../support/kubernetes-proxy.ts'

describe.skipIf(clusterMissing() !== undefined)('the Kubernetes client', () => {
  let cluster: Cluster
  let namespace: TestNamespace
  let client: KubernetesClient & Disposable
  let folder: string
  beforeAll(async () => {
    cluster = await connectCluster()
    namespace = await cluster.createNamespace('client')
    client = await clientOf(cluster.kubeconfig)
    folder = mkdtempSync(join(tmpdir(), 'k8s-client-'))
  })
  afterAll(async () => {
    client?.[Symbol.dispose]()
    await namespace?.[Symbol.asyncDispose]()
    if (folder !== undefined) rmSync(folder, { recursive: true })
  })
  const failureOf = (call: Promise<unknown>) =>
    call.then(
      () => undefined,
      (error: unknown) => error,
    )

  /** The cluster's server and authority, with another user. */
  function kubeconfigWith(user: object): string {
    const config = parseYaml(readFileSync(cluster.kubeconfig, 'utf8'), 'the kubeconfig') as {
      users: { user: object }[]
    }
    config.users[0]!.user = user
    const file = join(folder, `config-${Math.random()}`)
    writeFileSync(file, JSON.stringify(config))
    return file
  }

  async function tokenOf(account: string): Promise<string> {
    await namespace.kubectl(['create', 'serviceaccount', account])
    return (await namespace.kubectl(['create', 'token', account])).trim()
  }

  test('a pod is created once, read, found by its label and deleted', async () => {
    const pod = await client.createPod(namespace.name, idlePod('one', { topic: 'once' }))
    expect(pod.metadata?.uid).toBeTypeOf('string')
    const again = await failureOf(client.createPod(namespace.name, idlePod('one')))
    expect(isAlreadyExists(again)).toBe(true)
    expect(pushBackOf(again)).toBeNull()
    expect((await client.readPod(namespace.name, 'one'))?.metadata?.uid).toBe(pod.metadata?.uid)
    const found = await client.listPods(namespace.name, { labelSelector: 'topic=once' })
    expect(found.pods.map((one) => one.metadata?.name)).toEqual(['one'])
    expect(await client.deletePod(namespace.name, 'one', { uid: 'another', gracePeriodSeconds: 0 })).toBe(
      false,
    )
    expect(
      await client.deletePod(namespace.name, 'one', { uid: pod.metadata!.uid!, gracePeriodSeconds: 0 }),
    ).toBe(true)
    expect(await client.deletePod(namespace.name, 'one')).toBe(false)
    expect(await client.readPod(namespace.name, 'one')).toBeUndefined()
  })

  test('a dry run says what the server would, and keeps nothing', async () => {
    const pod = await client.createPod(namespace.name, idlePod('dry'), { dryRun: true })
    expect(pod.spec?.restartPolicy).toBe('Always')
    expect(await client.readPod(namespace.name, 'dry')).toBeUndefined()
    const refusal = await failureOf(client.createPod(namespace.name, idlePod('Dry'), { dryRun: true }))
    expect(refusal).toMatchObject({
      status: 422,
      reason: 'Invalid',
      message: expect.stringMatching(/^create pod client-\w+\/Dry: Pod "Dry" is invalid: metadata\.name/),
    })
    expect(pushBackOf(refusal)).toBeNull()
  })

  test('a namespace that does not exist is named', async () => {
    const error = await failureOf(client.createPod('client-none', idlePod('one')))
    expect(isNotFound(error)).toBe(true)
    expect(error).toMatchObject({ message: 'create pod client-none/one: namespaces "client-none" not found' })
  })

  test('a long list comes in pages of one state', async () => {
    const names = Array.from({ length: 25 }, (_, index) => `page-${String(index).padStart(2, '0')}`)
    await Promise.all(
      names.map((name) => client.createPod(namespace.name, idlePod(name, { topic: 'pages' }))),
    )
    const pages: PodPage[] = []
    for await (const page of client.listPodPages(namespace.name, {
      labelSelector: 'topic=pages',
      pageSize: 10,
    }))
      pages.push(page)
    expect(pages.map(({ pods }) => pods.length)).toEqual([10, 10, 5])
    expect(new Set(pages.map(({ resourceVersion }) => resourceVersion)).size).toBe(1)
    expect(pages.flatMap(({ pods }) => pods.map((pod) => pod.metadata?.name)).toSorted()).toEqual(names)
    await Promise.all(names.map((name) => client.deletePod(namespace.name, name, { gracePeriodSeconds: 0 })))
  })

  test('64 creates are in flight at once, and cost little', async () => {
    const count = 512
    let next = 0
    const before = process.cpuUsage()
    const began = performance.now()
    await Promise.all(
      Array.from({ length: 64 }, async () => {
        while (next < count)
          await client.createPod(namespace.name, idlePod(`many-${next++}`, { topic: 'many' }))
      }),
    )
    const seconds = (performance.now() - began) / 1000
    const { user, system } = process.cpuUsage(before)
    console.log(
      `${Math.round(count / seconds)} creates/s, ${((user + system) / 1000 / count).toFixed(2)} ms CPU each`,
    )
    expect((user + system) / 1000 / count).toBeLessThan(2)
    expect((await client.listPods(namespace.name, { labelSelector: 'topic=many' })).pods).toHaveLength(count)
    await namespace.kubectl([
      'delete',
      'pods',
      '--selector=topic=many',
      '--wait=false',
      '--grace-period=0',
      '--force',
    ])
  })

  test('an account without rights is told which one it lacks, and canI knows it before', async () => {
    using restricted = await clientOf(kubeconfigWith({ token: await tokenOf('restricted') }))
    const error = await failureOf(restricted.createPod(namespace.name, idlePod('one')))
    expect(isForbidden(error)).toBe(true)
    expect(pushBackOf(error)).toBeNull()
    expect(error).toMatchObject({
      message: expect.stringMatching(
        /^create pod .* cannot create resource "pods" in API group "" in the namespace "client-/,
      ),
    })
    const right = { verb: 'create', resource: 'pods', namespace: namespace.name }
    expect(await restricted.canI(right)).toMatchObject({ isAllowed: false })
    expect(await client.canI(right)).toMatchObject({ isAllowed: true })
    await namespace.kubectl(['create', 'role', 'log-reader', '--verb=get', '--resource=pods/log'])
    await namespace.kubectl([
      'create',
      'rolebinding',
      'log-reader',
      '--role=log-reader',
      `--serviceaccount=${namespace.name}:restricted`,
    ])
    const log = { verb: 'get', resource: 'pods', subresource: 'log', namespace: namespace.name }
    await eventually('the right', async () => (await restricted.canI(log)).isAllowed)
  })

  test('a used-up quota is push-back, a pod that a quota cannot count is not', async () => {
    await using small = await cluster.createNamespace('client-quota')
    await client.createPod(small.name, idlePod('one'))
    await client.createPod(small.name, idlePod('two'))
    await small.kubectl(['create', 'quota', 'few', '--hard=pods=2'])
    // The API server hears of a quota, and of what it counts, a moment later.
    const error = await eventually(
      'a quota that is used up',
      async () => {
        const refusal = await failureOf(client.createPod(small.name, idlePod('three'), { dryRun: true }))
        return String(refusal).includes('used: pods=2') && refusal
      },
      30_000,
    )
    expect(error).toMatchObject({ status: 403, reason: 'Forbidden' })
    expect(pushBackOf(error)).toEqual({
      waitMs: null,
      reason: expect.stringContaining(
        'exceeded quota: few, requested: pods=1, used: pods=2, limited: pods=2',
      ),
    })
    await small.kubectl(['delete', 'quota', 'few'])
    await small.kubectl(['create', 'quota', 'cpu', '--hard=requests.cpu=1'])
    const uncounted = await eventually('the other refusal', async () => {
      const refusal = await failureOf(client.createPod(small.name, idlePod('four'), { dryRun: true }))
      return String(refusal).includes('must specify') && refusal
    })
    expect(pushBackOf(uncounted)).toBeNull()
  })

  test('inside a cluster the service account’s files are the credentials, read again as they rotate', async () => {
    const config = parseYaml(readFileSync(cluster.kubeconfig, 'utf8'), 'the kubeconfig') as {
      clusters: { cluster: Record<string, string> }[]
    }
    const { server, ...authority } = config.clusters[0]!.cluster
    const account = mkdtempSync(join(folder, 'account-'))
    const data = authority['certificate-authority-data']
    writeFileSync(
      join(account, 'ca.crt'),
      data === undefined ? readFileSync(authority['certificate-authority']!) : Buffer.from(data, 'base64'),
    )
    writeFileSync(join(account, 'namespace'), namespace.name)
    writeFileSync(join(account, 'token'), await tokenOf('inside'))
    const { hostname, port } = new URL(server!)
    const inside = await connectKubernetes({
      inCluster: true,
      configFile: null,
      context: null,
      environment: { KUBERNETES_SERVICE_HOST: hostname.replace(/[[\]]/g, ''), KUBERNETES_SERVICE_PORT: port },
      serviceAccount: account,
    })
    expect(inside).toMatchObject({ namespace: namespace.name, context: null, configFile: null })
    expect(await inside.canI({ verb: 'get', resource: 'pods', namespace: namespace.name })).toMatchObject({
      isAllowed: false,
    })
    // Its token is good no more when the account is gone, and another one's is in the file.
    await namespace.kubectl(['delete', 'serviceaccount', 'inside'])
    writeFileSync(join(account, 'token'), await tokenOf('inside-next'))
    expect(await inside.version()).toMatch(/^v1\./)
    inside.close()
  })

  test('credentials that the server does not know, and a server of another authority, are told with the file', async () => {
    const configFile = kubeconfigWith({ token: 'nonsense' })
    using stranger = await clientOf(configFile)
    const error = await failureOf(stranger.version())
    expect(error).toMatchObject({
      status: 401,
      message: expect.stringContaining(`of ${configFile}) does not accept the credentials`),
    })
    const text = JSON.stringify(parseYaml(readFileSync(cluster.kubeconfig, 'utf8'), 'x')).replace(
      /"certificate-authority(-data)?":"[^"]*"/,
      '"tls-server-name":"other.test"',
    )
    const other = join(folder, 'other-authority')
    writeFileSync(other, text)
    using mistrusting = await clientOf(other)
    expect(await failureOf(mistrusting.version())).toMatchObject({
      status: null,
      message: expect.stringMatching(
        /no answer from the API server https.* of \S+other-authority\): .*certificate/,
      ),
    })
  })

  test('a service account’s token is checked by the cluster’s own keys and issuer', async () => {
    const [head, body] = (await tokenOf('signed'))
      .split('.')
      .map((part) => Buffer.from(part, 'base64url').toString())
    const { keys } = await client.keySet()
    expect(keys.map((key) => key.kid)).toContain((JSON.parse(head!) as { kid: string }).kid)
    expect(await client.issuer()).toBe((JSON.parse(body!) as { iss: string }).iss)
  })

  test('what Kubernetes says of a pod is found by its uid and by its name', async () => {
    const pod = await client.createPod(namespace.name, idlePod('nowhere'))
    const events = await eventually('an event', async () => {
      const found = await client.listEvents(namespace.name, { involvedUid: pod.metadata!.uid! })
      return found.length > 0 && found
    })
    expect(events[0]).toMatchObject({ reason: 'FailedScheduling' })
    expect((await client.listEvents(namespace.name, { involvedName: 'nowhere' })).length).toBeGreaterThan(0)
    expect(await client.listEvents(namespace.name, { involvedUid: 'none' })).toEqual([])
    await client.deletePod(namespace.name, 'nowhere', { gracePeriodSeconds: 0 })
  })

  test('objects of any kind are created, read and deleted, within a namespace and outside', async () => {
    const map = {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'map', namespace: namespace.name },
      data: { a: '1' },
    }
    const reference = { apiVersion: 'v1', kind: 'ConfigMap', namespace: namespace.name, name: 'map' }
    expect(await client.readObject(reference)).toBeUndefined()
    expect(await client.createObject(map)).toMatchObject({ data: { a: '1' } })
    expect(isAlreadyExists(await failureOf(client.createObject(map)))).toBe(true)
    expect(await client.readObject(reference)).toMatchObject({ kind: 'ConfigMap', data: { a: '1' } })
    expect(await client.deleteObject(reference)).toBe(true)
    expect(await client.deleteObject(reference)).toBe(false)
    const job = {
      apiVersion: 'batch/v1',
      kind: 'Job',
      metadata: { name: 'job', namespace: namespace.name },
      spec: { template: { spec: { ...idlePod('x').spec, restartPolicy: 'Never' } } },
    }
    expect(await client.createObject(job, { dryRun: true })).toMatchObject({
      kind: 'Job',
      spec: { backoffLimit: 6 },
    })
    expect(
      await client.readObject({ apiVersion: 'v1', kind: 'Namespace', name: namespace.name }),
    ).toMatchObject({ metadata: { name: namespace.name } })
    await expect(client.readObject({ ...reference, kind: 'ConfigMapp' })).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: expect.stringContaining("Did you mean 'ConfigMap'?"),
    })
    await expect(client.readObject({ ...reference, apiVersion: 'none/v1' })).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: expect.stringContaining("no apiVersion 'none/v1'"),
    })
  })

  test.each<[string, ProxyFault, object]>([
    ['429 with Retry-After', { answer: { status: 429, headers: { 'retry-after': '3' } } }, { waitMs: 3000 }],
    [
      '500 of a proxy',
      { answer: { status: 500, body: 'oops' } },
      { waitMs: null, reason: 'create pod NAMESPACE/pushed: oops' },
    ],
    ['an answer that is cut', { cutAfterBytes: 10 }, { waitMs: null }],
    ['an answer that is lost', { loseAnswer: true }, { waitMs: null }],
    [
      'silence',
      { hangAfterBytes: -1 },
      { waitMs: null, reason: expect.stringContaining('it took longer than 0.5 s') },
    ],
    [
      'half an answer and silence',
      { hangAfterBytes: 10 },
      { waitMs: null, reason: expect.stringContaining('it took longer than 0.5 s') },
    ],
    [
      'an answer that is late',
      { delayMs: 3_000 },
      { waitMs: null, reason: expect.stringContaining('it took longer than 0.5 s') },
    ],
  ])(
    '%s is push-back, and the same create says afterwards whether it was done',
    async (_name, fault, expected) => {
      await using proxy = await startKubernetesProxy(cluster.kubeconfig)
      using through = await clientOf(proxy.kubeconfig, { requestTimeoutMs: 500 })
      let isBroken = true
      proxy.faultOf = ({ method }) => (method === 'POST' && isBroken ? fault : undefined)
      const push = pushBackOf(await failureOf(through.createPod(namespace.name, idlePod('pushed'))))
      expect(push && { ...push, reason: push.reason.replace(namespace.name, 'NAMESPACE') }).toMatchObject(
        expected,
      )
      isBroken = false
      await through.createPod(namespace.name, idlePod('pushed')).catch((error: unknown) => {
        if (!isAlreadyExists(error)) throw error
      })
      expect(await through.deletePod(namespace.name, 'pushed', { gracePeriodSeconds: 0 })).toBe(true)
    },
  )
})
