import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createLogResume, type LogCursor, sinceTimeOf } from '../../k8s/pod-log-cursor.ts'
import type { LogLine } from '../../k8s/pod-log-lines.ts'

const base = Date.parse('2026-11-21T16:55:40Z') / 1000

/** RFC 3339 with nanoseconds, as kubelet writes it. */
function timeOf(nanos: bigint): string {
  const seconds = Number(nanos / 1_000_000_000n) + base
  const digits = String(nanos % 1_000_000_000n).padStart(9, '0')
  return new Date(seconds * 1000).toISOString().replace('.000Z', `.${digits}Z`)
}

/** What kubelet sends of a file for this `sinceTime`. */
function readSince(file: LogLine[], cursor: LogCursor | null): LogLine[] {
  if (cursor === null) return file
  const since = Date.parse(sinceTimeOf(cursor))
  return file.filter((line) => Date.parse(line.time) >= since)
}

/** Lines whose times grow, but for some that are up to half a second late; lines of one time follow one another. */
const files = fc
  .array(
    fc.record({
      stepMs: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 1500 })),
      backMs: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 500 })),
    }),
    { maxLength: 40 },
  )
  .map((steps) => {
    let at = 10_000_000_000n
    return steps.map(({ stepMs, backMs }, index): LogLine => {
      const isSame = stepMs === 0 && backMs === 0 && steps[index - 1]?.backMs === 0
      if (!isSame) at += BigInt(stepMs) * 1_000_000n + 1n
      const late = at - BigInt(backMs) * 1_000_000n
      return { time: timeOf(late), text: `line ${index}` }
    })
  })

test('whoever stops anywhere and goes on by the cursor gets each line once, in the order of the file', () => {
  fc.assert(
    fc.property(
      files,
      fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 1, maxLength: 30 }),
      (file, breaks) => {
        const got: LogLine[] = []
        let cursor: LogCursor | null = null
        for (let turn = 0; turn < 200; turn += 1) {
          const resume = createLogResume(cursor)
          const stream = readSince(file, cursor)
          let taken = 0
          const limit = breaks[turn % breaks.length]!
          for (const line of stream) {
            const fresh = resume.take([line])
            got.push(...fresh)
            taken += fresh.length
            if (taken >= limit) break
          }
          got.push(...resume.giveUp())
          expect(resume.hasGap).toBe(false)
          cursor = resume.cursor
          if (taken === 0) break
        }
        expect(got).toEqual(file)
      },
    ),
  )
})

test('several lines of one time are told apart by their number', () => {
  const file = ['a', 'b', 'c', 'd'].map((text) => ({ time: timeOf(5n), text }))
  const first = createLogResume(null)
  expect(first.take(file.slice(0, 2))).toHaveLength(2)
  expect(first.cursor).toEqual({ time: timeOf(5n), count: 2 })
  expect(first.take(file.slice(2, 3))).toHaveLength(1)
  expect(first.cursor).toEqual({ time: timeOf(5n), count: 3 })
  const second = createLogResume(first.cursor)
  expect(second.take(file)).toEqual(file.slice(3))
  expect(second.cursor).toEqual({ time: timeOf(5n), count: 4 })
})

test('where the cursor’s line is gone all later ones are new, and the gap is told', () => {
  const cursor = { time: timeOf(3_000_000_000n), count: 1 }
  const resume = createLogResume(cursor)
  expect(resume.take([{ time: timeOf(2_900_000_000n), text: 'old' }])).toEqual([])
  expect(resume.isHolding).toBe(false)
  expect(resume.giveUp()).toEqual([])
  expect(resume.hasGap).toBe(false)
  const later = { time: timeOf(9_000_000_000n), text: 'new' }
  expect(resume.take([later])).toEqual([])
  expect(resume.isHolding).toBe(true)
  expect(resume.giveUp()).toEqual([later])
  expect(resume.hasGap).toBe(true)
  expect(resume.cursor).toEqual({ time: later.time, count: 1 })
})

test('much that is later than a cursor that does not show up is not kept in memory', () => {
  const resume = createLogResume({ time: timeOf(1n), count: 1 })
  const big = 'x'.repeat(1024 * 1024)
  let got = 0
  for (let index = 0; index < 20 && got === 0; index += 1) {
    got = resume.take([{ time: timeOf(BigInt(index + 2)), text: big }]).length
  }
  expect(got).toBeGreaterThan(0)
  expect(resume.hasGap).toBe(true)
})

test('the log is asked for from a whole second on, one second before the cursor', () => {
  expect(sinceTimeOf({ time: '2026-11-21T16:55:42.999999999Z', count: 1 })).toBe('2026-11-21T16:55:41Z')
  expect(sinceTimeOf({ time: '2026-11-21T18:55:42.5+02:00', count: 1 })).toBe('2026-11-21T16:55:41Z')
})
