import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createLogLineReader, type LogLine, maxLineBytes } from '../../k8s/pod-log-lines.ts'

const time = (n: number) => `2026-11-21T16:55:42.${String(n).padStart(9, '0')}Z`

/** Reads a text that comes in pieces of these sizes. */
function read(text: string, sizes: number[]): { lines: LogLine[]; faults: string[]; rest: LogLine[] } {
  const reader = createLogLineReader()
  const bytes = Buffer.from(text)
  const lines: LogLine[] = []
  const faults: string[] = []
  let at = 0
  for (let index = 0; at < bytes.length; index += 1) {
    const size = Math.max(1, sizes[index % sizes.length]!)
    const piece = reader.take(bytes.subarray(at, at + size))
    lines.push(...piece.lines)
    faults.push(...piece.faults)
    at += size
  }
  const rest = reader.rest()
  return { lines, faults: [...faults, ...rest.faults], rest: rest.lines }
}

test('lines are the same however the stream is cut into pieces', () => {
  const texts = fc.array(
    fc.string({ unit: 'grapheme', maxLength: 40 }).map((text) => text.replaceAll('\n', '')),
    { maxLength: 20 },
  )
  const sizes = fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 5 })
  fc.assert(
    fc.property(texts, sizes, (lines, cut) => {
      const expected = lines.map((text, index) => ({ time: time(index), text }))
      const stream = expected.map((line) => `${line.time} ${line.text}\n`).join('')
      expect(read(stream, cut)).toEqual({ lines: expected, faults: [], rest: [] })
      const open = read(stream.slice(0, -1), cut)
      expect([...open.lines, ...open.rest]).toEqual(expected)
      expect(open.rest).toHaveLength(lines.length === 0 ? 0 : 1)
    }),
  )
})

test('a line without a time is kubelet’s own word and no line', () => {
  const { lines, faults } = read(
    `${time(1)} one\nunable to retrieve container logs for containerd://abc\n${time(2)}\n`,
    [1000],
  )
  expect(lines).toEqual([
    { time: time(1), text: 'one' },
    { time: time(2), text: '' },
  ])
  expect(faults).toEqual(['unable to retrieve container logs for containerd://abc'])
})

test('a line that is too long comes in parts of its time, the same ones however it is cut', () => {
  const text = 'x'.repeat(maxLineBytes * 2 + 100)
  const stream = `${time(1)} before\n${time(2)} ${text}\n${time(3)} after\n`
  const whole = read(stream, [stream.length])
  expect(whole.lines.map((line) => line.time)).toEqual([time(1), time(2), time(2), time(2), time(3)])
  expect(
    whole.lines
      .slice(1, 4)
      .map((line) => line.text)
      .join(''),
  ).toBe(text)
  const pieces = read(stream, [65_536, 100, 9_999])
  expect(pieces.lines.map((line) => [line.time, line.text.length])).toEqual(
    whole.lines.map((line) => [line.time, line.text.length]),
  )
})
