// Commands in a running container, on the real cluster.
import { PassThrough, Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ExecOptions, KubernetesClient } from '../../k8s/client/kubernetes-client.ts'
import { type Cluster, clusterMissing, connectCluster, type TestNamespace } from '../support/cluster.ts'
import { clientOf, shellPod } from '../support/kubernetes-pods.ts'

describe.skipIf(clusterMissing() !== undefined)('a command in a container', () => {
  let cluster: Cluster
  let namespace: TestNamespace
  let client: KubernetesClient & Disposable
  beforeAll(async () => {
    cluster = await connectCluster()
    namespace = await cluster.createNamespace('exec')
    client = await clientOf(cluster.kubeconfig)
    await client.createPod(namespace.name, shellPod('shell', cluster.images.worker, 'sleep 600'))
    await namespace.kubectl(['wait', '--for=condition=Ready', 'pod/shell', '--timeout=60s'])
  })
  afterAll(async () => {
    client?.[Symbol.dispose]()
    await namespace?.[Symbol.asyncDispose]()
  })

  async function run(script: string, options: Partial<ExecOptions> = {}) {
    const [stdout, stderr] = [new PassThrough(), new PassThrough()]
    const exitCode = await client
      .exec(namespace.name, 'shell', {
        container: 'base',
        command: ['/bin/sh', '-c', script],
        stdout,
        stderr,
        ...options,
      })
      .finally(() => {
        stdout.end()
        stderr.end()
      })
    return { exitCode, stdout: await text(stdout), stderr: await text(stderr) }
  }

  test('its exit code, output and errors come back apart', async () => {
    expect(await run('echo out; echo err >&2; exit 7')).toEqual({
      exitCode: 7,
      stdout: 'out\n',
      stderr: 'err\n',
    })
    expect(await run('true')).toMatchObject({ exitCode: 0 })
  })

  test('its input reaches it to the end', async () => {
    const stdin = Readable.from(Array.from({ length: 50 }, () => Buffer.alloc(100_000, 'x')))
    expect(await run('wc -c', { stdin })).toMatchObject({ exitCode: 0, stdout: '5000000\n' })
  })

  test('a terminal has the size that it is given, and hears of another one', async () => {
    const stdin = new PassThrough()
    const stdout = new PassThrough()
    const change = Promise.withResolvers<void>()
    let seen = ''
    stdout.on('data', (piece: Buffer) => {
      seen += piece
      if (seen.includes('33 99')) change.resolve()
    })
    async function* sizes() {
      yield { columns: 99, rows: 33 }
      await change.promise
      yield { columns: 80, rows: 20 }
    }
    const script =
      'until [ "$(stty size)" = "33 99" ]; do sleep 0.1; done; stty size; until [ "$(stty size)" = "20 80" ]; do sleep 0.1; done; tty; exit 3'
    const exitCode = await client.exec(namespace.name, 'shell', {
      container: 'base',
      command: ['/bin/sh', '-c', script],
      tty: true,
      stdin,
      stdout,
      sizes: sizes(),
    })
    expect(exitCode).toBe(3)
    expect(seen).toMatch(/^33 99\r\n\/dev\/pts\/\d+\r\n$/)
  })

  test('a slow reader gets all of a large output', async () => {
    const stdout = new PassThrough({ highWaterMark: 1024 })
    let bytes = 0
    stdout.on('data', (piece: Buffer) => {
      bytes += piece.length
      stdout.pause()
      setImmediate(() => stdout.resume())
    })
    const exitCode = await client.exec(namespace.name, 'shell', {
      container: 'base',
      command: ['head', '-c', '3000000', '/dev/zero'],
      stdout,
    })
    expect({ exitCode, bytes }).toEqual({ exitCode: 0, bytes: 3_000_000 })
  })

  test.each<[string, string, Partial<ExecOptions>, RegExp]>([
    ['a pod that is not there', 'none', {}, /pods "none" not found/],
    [
      'a container that is not there',
      'shell',
      { container: 'none' },
      /container none is not valid for pod shell/,
    ],
    ['a program that is not there', 'shell', { command: ['/none'] }, /no such file or directory/],
  ])('%s is told in the cluster’s own words', async (_name, pod, options, words) => {
    await expect(
      client.exec(namespace.name, pod, {
        container: 'base',
        command: ['true'],
        stdout: new PassThrough().resume(),
        ...options,
      }),
    ).rejects.toMatchObject({ code: 'KUBERNETES', message: expect.stringMatching(words) })
  })

  test('it ends with the reason of its signal', async () => {
    const controller = new AbortController()
    const reason = new Error('enough')
    const stdout = new PassThrough()
    stdout.once('data', () => controller.abort(reason))
    await expect(run('echo here; sleep 600', { stdout, signal: controller.signal })).rejects.toBe(reason)
  })
})
