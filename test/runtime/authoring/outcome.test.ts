import { TaskFailError, TaskSkipError } from 'branchline'
import { expect, test } from 'vitest'
import { executeTask } from '../../../runtime/authoring/execute.ts'
import { outcomeOf } from '../../../runtime/authoring/outcome.ts'
import { InvalidInputError, TaskAbortedError } from '../../../runtime/errors.ts'

class OrdersMissingError extends TaskFailError {}

test.each([
  [new Error('away'), 'failed', true],
  [new TaskAbortedError('took too long'), 'failed', true],
  [new InvalidInputError('bad'), 'failed', true],
  [new TaskFailError('never'), 'failed', false],
  [new OrdersMissingError('never'), 'failed', false],
  [new TaskSkipError(), 'skipped', false],
  // As another copy of the package makes it: no instance of our class.
  [Object.assign(new Error('elsewhere'), { code: 'TASK_FAIL' }), 'failed', false],
  [Object.assign(new Error('no address'), { code: 'ENOTFOUND' }), 'failed', true],
])('%o ends the attempt as %s, retryable: %s', (thrown, state, retryable) => {
  expect(outcomeOf(thrown)).toMatchObject({
    state,
    retryable,
    exitCode: null,
    error: { name: thrown.name, message: thrown.message },
  })
})

test.each([['text'], [undefined], [null], [{ status: 500 }], [Symbol('x')]])(
  'a thrown %o is told as it is',
  (thrown) => {
    const { state, retryable, error } = outcomeOf(thrown)
    expect({ state, retryable }).toEqual({ state: 'failed', retryable: true })
    expect(error.message).toMatch(/was thrown, which is no Error$/)
    expect(error.stack).toBeNull()
  },
)

test("a stack names the author's lines only", async () => {
  const failing = async () => {
    await null
    JSON.parse('{')
  }
  const definition = { kind: 'task', taskId: 'load', takesInputs: false, run: failing } as const
  const thrown = await executeTask(definition, {}, {} as never, 'inherit').catch((error: unknown) => error)
  expect((thrown as Error).stack).toMatch(/execute\.ts/)
  const stack = outcomeOf(thrown).error.stack!.split('\n')
  expect(stack[0]).toMatch(/^SyntaxError: /)
  expect(stack.slice(1).some((frame) => frame.includes('outcome.test.ts'))).toBe(true)
  expect(stack.join('\n')).not.toMatch(/execute\.ts|node:internal/)
})

test('a stack goes on with what caused the error, and ends where causes go in a ring', () => {
  const refused = new Error('connect ECONNREFUSED 127.0.0.1:9')
  const { error } = outcomeOf(new TypeError('fetch failed', { cause: refused }))
  expect(error).toMatchObject({ name: 'TypeError', message: 'fetch failed' })
  expect(error.stack).toMatch(
    /^TypeError: fetch failed\n {4}at [\s\S]*\nCaused by: Error: connect ECONNREFUSED[\s\S]*\n {4}at /,
  )
  expect(outcomeOf(new Error('odd', { cause: 'a text' })).error.stack).toMatch(/\nCaused by: 'a text'$/)

  const ring = new Error('ring')
  ring.cause = ring
  expect(outcomeOf(ring).error.stack!.match(/Caused by/g)).toHaveLength(5)
})

test('lines of a message that look like frames stay', () => {
  const message = 'query failed:\n    at node:internal, they said'
  expect(outcomeOf(new Error(message)).error.stack).toMatch(message)
})

test('the parts of an AggregateError are told, since it says nothing itself', () => {
  const refused = new AggregateError([new Error('connect ::1'), new Error('connect 127.0.0.1')], '')
  const { error } = outcomeOf(new TypeError('fetch failed', { cause: refused }))
  expect(error.stack).toMatch(
    /Caused by: AggregateError: [\s\S]*Caused by: Error: connect ::1[\s\S]*Caused by: Error: connect 127/,
  )
})

test('a message that was changed after the error was made is told as it is now', () => {
  const changed = new Error('a rather long message of before')
  changed.message = 'now'
  expect(outcomeOf(changed).error.stack).toMatch(/^Error: now\n {4}at [^\n]*outcome\.test\.ts/)
})

test('a skip tells its reason without a stack', () => {
  expect(outcomeOf(new TaskSkipError('nothing new')).error).toEqual({
    name: 'TaskSkipError',
    message: 'nothing new',
    stack: null,
  })
})

test('what throws when it is looked at is a failure like any other', () => {
  const trap = new Proxy(new Error('x'), {
    get() {
      throw new Error('trap')
    },
  })
  const outcome = outcomeOf(trap)
  expect(outcome).toMatchObject({ state: 'failed', retryable: true })
  expect(outcome.error.message).toContain('cannot be looked at')
})
