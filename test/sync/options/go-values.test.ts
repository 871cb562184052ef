// Values in Go's syntax, by table, and durations there and back by generated cases.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  formatGoDuration,
  parseGoBool,
  parseGoDuration,
  parseGoInt,
} from '../../../sync/options/go-values.ts'

test.for([
  ['0', 0],
  ['10', 10],
  ['-3', -3],
  ['+3', 3],
  ['0x10', 16],
  ['0X1f', 31],
  ['0o17', 15],
  ['017', 15],
  ['0b101', 5],
  ['1_000', 1000],
  ['0x_ff', 255],
  ['', undefined],
  [' 1', undefined],
  ['1.5', undefined],
  ['08', undefined],
  ['1__0', undefined],
  ['_1', undefined],
  ['ten', undefined],
  ['99999999999999999999', undefined],
] as const)('the integer %j is %j', ([text, value]) => {
  expect(parseGoInt(text)).toBe(value)
})

test.for([
  ['1h2m3.5s', 3_723_500],
  ['100ms', 100],
  ['1.5h', 5_400_000],
  ['300us', 0.3],
  ['300µs', 0.3],
  ['.5s', 500],
  ['1.s', 1_000],
  ['-1s', -1_000],
  ['0', 0],
  ['10', undefined],
  ['', undefined],
  ['s', undefined],
  ['1s ', undefined],
  ['1d', undefined],
  ['1s-1s', undefined],
] as const)('the duration %j is %j ms', ([text, value]) => {
  expect(parseGoDuration(text)).toBe(value)
})

test.for([
  ['true', true],
  ['T', true],
  ['1', true],
  ['False', false],
  ['0', false],
  ['yes', undefined],
  ['', undefined],
  ['toString', undefined],
] as const)('the boolean %j is %j', ([text, value]) => {
  expect(parseGoBool(text)).toBe(value)
})

test('a duration that is printed reads as the same', () => {
  fc.assert(
    fc.property(fc.integer({ min: -1e9, max: 1e9 }), (ms) => {
      expect(parseGoDuration(formatGoDuration(ms))).toBeCloseTo(ms, 6)
    }),
  )
  expect([0, 100, 1_500, 10_000, 120_000, 3_600_000].map(formatGoDuration)).toEqual([
    '0s',
    '100ms',
    '1.5s',
    '10s',
    '2m0s',
    '1h0m0s',
  ])
})
