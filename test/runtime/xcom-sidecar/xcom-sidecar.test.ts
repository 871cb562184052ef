// The sidecar of an operator's pod, as a process, with a server that keeps what it brings.
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { workerVariables } from '../../../runtime/execution-api.ts'
import { programPath } from '../../../runtime/programs.ts'
import { createExecution, type Execution, type TestAttempt, type TestWeb } from '../../support/execution.ts'

const xcomMaxBytes = 3_000_000

let execution: Execution
let web: TestWeb
beforeAll(async () => {
  execution = await createExecution('export default 1')
  web = await execution.startWeb({ env: { BRANCHLINE_XCOM_MAX_BYTES: String(xcomMaxBytes) } })
})
afterAll(async () => {
  await execution[Symbol.asyncDispose]()
})

let directory: string
let attempt: TestAttempt
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'branchline-xcom-'))
  attempt = await execution.insertAttempt('train')
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

const leave = (content: string | Buffer) => writeFileSync(join(directory, 'return.json'), content)

/** Runs it to its end. */
async function sidecar(url = web.url): Promise<{ code: number | null; stderr: string }> {
  writeFileSync(join(directory, 'token'), attempt.podToken)
  const child = spawn(process.execPath, [programPath('branchline'), 'xcom-sidecar'], {
    env: {
      PATH: process.env.PATH ?? '',
      [workerVariables.executionApiUrl]: url,
      [workerVariables.tokenFile]: join(directory, 'token'),
      [workerVariables.xcomPath]: directory,
    },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let stderr = ''
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk
  })
  const exited = new Promise<number | null>((done) => child.once('close', (code) => done(code)))
  return { code: await exited, stderr }
}

test('what base left is kept as it is, and taken as the success of the attempt', async () => {
  leave('{ "accuracy": 0.5, "text": "ä€😀 \\u0000 $(X)" }\n')
  expect(await sidecar()).toEqual({ code: 0, stderr: '' })
  const { result, finish, revision } = await execution.ledger(attempt)
  expect(JSON.parse(result!)).toEqual({ accuracy: 0.5, text: 'ä€😀 \u0000 $(X)' })
  expect(finish).toMatchObject({ state: 'success', error: null })
  expect(revision).toBe(2)
})

test.each([
  ['no file', null],
  ['an empty file', ''],
  ['a file with white space alone', ' \n'],
])('%s is no result', async (_, content) => {
  if (content !== null) leave(content)
  expect(await sidecar()).toMatchObject({ code: 0 })
  expect(await execution.ledger(attempt)).toMatchObject({ result: null, finish: { state: 'success' } })
})

test('a result of megabytes arrives whole', async () => {
  const value = Array.from({ length: 40_000 }, (_, id) => ({ id, name: `row ${id} of many, with some text` }))
  const text = JSON.stringify(value)
  expect(text.length).toBeGreaterThan(2_000_000)
  leave(text)
  expect(await sidecar()).toMatchObject({ code: 0 })
  expect((await execution.ledger(attempt)).result).toBe(text)
})

test.each<[string, string | Buffer, RegExp]>([
  ['Python text', "{'a': 1}", /return\.json is not JSON \(.+\)\. It begins with "\{'a': 1\}"/],
  ['half a file', `{"a": [${'1,'.repeat(500)}`, /is not JSON.*It begins with "\{\\"a\\": \[1,1,[1,]+…"/],
  ['no number', '{"a": NaN}', /is not JSON/],
  ['bytes', Buffer.from([0x22, 0xff, 0x22]), /is not UTF-8 text/],
  [
    'too much',
    `"${'x'.repeat(xcomMaxBytes)}"`,
    /return\.json has 3000002 bytes, more than the 3000000 of xcom_max_bytes/,
  ],
])('%s is refused with words, and nothing is kept', async (_, content, words) => {
  leave(content)
  const { code, stderr } = await sidecar()
  expect(stderr).toMatch(words)
  expect(stderr.trim().split('\n')).toHaveLength(1)
  expect(code).toBe(1)
  expect(await execution.ledger(attempt)).toMatchObject({ result: null, finish: null })
})

test('a server that is away is waited for', async () => {
  leave('[1]')
  const port = web.port
  web.child.kill('SIGKILL')
  await web.exited
  const sending = sidecar()
  web = await execution.startWeb({ port, env: { BRANCHLINE_XCOM_MAX_BYTES: String(xcomMaxBytes) } })
  expect(await sending).toMatchObject({ code: 0 })
  expect((await execution.ledger(attempt)).result).toBe('[1]')
})

test('the result of an attempt that is not the current one any more is kept nowhere', async () => {
  leave('[1]')
  await execution.db.query(
    `update task_instance set state = 'failed', attempt_state = 'failed' where dag_run_id = $1`,
    [attempt.key.dag_run_id],
  )
  expect(await sidecar()).toMatchObject({ code: 3 })
  expect(await execution.ledger(attempt)).toMatchObject({ result: null, finish: null })
})

test('a result that was changed on its way, or has no digest, is refused', async () => {
  for (const digest of [null, 'f'.repeat(64)]) {
    const response = await fetch(`${web.url}/execution/xcom`, {
      method: 'PUT',
      headers: {
        authorization: `Bearer ${attempt.podToken}`,
        'content-type': 'application/octet-stream',
        ...(digest !== null && { 'x-content-sha256': digest }),
      },
      body: '[1]',
    })
    expect(response.status).toBe(400)
  }
  expect(await execution.ledger(attempt)).toMatchObject({ result: null, finish: null })
})
