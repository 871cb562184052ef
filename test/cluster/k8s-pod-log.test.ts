// Logs of real containers, followed through a proxy that breaks the connection, and compared line by line with what the
// program wrote.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { KubernetesClient } from '../../k8s/client/kubernetes-client.ts'
import {
  followPodLog,
  type LogBatch,
  type LogCursor,
  type PodLogDeps,
  readPodLogRest,
} from '../../k8s/pod-log.ts'
import { type Cluster, clusterMissing, connectCluster, type TestNamespace } from '../support/cluster.ts'
import { eventually } from '../support/eventually.ts'
import { clientOf, keptLog, shellPod } from '../support/kubernetes-pods.ts'
import { type KubernetesProxy, startKubernetesProxy } from '../support/kubernetes-proxy.ts'

describe.skipIf(clusterMissing() !== undefined)('a pod’s log', () => {
  let cluster: Cluster
  let namespace: TestNamespace
  let direct: KubernetesClient & Disposable
  let proxy: KubernetesProxy
  let through: KubernetesClient & Disposable
  beforeAll(async () => {
    cluster = await connectCluster()
    direct = await clientOf(cluster.kubeconfig)
    proxy = await startKubernetesProxy(cluster.kubeconfig)
    through = await clientOf(proxy.kubeconfig, { requestTimeoutMs: 5_000 })
    namespace = await cluster.createNamespace('log')
  })
  afterAll(async () => {
    through?.[Symbol.dispose]()
    await proxy?.[Symbol.asyncDispose]()
    await namespace?.[Symbol.asyncDispose]()
    direct?.[Symbol.dispose]()
  })

  const run = (name: string, script: string) =>
    direct.createPod(namespace.name, shellPod(name, cluster.images.worker, script))
  const isFollow = ({ path }: { path: string }) => path.includes('/log?') && path.includes('follow=true')

  /** A reader that keeps lines and cursor together, as a database would. */
  function reader(pod: string, options: Partial<PodLogDeps> & { idleMs?: number } = {}) {
    const kept = { texts: [] as string[], cursor: null as LogCursor | null, gaps: 0, batches: 0 }
    const onLines = async (batch: LogBatch): Promise<void> => {
      for (const { text } of batch.lines) kept.texts.push(text)
      kept.cursor = batch.cursor
      kept.batches += 1
      if (batch.hasGap) kept.gaps += 1
    }
    const { log, lines } = keptLog()
    const deps = {
      client: through,
      namespace: namespace.name,
      pod,
      container: 'base',
      cursor: null,
      onLines,
      log,
      ...options,
    }
    return {
      kept,
      lines,
      deps,
      follow: (cursor: LogCursor | null = null, signal?: AbortSignal) =>
        followPodLog({ ...deps, cursor, ...(signal === undefined ? {} : { signal }) }),
    }
  }

  test('is followed from before the container starts until it has ended', async () => {
    await run('simple', 'echo one; echo; echo "  three"; printf "no end of line"; exit 3')
    const { follow, kept } = reader('simple')
    expect(await follow()).toMatchObject({ reason: 'terminated', exitCode: 3, fault: null })
    expect(kept).toMatchObject({ texts: ['one', '', '  three', 'no end of line'], gaps: 0 })
    const again = reader('simple')
    expect(await readPodLogRest({ ...again.deps, cursor: null })).toEqual({
      cursor: kept.cursor,
      fault: null,
    })
    expect(again.kept.texts).toEqual(kept.texts)
    const rest = reader('simple')
    await readPodLogRest({ ...rest.deps, cursor: kept.cursor })
    expect(rest.kept.texts).toEqual([])
  })

  test('no line is lost or doubled where the connection is cut again and again', {
    timeout: 180_000,
  }, async () => {
    // Bursts, slow lines, both outputs, and lines longer than the runtime keeps in one piece.
    const script = `
      big=$(head -c 20000 /dev/zero | tr '\\0' x)
      i=0
      for burst in 1 2 3 4 5 6 7 8; do
        j=0
        while [ $j -lt 1000 ]; do echo "line $i"; i=$((i+1)); j=$((j+1)); done
        echo "$big $burst"
        for slow in 1 2 3; do echo "slow $burst $slow"; sleep 0.4; done
      done`
    let seed = 11
    const random = (most: number) => {
      seed = (seed * 16_807) % 2_147_483_647
      return seed % most
    }
    proxy.faultOf = (request) => (isFollow(request) ? { cutAfterBytes: 100 + random(400_000) } : undefined)
    await run('cuts', script)
    const { follow, kept } = reader('cuts')
    const end = await follow()
    proxy.faultOf = () => undefined
    expect(end).toMatchObject({ reason: 'terminated', exitCode: 0 })
    const expected: string[] = []
    for (let burst = 1, i = 0; burst <= 8; burst += 1) {
      for (let j = 0; j < 1000; j += 1, i += 1) expected.push(`line ${i}`)
      expected.push(`${'x'.repeat(20_000)} ${burst}`)
      for (const slow of [1, 2, 3]) expected.push(`slow ${burst} ${slow}`)
    }
    expect(kept.texts.length).toBe(expected.length)
    expect(kept.texts.findIndex((text, index) => text !== expected[index])).toBe(-1)
    expect(kept.gaps).toBe(0)
    expect(proxy.requests.filter(isFollow).length).toBeGreaterThan(5)
  })

  test('whoever stops and begins anew with the cursor goes on behind it, also among lines of both outputs', async () => {
    await run(
      'restart',
      'i=0; while [ $i -lt 400 ]; do echo "out $i"; echo "err $i" >&2; i=$((i+1)); [ $((i % 40)) = 0 ] && sleep 0.2; done',
    )
    const { follow, kept } = reader('restart')
    const reason = new Error('the scheduler dies')
    let end: unknown = reason
    for (let turn = 0; end === reason; turn += 1) {
      const controller = new AbortController()
      const until = kept.texts.length + 60 + 7 * turn
      const following = follow(kept.cursor, controller.signal).catch((error: unknown) => error)
      void eventually('some lines', () => kept.texts.length >= until, 60_000).then(
        () => controller.abort(reason),
        () => {},
      )
      end = await following
    }
    expect(end).toMatchObject({ reason: 'terminated' })
    const of = (output: string) => kept.texts.filter((text) => text.startsWith(output))
    expect(of('out')).toEqual(Array.from({ length: 400 }, (_, index) => `out ${index}`))
    expect(of('err')).toEqual(Array.from({ length: 400 }, (_, index) => `err ${index}`))
    expect(kept).toMatchObject({ gaps: 0 })
    expect(kept.texts).toHaveLength(800)
  })

  test('kubelet’s rotation of a large log loses nothing', { timeout: 120_000 }, async () => {
    // Kubelet looks at the size every ten seconds, and begins another file beyond ten megabytes.
    await run(
      'rotated',
      'sleep 1; seq -f "%.0f ................................................................" 250000; sleep 12; echo end',
    )
    let count = 0
    let wrong = 0
    const onLines = async ({ lines }: LogBatch): Promise<void> => {
      for (const { text } of lines) {
        count += 1
        if (count <= 250_000 ? !text.startsWith(`${count} .`) : text !== 'end') wrong += 1
      }
    }
    const { deps } = reader('rotated', { onLines })
    expect(await followPodLog(deps)).toMatchObject({ reason: 'terminated', exitCode: 0, fault: null })
    expect({ count, wrong }).toEqual({ count: 250_001, wrong: 0 })
  })

  test('a stream that hangs is opened again, and a server that is away is waited for', async () => {
    await run('hang', 'echo before; until [ -e /tmp/go ]; do sleep 0.1; done; echo after')
    const { follow, kept, lines } = reader('hang', { idleMs: 500 })
    const end = follow()
    await eventually('the first line', () => kept.texts.length === 1)
    proxy.hang()
    await namespace.kubectl(['exec', 'hang', '--', 'touch', '/tmp/go'])
    await proxy.close()
    await eventually('the trouble is told', () => lines.some(({ msg }) => msg === 'pod log is interrupted'))
    await proxy.mend()
    expect(await end).toMatchObject({ reason: 'terminated', exitCode: 0 })
    expect(kept).toMatchObject({ texts: ['before', 'after'], gaps: 0 })
    expect(lines.filter(({ level }) => level === 'warn')).toHaveLength(1)
  })

  test('a gap is told where the cursor’s line is not there any more', async () => {
    await run('gap', 'echo first; echo second')
    const { follow, kept } = reader('gap')
    const end = await follow({ time: '2020-01-01T00:00:00.000000000Z', count: 1 })
    expect(end).toMatchObject({ reason: 'terminated' })
    expect(kept).toMatchObject({ texts: ['first', 'second'], gaps: 1 })
  })

  test('a pod that is gone, one that ended before its container began, and a container that is none', async () => {
    expect(await reader('none').follow()).toMatchObject({ reason: 'gone', exitCode: null })
    await run('known', 'true')
    await expect(reader('known', { container: 'bas' }).follow()).rejects.toMatchObject({
      code: 'INVALID_INPUT',
      message: expect.stringMatching(/pod log-\w+\/known has no container 'bas'\. It has: base/),
    })
    const pod = shellPod('never', cluster.images.worker, 'true')
    const failing = { name: 'before', image: cluster.images.worker, command: ['/bin/false'] }
    await direct.createPod(namespace.name, { ...pod, spec: { ...pod.spec!, initContainers: [failing] } })
    expect(await reader('never').follow()).toMatchObject({ reason: 'never-started', fault: null })
    expect(await reader('never', { container: 'before' }).follow()).toMatchObject({
      reason: 'terminated',
      exitCode: 1,
    })
  })

  test('a pod that is deleted while it is followed ends the reading', async () => {
    await run('deleted', 'echo here; sleep 600')
    const { follow, kept } = reader('deleted')
    const end = follow()
    await eventually('its line', () => kept.texts.length === 1)
    await direct.deletePod(namespace.name, 'deleted', { gracePeriodSeconds: 0 })
    expect((await end).reason).toMatch(/gone|terminated/)
  })

  test('what keeps the lines may fail: the reading ends with its error', async () => {
    await run('keeper', 'echo one')
    const fault = new Error('disk full')
    const { deps } = reader('keeper')
    const onLines = async () => {
      throw fault
    }
    await expect(followPodLog({ ...deps, onLines })).rejects.toBe(fault)
  })
})
