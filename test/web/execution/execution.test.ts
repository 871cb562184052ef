// The task execution API by itself: who may ask, what is answered, and that nothing is kept twice or of the wrong one.
import { createHash, randomUUID } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createPodIdentification } from '../../../k8s/pod-identity.ts'
import { createLogger } from '../../../runtime/log.ts'
import { openDatabase } from '../../../scheduler/database/connection.ts'
import { createWebServer, type WebServer } from '../../../web/server/web-server.ts'
import { commitSha, createExecution, type Execution, type TestAttempt } from '../../support/execution.ts'
import { testIssuer } from '../../support/pod-tokens.ts'

const bundle = 'export default 1'
const settings = { heartbeatIntervalMs: 1_000, killGraceMs: 2_000, xcomMaxBytes: 1_000 }
const start = { start_ms: 1_700_000_000_000, hostname: 'pod-1', pid: 2 }

let execution: Execution
let server: WebServer
let url: string

beforeAll(async () => {
  execution = await createExecution(bundle)
  server = createWebServer({
    db: execution.db,
    logsDir: execution.logsDir,
    log: createLogger('web', { level: 'silent' }),
    version: '1',
    execution: {
      identification: createPodIdentification({
        keySet: async () => ({ keys: [execution.tokens.jwk as Record<string, unknown>] }),
        issuer: async () => testIssuer,
      }),
      settings,
    },
  })
  url = (await server.start({ host: '127.0.0.1', port: 0 })).url
})
afterAll(async () => {
  await server.stop()
  await execution[Symbol.asyncDispose]()
})

// Tests look into answers freely.
// biome-ignore lint/suspicious/noExplicitAny: as said
type Answer = { status: number; body: any }

async function ask(token: string | null, path: string, body?: unknown): Promise<Answer> {
  const isText = typeof body === 'string'
  const response = await fetch(`${url}/execution${path}`, {
    method: path === '/bundle' ? 'GET' : 'POST',
    headers: {
      ...(token !== null && { authorization: `Bearer ${token}` }),
      ...(body !== undefined && { 'content-type': isText ? 'application/x-ndjson' : 'application/json' }),
    },
    ...(body !== undefined && { body: isText ? body : JSON.stringify(body) }),
  })
  const text = await response.text()
  return { status: response.status, body: path === '/bundle' && response.ok ? text : JSON.parse(text) }
}

function finish(more: Record<string, unknown> = {}) {
  const result = (more.result as string | null | undefined) ?? null
  return {
    state: 'success',
    retryable: false,
    error: null,
    exit_code: null,
    start_ms: 1,
    end_ms: 2,
    memory_peak_bytes: null,
    result_sha256: result === null ? null : createHash('sha256').update(result).digest('hex'),
    ...more,
    result,
  }
}

/** Its task instance goes on without it. */
async function giveUp({ key }: TestAttempt): Promise<void> {
  await execution.db.query(
    `update task_instance set state = 'failed', attempt_state = 'failed' where dag_run_id = $1 and task_id = $2`,
    [key.dag_run_id, key.task_id],
  )
}

const requests = (): [string, unknown?][] => [
  ['/start', start],
  ['/bundle'],
  ['/heartbeat', { memory_peak_bytes: 1 }],
  ['/logs?offset=0', 'line\n'],
  ['/finish', finish()],
]

test('the order is made of run, version and results, and may be asked for again', async () => {
  const attempt = await execution.insertAttempt('load', {
    inputs: { orders: 'extract', rows: 'nothing' },
    execution_timeout_ms: 5_000,
  })
  await execution.insertResult(attempt, 'extract', { n: 1 })
  const first = await ask(attempt.podToken, '/start', start)
  expect(first.status).toBe(200)
  expect(first.body).toMatchObject({
    heartbeat_interval_ms: 1_000,
    kill_grace_ms: 2_000,
    xcom_max_bytes: 1_000,
    log_bytes: 0,
    order: {
      dag_id: 'd',
      run_id: attempt.runId,
      task_id: 'load',
      map_index: -1,
      try_number: 1,
      max_tries: 2,
      inputs: { orders: '{"n":1}' },
      commit_sha: commitSha,
      execution_timeout_ms: 5_000,
      bundle_hash: createHash('sha256').update(bundle).digest('hex'),
    },
  })
  expect(JSON.parse(first.body.order.params)).toEqual({ region: 'eu', given: 1 })
  const row = await execution.ledger(attempt)
  expect(row).toMatchObject({ uid: attempt.podUid, hostname: 'pod-1', pid: 2, state: 'created' })
  expect(row.started_at).toEqual(new Date(start.start_ms))
  expect(await ask(attempt.podToken, '/start', { ...start, start_ms: 2 })).toEqual(first)
  expect(await execution.ledger(attempt)).toEqual(row)
})

