// What is kept of what a command prints.
import { PassThrough } from 'node:stream'
import { finished } from 'node:stream/promises'
import { expect, test } from 'vitest'
import { createCommandOutput, maxPrintedBytes } from '../../../sync/git/command-output.ts'

async function print(stdout: Iterable<string>, stderr: Iterable<string> = []) {
  let excesses = 0
  const output = createCommandOutput(() => {
    excesses += 1
  })
  const [out, err] = [new PassThrough(), new PassThrough()]
  output.follow(out, err)
  for (const [stream, chunks] of [
    [out, stdout],
    [err, stderr],
  ] as const) {
    for (const chunk of chunks) stream.write(chunk)
    stream.end()
    await finished(stream)
  }
  return { output, excesses: () => excesses }
}

function* times(count: number, text: string): Iterable<string> {
  for (let done = 0; done < count; done += 1) yield text
}

test('what fits is kept whole', async () => {
  const { output, excesses } = await print(times(10_000, 'some line\n'), ['and ', 'another'])
  expect(output.stdout()).toBe('some line\n'.repeat(10_000))
  expect(output.stderr()).toBe('and another')
  expect(excesses()).toBe(0)
})

test('of standard output the first whole entries are kept', async () => {
  const { output } = await print(times(100_000, ' M some/path/of/a/file\0'))
  const entries = output.stdout().split('\0')
  expect(entries.length).toBeGreaterThan(10_000)
  expect(entries.at(-1)).toBe('')
  expect(new Set(entries.slice(0, -1))).toEqual(new Set([' M some/path/of/a/file']))
  expect(output.stdout().length).toBeLessThan(1_048_576)
})

test('of standard error the last whole lines are kept', async () => {
  const { output } = await print([], [...times(100_000, 'remote: chatter\n'), 'fatal: reason\n'])
  expect(output.stderr()).toMatch(/^…\n(?:remote: chatter\n)+fatal: reason\n$/)
  expect(output.stderr().length).toBeLessThan(65_540)
})

test('too much is told once', async () => {
  const chunk = 'x'.repeat(1024 * 1024)
  const { excesses } = await print(times(maxPrintedBytes / chunk.length, chunk))
  expect(excesses()).toBe(0)
  const more = await print(times(maxPrintedBytes / chunk.length, chunk), [chunk, chunk])
  expect(more.excesses()).toBe(1)
  expect(more.output.stdout()).toBe('')
})
