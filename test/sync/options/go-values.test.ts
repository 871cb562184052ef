// Values in Go's syntax, by table, and durations there and back by generated cases.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  formatGoDuration,
  parseGoBool,
  parseGoDuration,
  parseGoFloat,
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
  ['-0', 0],
  ['-0x10', -16],
  ['0_17', 15],
  ['00', 0],
  ['0b12', undefined],
  ['0o8', undefined],
  ['0x', undefined],
  ['0x1_', undefined],
  ['1_', undefined],
  ['+-1', undefined],
  ['9007199254740991', Number.MAX_SAFE_INTEGER],
  // 64 bits, and one more.
  ['9223372036854775807', Number.MAX_SAFE_INTEGER],
  ['9223372036854775808', undefined],
  ['-9223372036854775808', Number.MIN_SAFE_INTEGER],
  ['-9223372036854775809', undefined],
  ['0xffffffffffffffff', undefined],
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
  ['+5s', 5_000],
  ['-0.5s', -500],
  ['-.5s', -500],
  ['1.5h', 5_400_000],
  ['3000s', 3_000_000],
  ['1h1h', 7_200_000],
  ['5μs', 0.005],
  ['1ns', 0.000_001],
  ['0.5ns', 0],
  ['0s', 0],
  ['-0', 0],
  ['0.3333333333333333333h', 1_200_000],
  ['0.1000000000000000000000000000000000000000s', 100],
  ['9223372036854775807ns', 9_223_372_036_854.775],
  ['9223372036854775808ns', undefined],
  ['-9223372036854775808ns', -9_223_372_036_854.775],
  ['9223372036854776us', undefined],
  ['3000000h', undefined],
  ['99999999999999999999s', undefined],
  ['.s', undefined],
  ['.', undefined],
  ['-', undefined],
  ['+', undefined],
  ['--1s', undefined],
  ['1e3s', undefined],
  ['1_0s', undefined],
  ['1S', undefined],
  ['0x1s', undefined],
  ['1 s', undefined],
  ['00', undefined],
] as const)('the duration %j is %j ms', ([text, value]) => {
  expect(parseGoDuration(text)).toBe(value)
})

test.for([
  ['0', 0],
  ['1', 1],
  ['0.5', 0.5],
  ['.5', 0.5],
  ['5.', 5],
  ['1e3', 1_000],
  ['1E-2', 0.01],
  ['-2.5', -2.5],
  ['+1', 1],
  ['1_000', 1_000],
  ['1_23.50_0_0e+1_2', 1.235e14],
  ['08', 8],
  ['', undefined],
  ['.', undefined],
  ['e3', undefined],
  ['1e', undefined],
  ['_1', undefined],
  ['1_', undefined],
  ['1__0', undefined],
  ['1_.5', undefined],
  ['1._5', undefined],
  [' 1', undefined],
  ['1s', undefined],
  ['1e400', undefined],
  // Go takes these; a time is none of them.
  ['inf', undefined],
  ['NaN', undefined],
  ['0x1p-2', undefined],
] as const)('the float %j is %j', ([text, value]) => {
  expect(parseGoFloat(text)).toBe(value)
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
  expect([0.000_001, 0.3, -1_500, 90_061_001].map(formatGoDuration)).toEqual([
    '1ns',
    '300µs',
    '-1.5s',
    '25h1m1.001s',
  ])
})