test('the bundle of the version that the run is pinned to is sent as it is', async () => {
  const attempt = await execution.insertAttempt('ok')
  expect(await ask(attempt.podToken, '/bundle')).toEqual({ status: 200, body: bundle })
})

test('nobody is served without the token of a pod that the ledger has', async () => {
  const attempt = await execution.insertAttempt('ok')
  const { namespace, podName, podUid } = attempt
  const strangers: [string | null, string][] = [
    [null, 'no token'],
    ['nonsense', 'no JWT'],
    [await execution.tokens.sign({ namespace, podName: 'other', podUid }), "no pod 'other'"],
    [await execution.tokens.sign({ namespace: 'kube-system', podName, podUid }), 'no pod'],
  ]
  for (const [token, why] of strangers) {
    for (const [path, body] of requests()) {
      const answer = await ask(token, path, body)
      expect(answer).toMatchObject({ status: 401, body: { code: 'UNAUTHENTICATED' } })
      expect(answer.body.message).toContain(why)
    }
  }
  expect((await execution.ledger(attempt)).uid).toBeNull()
})

test('the first pod of the name has the attempt, and one that was made later under that name has not', async () => {
  const attempt = await execution.insertAttempt('ok')
  await ask(attempt.podToken, '/heartbeat', { memory_peak_bytes: null })
  const impostor = await execution.tokens.sign({ ...attempt, podUid: randomUUID() })
  expect(await ask(impostor, '/start', start)).toMatchObject({ status: 401 })
  expect((await execution.ledger(attempt)).uid).toBe(attempt.podUid)
})

test('an attempt that is not the current one is told so, whatever it asks, and changes nothing', async () => {
  const attempt = await execution.insertAttempt('ok')
  await ask(attempt.podToken, '/start', start)
  await giveUp(attempt)
  const before = await execution.ledger(attempt)
  for (const [path, body] of requests()) {
    expect(await ask(attempt.podToken, path, body)).toMatchObject({
      status: 410,
      body: { code: 'ATTEMPT_NOT_CURRENT' },
    })
  }
  expect(await execution.ledger(attempt)).toEqual(before)
  expect(execution.logText(attempt)).toBe('')
})

test('an end is kept once, is announced, and is acknowledged again after the run has gone on', async () => {
  const attempt = await execution.insertAttempt('ok')
  await ask(attempt.podToken, '/start', start)
  const { revision } = await execution.ledger(attempt)
  const heard: string[] = []
  const listener = await execution.db.listen(
    'branchline',
    (payload) => heard.push(payload),
    () => {},
  )
  expect(await ask(attempt.podToken, '/finish', finish({ result: '{"a":"\\u0000"}' }))).toEqual({
    status: 200,
    body: {},
  })
  const row = await execution.ledger(attempt)
  expect(row).toMatchObject({
    result: '{"a":"\\u0000"}',
    revision: revision + 1,
    finish: { state: 'success' },
  })
  expect(row.finish).not.toHaveProperty('result')
  expect(await ask(attempt.podToken, '/finish', finish({ state: 'failed' }))).toEqual({
    status: 200,
    body: {},
  })
  await giveUp(attempt)
  expect(await ask(attempt.podToken, '/finish', finish())).toEqual({ status: 200, body: {} })
  expect(await execution.ledger(attempt)).toEqual(row)
  await listener.query('select 1')
  expect(heard).toEqual(['pods'])
  await listener.close()
  // There is nothing more to say after it.
  expect(await ask(attempt.podToken, '/start', start)).toMatchObject({ status: 410 })
})

test('ends that are told at once are one', async () => {
  const attempt = await execution.insertAttempt('ok')
  const answers = await Promise.all(
    [1, 2, 3, 4].map((n) => ask(attempt.podToken, '/finish', finish({ result: String(n) }))),
  )
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200])
  expect((await execution.ledger(attempt)).revision).toBe(2)
})

