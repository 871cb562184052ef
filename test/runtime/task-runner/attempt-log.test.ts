// What a log call writes, whatever it is given.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { openAttemptLog } from '../../../runtime/task-runner/attempt-log.ts'

const directory = mkdtempSync(join(tmpdir(), 'branchline-attempt-log-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

let files = 0
function lineOf(msg: unknown, fields?: unknown): Record<string, unknown> {
  const path = join(directory, `${++files}.log`)
  const log = openAttemptLog(path)
  log.write('info', 'log', msg as string, fields as Record<string, unknown>)
  log.close()
  const lines = readFileSync(path, 'utf8').split('\n')
  expect(lines).toHaveLength(2)
  return JSON.parse(lines[0]!)
}

test('fields that have no JSON are written as text', () => {
  const ring: Record<string, unknown> = { big: 1n, fails: new TypeError('no') }
  ring.self = ring
  expect(lineOf('one', ring)).toMatchObject({
    msg: 'one',
    big: '1',
    fails: { name: 'TypeError', message: 'no' },
  })
})

test('fields do not stand in for the keys of a line', () => {
  expect(lineOf('one', { msg: 'two', level: 'bogus', a: 1 })).toMatchObject({
    msg: 'one',
    level: 'info',
    a: 1,
  })
})

test.each([
  [{ toJSON: thrower }],
  [
    {
      get a() {
        throw new Error('getter')
      },
    },
  ],
  [new Proxy({}, { ownKeys: thrower })],
])('fields that throw when they are looked at leave the message', (fields) => {
  const line = lineOf('one', fields)
  expect(line).toMatchObject({ msg: 'one', level: 'info' })
  expect(line.not_written).toContain('cannot be looked at')
})

test('a message that is no text is shown', () => {
  expect(lineOf(new Error('no')).msg).toContain('Error: no')
  expect(lineOf(null).msg).toBe('null')
  expect(lineOf(Symbol('x')).msg).toBe('Symbol(x)')
})

function thrower(): never {
  throw new Error('trap')
}

test('an object that is there twice is written twice, and one within itself is not', () => {
  const shared = { a: 1 }
  const error = new Error('no')
  const ring: Record<string, unknown> = { error, later: [shared] }
  ring.ring = ring
  expect(lineOf('one', { first: shared, second: [shared, shared], ring })).toMatchObject({
    first: { a: 1 },
    second: [{ a: 1 }, { a: 1 }],
    ring: { error: { message: 'no' }, later: [{ a: 1 }], ring: '[circular]' },
  })
})
