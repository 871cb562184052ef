// Bytes of a shared file become lines: whole ones, in their order, of a length that fits into memory.
import { appendFileSync, closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createRawOutput, type RawOutput } from '../../../runtime/task-runner/raw-output.ts'

let directory: string
let fds: number[]
let rawOutput: RawOutput
let lines: string[]
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'branchline-raw-output-'))
  fds = [openSync(join(directory, 'output'), 'a+'), openSync(join(directory, 'position'), 'w')]
  rawOutput = createRawOutput(fds[0]!, fds[1]!)
  lines = []
})
afterEach(() => {
  for (const fd of fds) closeSync(fd)
  rmSync(directory, { recursive: true, force: true })
})

const write = (bytes: string | Uint8Array) => appendFileSync(join(directory, 'output'), bytes)
const moved = () => Number(readFileSync(join(directory, 'position'), 'utf8'))
const drain = (isEnd = false) => rawOutput.drain((line) => lines.push(line), isEnd)

test('a line waits for its end, and is counted as moved with it', () => {
  write('one\ntw')
  drain()
  expect(lines).toEqual(['one'])
  expect(moved()).toBe(4)
  write('o\n')
  drain()
  expect(lines).toEqual(['one', 'two'])
  expect(moved()).toBe(8)
})

test('bytes that are no text are counted as they are, also a character that was cut', () => {
  write(Buffer.from([0xff, 0xfe, 0x0a, 0x61, 0xc3]))
  drain()
  expect(moved()).toBe(3)
  drain(true)
  expect(lines).toEqual(['\ufffd\ufffd', 'a\ufffd'])
  expect(moved()).toBe(5)
})

test('what is written while it reads waits for the next time', () => {
  write('one\n')
  rawOutput.drain((line) => {
    lines.push(line)
    write('more\n')
  })
  expect(lines).toEqual(['one'])
  drain()
  expect(lines).toEqual(['one', 'more'])
})

test('a line without an end is cut into lines', () => {
  const length = 3_000_000
  write('é'.repeat(length))
  drain()
  drain(true)
  expect(lines.length).toBeGreaterThan(2)
  expect(lines.join('')).toBe('é'.repeat(length))
  expect(moved()).toBe(2 * length)
})
