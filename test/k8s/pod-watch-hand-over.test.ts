import { expect, test } from 'vitest'
import { createHandOver, type PodBatch } from '../../k8s/pod-watch-hand-over.ts'
import { eventually } from '../support/eventually.ts'
import { keptLog } from '../support/kubernetes-pods.ts'

const present = (uid: string, pod: string) => ({ uid, event: { type: 'present' as const, pod } })
const deleted = (uid: string, pod: string) => ({ uid, event: { type: 'deleted' as const, pod } })

/** @param isDecisive default: all are */
function start(apply: (batch: PodBatch<string>) => Promise<void>, isDecisive = (_pod: string) => true) {
  const clock = { time: 1_000_000, now: () => clock.time }
  const stopping = new AbortController()
  const { log, lines } = keptLog()
  const handOver = createHandOver<string>({ apply, isDecisive, log, clock, signal: stopping.signal })
  const stop = async (): Promise<void> => {
    stopping.abort()
    await handOver.done
  }
  return { handOver, clock, lines, stop }
}

/** Keeps batches, and lets each be committed when it is told to. */
function gate() {
  const batches: { batch: PodBatch<string>; commit: () => void; fail: (error: Error) => void }[] = []
  const apply = (batch: PodBatch<string>) =>
    new Promise<void>((resolve, reject) => batches.push({ batch, commit: resolve, fail: reject }))
  return { batches, apply, next: (count: number) => eventually(`batch ${count}`, () => batches[count - 1]) }
}

test('what comes while a batch is committed is gathered: the newest of each pod, in order', async () => {
  const { apply, next, batches } = gate()
  const { handOver, stop } = start(apply)
  handOver.events('1', [present('a', 'a1')])
  const first = await next(1)
  handOver.events('2', [present('a', 'a2'), present('b', 'b2')])
  handOver.events('5', [deleted('a', 'a5'), present('c', 'c4')])
  handOver.version('9')
  expect(batches).toHaveLength(1)
  first.commit()
  const second = await next(2)
  expect(second.batch).toEqual({
    kind: 'events',
    resourceVersion: '9',
    pods: [
      { type: 'present', pod: 'b2' },
      { type: 'deleted', pod: 'a5' },
      { type: 'present', pod: 'c4' },
    ],
  })
  second.commit()
  await stop()
})

test('a list replaces the events before it, and goes before those after it', async () => {
  const { apply, next } = gate()
  const { handOver, stop } = start(apply)
  handOver.events('1', [present('a', 'a1')])
  const first = await next(1)
  handOver.events('2', [present('b', 'b2')])
  const list = { kind: 'list' as const, resourceVersion: '10', pods: ['c'], beganAt: new Date(0) }
  handOver.list(list)
  handOver.events('11', [present('d', 'd11')])
  first.commit()
  const second = await next(2)
  expect(second.batch).toEqual(list)
  second.commit()
  const third = await next(3)
  expect(third.batch).toMatchObject({ resourceVersion: '11', pods: [{ pod: 'd11' }] })
  third.commit()
  await stop()
})

test('a batch that could not be committed comes again as it was, before anything newer', async () => {
  const { apply, next } = gate()
  const { handOver, clock, stop, lines } = start(apply)
  handOver.events('1', [present('a', 'a1')])
  const first = await next(1)
  handOver.events('2', [present('a', 'a2')])
  clock.time += 700
  expect(handOver.busyMs()).toBe(700)
  first.fail(new Error('database away'))
  const again = await next(2)
  expect(handOver).toMatchObject({ trouble: 'database away' })
  expect(handOver.busyMs()).toBe(0)
  expect(again.batch).toEqual(first.batch)
  again.commit()
  const newer = await next(3)
  expect(handOver).toMatchObject({ trouble: null })
  expect(newer.batch).toMatchObject({ resourceVersion: '2' })
  newer.commit()
  await stop()
  expect(lines.map(({ level, msg }) => [level, msg])).toEqual([
    ['warn', 'pod events cannot be taken, they wait'],
    ['info', 'pod events are taken again'],
  ])
})

test('what nobody waits for gathers until somebody waits for something, or for a moment', async () => {
  const { apply, next, batches } = gate()
  const { handOver, stop } = start(apply, (pod) => pod.endsWith('!'))
  handOver.events('1', [present('a', 'a1')])
  handOver.events('2', [present('b', 'b2')])
  await expect(eventually('a batch', () => batches.length > 0, 100)).rejects.toThrow()
  handOver.events('3', [present('c', 'c3!')])
  const first = await next(1)
  expect(first.batch).toMatchObject({ pods: [{ pod: 'a1' }, { pod: 'b2' }, { pod: 'c3!' }] })
  first.commit()
  handOver.events('4', [deleted('c', 'c3!')])
  const second = await next(2)
  expect(second.batch).toMatchObject({ pods: [{ type: 'deleted' }] })
  second.commit()
  await stop()
})

test('a version alone is handed over every ten seconds at most', async () => {
  const batches: PodBatch<string>[] = []
  const { handOver, clock, stop } = start(async (batch) => void batches.push(batch))
  handOver.version('1')
  await eventually('the first version', () => batches.length === 1)
  handOver.version('2')
  clock.time += 9_000
  handOver.version('3')
  clock.time += 2_000
  handOver.version('4')
  await eventually('the next version', () => batches.length === 2)
  expect(batches).toEqual(
    ['1', '4'].map((resourceVersion) => ({ kind: 'events', resourceVersion, pods: [] })),
  )
  await stop()
})
