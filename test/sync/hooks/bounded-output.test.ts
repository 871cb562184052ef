import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createBoundedOutput } from '../../../sync/hooks/bounded-output.ts'

test('output that fits is kept as it is', () => {
  const output = createBoundedOutput()
  for (const part of ['one\n', '', 'two\n']) output.add(Buffer.from(part))
  expect(output.text()).toBe('one\ntwo')
  expect(output.leftOut()).toBe(0)
})

test('of more output, beginning and end are kept, with a note of what is missing between', () => {
  const output = createBoundedOutput({ headBytes: 4, tailBytes: 4 })
  output.add(Buffer.from('abcdefghijkl'))
  expect(output.text()).toBe('abcd\n… 4 bytes left out …\nijkl')
})

test('however output is cut into pieces, both ends are the same', () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 20 })),
      fc.nat(12),
      fc.nat(12),
      (chunks, headBytes, tailBytes) => {
        const output = createBoundedOutput({ headBytes, tailBytes })
        for (const chunk of chunks) output.add(Buffer.from(chunk))
        const all = Buffer.concat(chunks)
        const rest = all.subarray(headBytes)
        expect(output.tail()).toEqual(Buffer.from(rest.subarray(Math.max(0, rest.length - tailBytes))))
        expect(output.leftOut()).toBe(Math.max(0, rest.length - tailBytes))
      },
    ),
  )
})
