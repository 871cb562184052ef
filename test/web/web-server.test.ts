import { request as httpRequest } from 'node:http'
import { Value } from 'typebox/value'
import { expect, test } from 'vitest'
import { createLogger } from '../../runtime/log.ts'
import { openDatabase } from '../../scheduler/database/connection.ts'
import { ErrorBody } from '../../web/server/schemas/common.ts'
import { createWebServer } from '../../web/server/web-server.ts'
import { createTestDatabase } from '../support/postgres.ts'
import { startApi } from './api-fixture.ts'
import { insertDag } from './rows.ts'

test('the OpenAPI document lists every path with its parameters and answers', async () => {
  await using api = await startApi()
  // biome-ignore lint/suspicious/noExplicitAny: a document of somebody else's making
  const document = (await (await fetch(`${api.url}/api/v2/openapi.json`)).json()) as any
  expect(document.openapi).toBe('3.1.0')
  expect(document.info).toMatchObject({ title: 'Branchline', version: '1.2.3' })
  expect(Object.keys(document.paths['/api/v2/events'].get.responses['200'].content)).toEqual([
    'text/event-stream',
  ])
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.keys(methods as object).map((method) => `${method} ${path}`),
  )
  const run = '/api/v2/dags/{dag_id}/dagRuns/{run_id}'
  expect(operations.sort()).toEqual(
    [
      'get /api/v2/dags',
      'get /api/v2/dags/{dag_id}',
      'patch /api/v2/dags/{dag_id}',
      'get /api/v2/dags/{dag_id}/dagRuns',
      'post /api/v2/dags/{dag_id}/dagRuns',
      `get ${run}`,
      `post ${run}/cancel`,
      `post ${run}/clear`,
      `get ${run}/taskInstances/{task_id}`,
      `get ${run}/taskInstances/{task_id}/logs/{try_number}`,
      'get /api/v2/pods',
      'get /api/v2/pods/{namespace}/{pod_name}',
      'get /api/v2/importErrors',
      'get /api/v2/eventLogs',
      'get /api/v2/monitor/health',
      'get /api/v2/events',
    ].sort(),
  )
})

test.each([
  ['a query that is misspelt', 'GET', '/api/v2/dags?limt=5', undefined, "Did you mean 'limit'?"],
  ['a number that is too large', 'GET', '/api/v2/dags?limit=100000', undefined, 'limit'],
  [
    'a state that there is not',
    'GET',
    '/api/v2/dags/~/dagRuns?state=done',
    undefined,
    'queued, running, success, failed',
  ],
  [
    'a body of another shape',
    'PATCH',
    '/api/v2/dags/daily',
    { is_paused: null },
    'body: is_paused must be boolean',
  ],
  ['a body that says nothing', 'PATCH', '/api/v2/dags/daily', {}, 'must have is_paused'],
  [
    "Airflow's name for params",
    'POST',
    '/api/v2/dags/daily/dagRuns',
    { conf: {} },
    'run_id, logical_date, params',
  ],
  ['a date that is none', 'POST', '/api/v2/dags/daily/dagRuns', { logical_date: 'today' }, 'date-time'],
  [
    'a run_id with letters that are not allowed',
    'POST',
    '/api/v2/dags/daily/dagRuns',
    { run_id: 'a/b' },
    'a/b',
  ],
  ['a NUL in a path', 'GET', '/api/v2/dags/a%00b', undefined, 'path'],
])('%s is refused, and the message says what is wrong', async (_, method, path, body, words) => {
  await using api = await startApi()
  await insertDag(api.db, 'daily')
  const answer =
    method === 'GET'
      ? await api.get(path)
      : method === 'PATCH'
        ? await api.patch(path, body)
        : await api.post(path, body)
  expect([answer.status, answer.body.code]).toEqual([400, 'INVALID_INPUT'])
  expect(answer.body.message).toContain(words)
})

test('what is no JSON, or too much of it, is refused', async () => {
  await using api = await startApi()
  const post = async (body: string, type: string) => {
    const response = await fetch(`${api.url}/api/v2/dags/daily/dagRuns`, {
      method: 'POST',
      body,
      headers: { 'content-type': type },
    })
    const answer: unknown = await response.json()
    expect(Value.Check(ErrorBody, answer)).toBe(true)
    return response.status
  }
  expect(await post('{', 'application/json')).toBe(400)
  expect(await post('a=b', 'application/x-www-form-urlencoded')).toBe(415)
  expect(await post(JSON.stringify({ params: { text: 'x'.repeat(2 ** 21) } }), 'application/json')).toBe(413)
})

