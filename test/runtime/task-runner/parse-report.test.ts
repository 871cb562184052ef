// What the scheduler makes of the lines that come out of a task runner, which user code may have written.
import { expect, test } from 'vitest'
import { parseReport } from '../../../runtime/task-runner/parse-report.ts'
import type { FinishReport } from '../../../runtime/task-runner/protocol.ts'

const finish: FinishReport = {
  type: 'finish',
  attempt_id: '1/t/-1/1',
  token: 'token',
  state: 'success',
  retryable: false,
  result: '{"a":1}',
  error: null,
  exit_code: null,
  start_ms: 1_700_000_000_000,
  end_ms: 1_700_000_000_005,
  reusable: true,
}

const parsed = (changes: object) => parseReport(JSON.stringify({ ...finish, ...changes }))

test('a report is read as it was written', () => {
  expect(parsed({})).toEqual(finish)
})

test.each([
  'garbage',
  '',
  'null',
  '42',
  '[]',
  '{}',
  '{"type":"finish"}',
  '{"type":"start","attempt_id":"1/t/-1/1","token":"x","start_ms":"soon"}',
  '{"type":"revoked","attempt_ids":[1]}',
])('%s is no report', (line) => {
  expect(parseReport(line)).toBeNull()
})

test.each([
  { state: 'running' },
  { result: 1 },
  { error: 'text' },
  { exit_code: 1.5 },
  { exit_code: 2 ** 40 },
  { start_ms: null },
  { end_ms: 8.64e15 },
  { token: null },
])('a finish with %j is no report', (changes) => {
  expect(parsed(changes)).toBeNull()
})

test('what Postgres cannot keep of an error is replaced', () => {
  const error = { name: 'E\0', message: 'half \ud800 of a pair', stack: 'at \0' }
  expect(parsed({ state: 'failed', result: null, error })).toMatchObject({
    error: { name: 'E\ufffd', message: 'half \ufffd of a pair', stack: 'at \ufffd' },
  })
})

test.each([
  ['is not JSON', 'HA'],
  ['is nested more than 1000 levels deep', '['.repeat(1_001) + ']'.repeat(1_001)],
])('a result that %s fails its task for good', (fault, result) => {
  const report = parsed({ result })
  expect(report).toMatchObject({ state: 'failed', retryable: false, result: null })
  expect((report as FinishReport).error!.message).toContain(fault)
})

test('brackets in texts are no nesting', () => {
  const result = JSON.stringify(`\\"${'['.repeat(2_000)}`)
  expect(parsed({ result })).toMatchObject({ state: 'success', result })
})
