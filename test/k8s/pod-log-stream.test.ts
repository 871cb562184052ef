// What is read where kubelet has begun another file, which no test can make happen at a given moment: streams are the
// test's own here, and kubelet's in test/cluster/k8s-pod-log.test.ts.
import { expect, test } from 'vitest'
import type { KubernetesClient } from '../../k8s/client/kubernetes-client.ts'
import { type LogBatch, readLogStream } from '../../k8s/pod-log-stream.ts'

const time = (second: number) => `2026-11-21T16:55:${second}.000000001Z`

async function read(text: string, options: Partial<Parameters<typeof readLogStream>[0]>) {
  const batches: LogBatch[] = []
  const client = {
    async *podLog() {
      if (text !== '') yield Buffer.from(text)
    },
  } as unknown as KubernetesClient
  const result = await readLogStream({
    client,
    namespace: 'n',
    pod: 'p',
    container: 'base',
    cursor: { time: time(10), count: 1 },
    openLine: null,
    isFollowing: false,
    idleMs: 1000,
    onLines: async (batch) => void batches.push(batch),
    onCursor: () => {},
    ...options,
  })
  return { ...result, batches }
}

const openLine = { time: time(11), text: 'begun ' }
const next = `${time(12)} and ended\n${time(13)} more\n`

test('a followed stream keeps back the line without an end', async () => {
  const { batches, openLine: kept } = await read(`${time(10)} old\n${time(11)} begun `, { isFollowing: true })
  expect(batches).toEqual([])
  expect(kept).toEqual(openLine)
})

test('where its file is there still, the open line is read again', async () => {
  const { batches } = await read(`${time(10)} old\n${time(11)} begun and ended\n`, {
    openLine,
    isNextFile: true,
  })
  expect(batches).toEqual([
    {
      lines: [{ time: time(11), text: 'begun and ended' }],
      cursor: { time: time(11), count: 1 },
      hasGap: false,
    },
  ])
})

test('where kubelet went on in the next file, the open line goes on with its first, and nothing is missing', async () => {
  const { batches } = await read(next, { openLine, isNextFile: true })
  expect(batches).toEqual([
    {
      lines: [
        { time: time(11), text: 'begun and ended' },
        { time: time(13), text: 'more' },
      ],
      cursor: { time: time(13), count: 1 },
      hasGap: false,
    },
  ])
})

test('where lines may be missing in between, the open line is one of its own, and the gap is told', async () => {
  const { batches } = await read(next, { openLine })
  expect(batches).toMatchObject([
    { lines: [openLine, { text: 'and ended' }, { text: 'more' }], hasGap: true },
  ])
})

test('where the next file is empty the open line is the last', async () => {
  const { batches } = await read('', { openLine, isNextFile: true })
  expect(batches).toEqual([{ lines: [openLine], cursor: { time: time(11), count: 1 }, hasGap: false }])
})

test('where kubelet cannot read the file, its words are no lines', async () => {
  const { batches, fault } = await read('unable to retrieve container logs for containerd://x', {
    openLine,
    isNextFile: true,
  })
  expect({ batches, fault }).toEqual({
    batches: [],
    fault: 'unable to retrieve container logs for containerd://x',
  })
})