test('an unknown path or method is not found, and what was meant is named', async () => {
  await using api = await startApi()
  const path = await api.get('/api/v2/dag/daily/dagRun')
  expect(path.status).toBe(404)
  expect(path.body.message).toContain("Did you mean '/api/v2/dags/daily/dagRuns'?")
  const method = await api.post('/api/v2/dags/daily')
  expect(method.body.message).toBe('/api/v2/dags/daily has no POST, only GET and PATCH')
})

/** fetch() sets Host and Origin itself. */
function statusWith(url: string, headers: Record<string, string>): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    httpRequest(url, { method: 'POST', headers }, (response) => {
      response.resume()
      resolve(response.statusCode)
    })
      .on('error', reject)
      .end()
  })
}

test("other people's web pages may not use a server on loopback", async () => {
  await using api = await startApi()
  await insertDag(api.db, 'daily')
  const trigger = `${api.url}/api/v2/dags/daily/dagRuns`
  const { host, port } = new URL(api.url)
  expect(await statusWith(trigger, { origin: 'https://elsewhere.example' })).toBe(403)
  expect(await statusWith(trigger, { host: `elsewhere.example:${port}` })).toBe(403)
  expect(await statusWith(trigger, { origin: 'null' })).toBe(403)
  const { rows } = await api.db.query('select run_id from dag_run')
  expect(rows).toEqual([])
  expect(await statusWith(trigger, { origin: `http://${host}` })).toBe(201)
  expect(await statusWith(trigger, { host: `localhost:${port}` })).toBe(201)
  const proxied = { origin: 'https://flows.example', 'x-forwarded-host': 'flows.example' }
  expect(await statusWith(trigger, proxied)).toBe(201)
})

test('health tells schema, schedulers and what they hold', async () => {
  await using api = await startApi()
  const dead = await api.get('/api/v2/monitor/health')
  expect(dead.body).toMatchObject({
    version: '1.2.3',
    metadatabase: { status: 'healthy', message: null },
    scheduler: { status: 'unhealthy' },
    schedulers: [],
  })
  await api.db.query(
    `insert into scheduler (hostname, pid, lease_expires_at)
     values ('alive', 1, now() + interval '1 minute'), ('gone', 2, now() - interval '1 minute'), ('left', 3, '-infinity')`,
  )
  const { body } = await api.get('/api/v2/monitor/health')
  expect(body.metadatabase.schema_version).toBeGreaterThan(0)
  expect(body.scheduler.status).toBe('healthy')
  expect(
    body.schedulers.map((one: { hostname: string; status: string }) => [one.hostname, one.status]),
  ).toEqual([
    ['alive', 'healthy'],
    ['gone', 'unhealthy'],
    ['left', 'unhealthy'],
  ])
  expect(body.schedulers[0].lease_expires_in_ms).toBeGreaterThan(50_000)
})

test('the audit is paged, newest first', async () => {
  await using api = await startApi()
  await insertDag(api.db, 'daily')
  for (const run_id of ['one', 'two', 'three']) await api.post('/api/v2/dags/daily/dagRuns', { run_id })
  const { body } = await api.get('/api/v2/eventLogs?limit=2&offset=1')
  expect(body.total_entries).toBe(3)
  expect(body.event_logs).toMatchObject([
    { action: 'trigger', run_id: 'two', actor: 'api' },
    { action: 'trigger', run_id: 'one' },
  ])
})

test('a port in use is an error that names it and says what to do', async () => {
  await using api = await startApi()
  const { port } = new URL(api.url)
  const second = createWebServer({
    db: api.db,
    logsDir: api.logsDir,
    log: createLogger('web', { level: 'silent' }),
    version: '1.2.3',
  })
  await expect(second.start({ host: '127.0.0.1', port: Number(port) })).rejects.toMatchObject({
    code: 'CONFIG',
    message: expect.stringContaining(`127.0.0.1:${port}`),
  })
})

test('a database that nobody has migrated yet is not available', async () => {
  await using database = await createTestDatabase()
  await using stack = new AsyncDisposableStack()
  const db = stack.adopt(openDatabase(database.url), (opened) => opened.close())
  await using api = await startApi({ db })
  const { status, body, headers } = await api.get('/api/v2/dags')
  expect([status, body.code]).toEqual([503, 'DATABASE_UNAVAILABLE'])
  expect(headers.get('retry-after')).toBe('1')
})