test.for([
  ['another content than was announced', { result: '1', result_sha256: 'a'.repeat(64) }, 'SHA-256'],
  ['a result without its hash', { result: '1', result_sha256: null }, 'belong together'],
  ['more than may be kept', { result: JSON.stringify('x'.repeat(1_000)) }, 'xcom_max_bytes'],
  ['a state that is none', { state: 'done' }, 'state'],
  ['an end after the year 9999', { end_ms: 1e15 }, 'end_ms'],
  ['what nobody asked for', { retires: 1 }, "no property 'retires'"],
] as const)('a report with %s is refused', async ([, more, why]) => {
  const attempt = await execution.insertAttempt('ok')
  const answer = await ask(attempt.podToken, '/finish', finish(more))
  expect(answer).toMatchObject({ status: 400, body: { code: 'INVALID_INPUT' } })
  expect(answer.body.message).toContain(why)
  expect((await execution.ledger(attempt)).finish).toBeNull()
})

test.for([
  ['no JSON', 'undefined', 'is not JSON'],
  ['deep, but not too deep', `${'['.repeat(499)}1${']'.repeat(499)}`, null],
] as const)('a result that is %s is judged as every executor does', async ([, result, fault]) => {
  const attempt = await execution.insertAttempt('ok')
  await ask(attempt.podToken, '/finish', finish({ result }))
  const row = await execution.ledger(attempt)
  if (fault === null) expect(row).toMatchObject({ result, finish: { state: 'success' } })
  else
    expect(row).toMatchObject({ result: null, finish: { state: 'failed', error: { name: 'TaskFailError' } } })
})

test('texts that Postgres cannot keep are made fit', async () => {
  const attempt = await execution.insertAttempt('ok')
  const error = { name: 'E\0', message: '\ud800', stack: 'at \0' }
  expect((await ask(attempt.podToken, '/finish', finish({ state: 'failed', error }))).status).toBe(200)
  expect((await execution.ledger(attempt)).finish!.error).toEqual({
    name: 'E\ufffd',
    message: '\ufffd',
    stack: 'at \ufffd',
  })
})

test('a heartbeat tells why the attempt is to end, and memory is written when it grew', async () => {
  const attempt = await execution.insertAttempt('ok')
  const beat = (peak: number | null) => ask(attempt.podToken, '/heartbeat', { memory_peak_bytes: peak })
  const peak = async () => (await execution.ledger(attempt)).memory_peak_bytes
  expect((await beat(1_000)).body).toEqual({ cancel: null })
  await beat(1_050)
  expect(await peak()).toBe(1_000)
  await beat(1_200)
  await beat(null)
  expect(await peak()).toBe(1_200)
  await execution.db.query(`update pod set cancel_reason = 'cancelled' where dag_run_id = $1`, [
    attempt.key.dag_run_id,
  ])
  expect((await beat(0)).body).toEqual({ cancel: 'cancelled' })
  await ask(attempt.podToken, '/finish', finish({ memory_peak_bytes: 5_000 }))
  expect(await peak()).toBe(5_000)
})

test('lines are kept once, wherever they begin', async () => {
  const attempt = await execution.insertAttempt('ok')
  const logs = async (offset: number, text: string) =>
    (await ask(attempt.podToken, `/logs?offset=${offset}`, text)).body.log_bytes
  expect(await logs(0, 'one\n')).toBe(4)
  expect(await logs(0, 'one\n')).toBe(4)
  expect(await logs(0, 'one\ntwo\n')).toBe(8)
  expect(await logs(100, 'later\n')).toBe(8)
  expect(await logs(8, '')).toBe(8)
  expect(await logs(8, 'drei ✓\n')).toBe(17)
  expect(execution.logText(attempt)).toBe('one\ntwo\ndrei ✓\n')
  expect(await ask(attempt.podToken, '/logs', 'x\n')).toMatchObject({ status: 400 })
  expect(await ask(attempt.podToken, '/logs?offset=-1', 'x\n')).toMatchObject({ status: 400 })
})

test('the API describes itself, and a server without pods has none of it', async () => {
  const openapi: Answer['body'] = await (await fetch(`${url}/api/v2/openapi.json`)).json()
  expect(Object.keys(openapi.paths).filter((path) => path.startsWith('/execution'))).toHaveLength(6)
  expect(openapi.paths['/execution/start'].post.tags).toEqual(['Execution'])
  const db = openDatabase(execution.databaseUrl)
  await using plain = createWebServer({
    db,
    logsDir: execution.logsDir,
    log: createLogger('web', { level: 'silent' }),
    version: '1',
  })
  const { url: plainUrl } = await plain.start({ host: '127.0.0.1', port: 0 })
  expect((await fetch(`${plainUrl}/execution/start`, { method: 'POST' })).status).toBe(404)
  await db.close()
})
