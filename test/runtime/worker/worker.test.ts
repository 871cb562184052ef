// `branchline task` as a process, against `branchline web` as a process and a real Postgres.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createExecution, type Execution, type TestWeb } from '../../support/execution.ts'

let execution: Execution
let web: TestWeb

const bundle = `
import { setTimeout as delay } from 'node:timers/promises'
const { bash, dag, task, TaskSkipError } = globalThis[Symbol.for('branchline.authoring')]
export default dag('d', { params: { region: 'eu' } }, () => {
  task('ok', async ({ log, params, runId, sourcePath }) => {
    log.info('hello', { n: 1 })
    console.log('from the console')
    return { params, runId, sourcePath }
  })
  task('fails', () => { throw new Error('no luck') })
  task('skips', () => { throw new TaskSkipError('not today') })
  bash('bash', 'echo out; echo err >&2; exit 3')
})`

beforeAll(async () => {
  execution = await createExecution(bundle)
  web = await execution.startWeb()
})
afterAll(() => execution[Symbol.asyncDispose]())

test('an attempt runs, its log and its result reach the server, and the program ends with 0', async () => {
  const attempt = await execution.insertAttempt('ok')
  const worker = execution.startWorker(attempt, { url: web.url })
  expect(await worker.exited).toEqual({ code: 0, signal: null })
  expect(worker.stderr()).toBe('')
  const row = await execution.ledger(attempt)
  expect(row).toMatchObject({
    uid: attempt.podUid,
    pid: worker.pid,
    finish: { state: 'success', error: null },
  })
  expect(JSON.parse(row.result!)).toMatchObject({ params: { region: 'eu', given: 1 }, runId: attempt.runId })
  expect(execution.log(attempt).map(({ msg }) => msg)).toEqual(['hello', 'from the console'])
  expect(worker.stdout().toString()).toBe(execution.logText(attempt))
})

test.for([
  ['fails', 'failed', 1],
  ['skips', 'skipped', 0],
  ['bash', 'failed', 1],
] as const)('an attempt of %s ends as %s, and the program with %i', async ([taskId, state, code]) => {
  const attempt = await execution.insertAttempt(taskId)
  const worker = execution.startWorker(attempt, { url: web.url })
  expect(await worker.exited).toEqual({ code, signal: null })
  expect((await execution.ledger(attempt)).finish).toMatchObject({ state })
  expect(worker.stdout().toString()).toBe(execution.logText(attempt))
})
