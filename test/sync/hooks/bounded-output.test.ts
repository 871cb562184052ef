import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createBoundedOutput } from '../../../sync/hooks/bounded-output.ts'
import { createWholeLines } from '../../../sync/hooks/whole-lines.ts'

const asItIs = (text: string) => text

test('output that fits is kept as it is', () => {
  const output = createBoundedOutput({ redact: asItIs })
  for (const part of ['one\n', '', 'two\n']) output.add(Buffer.from(part))
  expect(output.text()).toBe('one\ntwo')
  expect(output.ends().leftOutBytes).toBe(0)
})

test('of more output, beginning and end are kept, with a note of what is missing between', () => {
  const output = createBoundedOutput({ redact: asItIs, headBytes: 4, tailBytes: 4, marginBytes: 0 })
  output.add(Buffer.from('abcdefghijkl'))
  expect(output.text()).toBe('abcd\n… 4 bytes left out …\nijkl')
})

test('however output is cut into pieces, both ends are the same', () => {
  fc.assert(
    fc.property(
      fc.array(fc.string({ maxLength: 20 })),
      fc.nat(12),
      fc.nat(12),
      (chunks, headBytes, tailBytes) => {
        const output = createBoundedOutput({ redact: asItIs, headBytes, tailBytes, marginBytes: 0 })
        for (const chunk of chunks) output.add(Buffer.from(chunk))
        const all = chunks.join('')
        const leftOutBytes = Math.max(0, all.length - headBytes - tailBytes)
        expect(output.ends()).toEqual(
          leftOutBytes === 0
            ? { head: all, leftOutBytes, tail: '' }
            : { head: all.slice(0, headBytes), leftOutBytes, tail: all.slice(all.length - tailBytes) },
        )
      },
    ),
  )
})

const secret = 'S3cr3t-of-22-letters!!'
const redact = (text: string) => text.replaceAll(secret, 'REDACTED')
const fragments = Array.from({ length: secret.length - 3 }, (_, start) => secret.slice(start, start + 4))

test('wherever the cuts fall, no part of a secret is told', () => {
  for (let before = 0; before < 300; before += 1) {
    const output = createBoundedOutput({ redact, headBytes: 60, tailBytes: 60, marginBytes: 50 })
    const all = `${'.'.repeat(before)}${secret}${'.'.repeat(400 - before)}`
    for (let at = 0; at < all.length; at += 7) output.add(Buffer.from(all.slice(at, at + 7)))
    const text = output.text()
    expect(text).toContain('bytes left out')
    expect(fragments.filter((fragment) => text.includes(fragment))).toEqual([])
  }
})

const pieces = fc.array(fc.oneof(fc.constantFrom('\n', secret, '.'.repeat(40), 'é😀'), fc.string()))
/** Without what may be a part of the secret by chance. */
const harmlessPieces = fc.array(fc.constantFrom('\n', secret, '.'.repeat(40), 'é😀', ' ', '...'))

test('lines are handed on whole and in order, however they come', () => {
  fc.assert(
    fc.property(pieces, fc.integer({ min: 1, max: 30 }), (parts, size) => {
      const told: string[] = []
      const lines = createWholeLines({ redact, onLines: (text) => told.push(text), maxLength: 10_000 })
      const all = Buffer.from(parts.join(''))
      for (let at = 0; at < all.length; at += size) lines.add(all.subarray(at, at + size))
      lines.end()
      expect(told.join('')).toBe(all.toString())
      expect(told.slice(0, -1).every((text) => text.endsWith('\n'))).toBe(true)
    }),
  )
})

test('no part of a line that is too long ends in a secret', () => {
  fc.assert(
    fc.property(harmlessPieces, fc.integer({ min: 1, max: 30 }), (parts, size) => {
      let told = ''
      const onLines = (text: string) => {
        told += redact(text)
      }
      const lines = createWholeLines({ redact, onLines, maxLength: 100 })
      const all = Buffer.from(parts.join(''))
      for (let at = 0; at < all.length; at += size) lines.add(all.subarray(at, at + size))
      lines.end()
      expect(fragments.filter((fragment) => told.includes(fragment))).toEqual([])
    }),
    { numRuns: 500 },
  )
})
