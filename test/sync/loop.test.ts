// The loop alone, around a pass that the test controls.
import { expect, test } from 'vitest'
import { createSyncLoop, type Patience } from '../../sync/loop.ts'
import type { PassReason, SyncResult } from '../../sync/sync-once.ts'
import { eventually } from '../support/eventually.ts'
import { asCommitSha } from './commit-sha.ts'

const result: SyncResult = { commit: asCommitSha('a'.repeat(40)), isChanged: true, isRepaired: false }

type LoopDeps = Parameters<typeof createSyncLoop>[0]

function createLoop({ periodMs = 3_600_000, maxFailures = 0, ...deps }: Partial<LoopDeps & Patience>) {
  const reasons: PassReason[] = []
  const failures: [unknown, number, boolean][] = []
  const loop = createSyncLoop({
    initially: { periodMs, maxFailures },
    usually: { periodMs, maxFailures },
    timeoutMs: 60_000,
    oneTime: false,
    isFinal: () => false,
    onSuccess: async () => {},
    onFailure: async (...failure) => {
      failures.push(failure)
    },
    ...deps,
    pass: async (reason, deadline) => {
      reasons.push(reason)
      return deps.pass?.(reason, deadline) ?? result
    },
  })
  return { loop, reasons, failures }
}

test('the first pass checks the root, the next ones poll, and a wake need not wait for the period', async () => {
  const { loop, reasons } = createLoop({ periodMs: 1 })
  const ended = loop.start()
  await eventually('three passes', () => reasons.length >= 3 || undefined)
  await loop.stop()
  expect(await ended).toBe('stopped')
  expect(reasons.slice(0, 3)).toEqual(['start', 'poll', 'poll'])

  const slow = createLoop({})
  slow.loop.start()
  await eventually('the first pass', () => slow.reasons.length === 1 || undefined)
  slow.loop.wake()
  await eventually('the second pass', () => slow.reasons.length === 2 || undefined)
  expect(slow.reasons).toEqual(['start', 'wake'])
  await slow.loop.stop()
})

test('wakes during a pass make one more pass, however many they are', async () => {
  let release = () => {}
  const { loop, reasons } = createLoop({
    pass: (reason) =>
      reason === 'check'
        ? new Promise((resolve) => {
            release = () => resolve(result)
          })
        : Promise.resolve(result),
  })
  loop.start()
  await eventually('the first pass', () => reasons.length === 1 || undefined)
  for (let count = 0; count < 5; count += 1) loop.wake()
  release()
  await eventually('the second pass', () => reasons.length === 2 || undefined)
  await new Promise((resolve) => setImmediate(resolve))
  expect(reasons).toEqual(['start', 'wake'])
  await loop.stop()
})

test.for([
  [0, 1],
  [1, 1],
  [3, 3],
] as const)('at most %i failures end the loop after %i', async ([maxFailures, expected]) => {
  const { loop, failures, reasons } = createLoop({
    maxFailures,
    periodMs: 1,
    pass: async () => {
      throw new Error('no')
    },
  })
  expect(await loop.start()).toBe('too_many_failures')
  expect(failures).toHaveLength(expected)
  expect(failures.at(-1)?.[2]).toBe(true)
  expect(new Set(reasons)).toEqual(new Set(['start']))
})

test('failures count only one after the other, and a negative limit never ends the loop', async () => {
  let passes = 0
  const { loop, failures } = createLoop({
    maxFailures: 2,
    periodMs: 1,
    pass: async () => {
      passes += 1
      if (passes % 2 === 0 || passes > 6) throw new Error('no')
      return result
    },
  })
  expect(await loop.start()).toBe('too_many_failures')
  expect(failures.map(([, count]) => count)).toEqual([1, 1, 1, 2])

  const endless = createLoop({ maxFailures: -1, periodMs: 1, pass: () => Promise.reject(new Error('no')) })
  endless.loop.start()
  await eventually('ten failures', () => endless.failures.length >= 10 || undefined)
  await endless.loop.stop()
})

test('one time ends with the first success, after the failures that are allowed', async () => {
  let passes = 0
  const { loop, failures } = createLoop({
    maxFailures: 5,
    periodMs: 1,
    oneTime: true,
    pass: async () => {
      passes += 1
      if (passes < 3) throw new Error('no')
      return result
    },
  })
  expect(await loop.start()).toBe('one_time')
  expect(failures).toHaveLength(2)
})

test('a pass that takes too long is ended by its signal and counts as failed', async () => {
  const { loop, failures } = createLoop({
    timeoutMs: 10,
    pass: (_, { signal }) =>
      new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
  })
  expect(await loop.start()).toBe('too_many_failures')
  expect(String(failures[0]?.[0])).toMatch(/--sync-timeout/)
})
