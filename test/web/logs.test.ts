import { appendFile, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { attemptLogPath } from '../../runtime/log-line.ts'
import { eventually } from '../support/eventually.ts'
import { type Api, startApi } from './api-fixture.ts'
import { insertDag, insertRun, insertTaskInstance } from './rows.ts'

const place = { dag_id: 'daily', run_id: 'one', task_id: 'only', map_index: -1, try_number: 1 }
const instance = '/api/v2/dags/daily/dagRuns/one/taskInstances/only'

async function withAttempt(
  state: 'running' | 'success' | 'failed',
): Promise<{ api: Api; id: number; path: string }> {
  const api = await startApi()
  await insertDag(api.db, 'daily')
  const id = await insertRun(api.db, 'daily', 'one')
  await insertTaskInstance(api.db, id, 'only', state)
  const path = attemptLogPath(api.logsDir, place)
  await mkdir(dirname(path), { recursive: true })
  return { api, id, path }
}

test('a task instance comes with its attempts and its result', async () => {
  const { api } = await withAttempt('success')
  await using _ = api
  const { body } = await api.get(instance)
  expect(body).toMatchObject({
    dag_id: 'daily',
    run_id: 'one',
    state: 'success',
    xcom: { key: 'return_value', value: { rows: 3 } },
    attempts: [
      { try_number: 1, state: 'success', hostname: 'host-1', pid: 4711, duration: 1.25, error: null },
    ],
  })
})

test('a failed attempt tells its error', async () => {
  const { api } = await withAttempt('failed')
  await using _ = api
  const { body } = await api.get(instance)
  expect(body.xcom).toBeNull()
  expect(body.attempts[0].error).toEqual({ name: 'Error', message: 'no luck', stack: null })
})

test('a task that was not reached has no attempts, and a misspelt one is not found', async () => {
  await using api = await startApi()
  await insertDag(api.db, 'daily', { edges: { extract: [] } })
  await insertRun(api.db, 'daily', 'one')
  const path = '/api/v2/dags/daily/dagRuns/one/taskInstances'
  expect((await api.get(`${path}/extract`)).body).toMatchObject({ state: 'none', attempts: [], xcom: null })
  const { status, body } = await api.get(`${path}/extrct`)
  expect(status).toBe(404)
  expect(body.message).toBe("run 'one' of Dag 'daily' has no task 'extrct'. Did you mean 'extract'?")
})

test('a log is sent as it is in the file, from the offset on', async () => {
  const { api, path } = await withAttempt('success')
  await using _ = api
  const text = '{"msg":"grüß"}\n'.repeat(20_000)
  await writeFile(path, text)
  const response = await fetch(`${api.url}${instance}/logs/1`)
  expect(response.headers.get('content-type')).toContain('application/x-ndjson')
  expect(await response.text()).toBe(text)
  const offset = Buffer.byteLength(text) - 4
  const rest = await fetch(`${api.url}${instance}/logs/1?offset=${offset}`)
  expect(Buffer.from(await rest.arrayBuffer())).toEqual(Buffer.from(text).subarray(offset))
})

test('an attempt that said nothing has an empty log, and one that was not made has none', async () => {
  const { api } = await withAttempt('success')
  await using _ = api
  const response = await fetch(`${api.url}${instance}/logs/1`)
  expect([response.status, await response.text()]).toEqual([200, ''])
  const { status, body } = await api.get(`${instance}/logs/2`)
  expect(status).toBe(404)
  expect(body.message).toBe("task 'only' of run 'one' has no attempt 2: there is 1")
})

test('a followed log sends what is appended, and ends with its attempt', async () => {
  const { api, id, path } = await withAttempt('running')
  await using _ = api
  const response = await fetch(`${api.url}${instance}/logs/1?follow=true`)
  let text = ''
  const ended = (async () => {
    for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) text += chunk
  })()
  await appendFile(path, 'first\n')
  await eventually('the first line', () => text === 'first\n')
  await appendFile(path, 'second\n')
  await eventually('the second line', () => text === 'first\nsecond\n')
  await appendFile(path, 'last\n')
  await api.db.query(
    `update task_instance set state = 'success', attempt_state = 'success', end_date = now() where dag_run_id = $1`,
    [id],
  )
  await api.db.query('select pg_notify($1, $2)', ['branchline_changes', JSON.stringify([id])])
  await ended
  expect(text).toBe('first\nsecond\nlast\n')
})

test('a followed log ends also where the notification was lost', async () => {
  const { api, id } = await withAttempt('running')
  await using _ = api
  const response = await fetch(`${api.url}${instance}/logs/1?follow=true`)
  await api.db.query(
    `update task_instance set state = 'success', attempt_state = 'success', end_date = now() where dag_run_id = $1`,
    [id],
  )
  expect(await response.text()).toBe('')
})

test('a followed log ends when the server stops', async () => {
  const { api, path } = await withAttempt('running')
  await using _ = api
  await writeFile(path, 'first\n')
  const response = await fetch(`${api.url}${instance}/logs/1?follow=true`)
  const begin = performance.now()
  await api.server.stop()
  expect(performance.now() - begin).toBeLessThan(400)
  expect(await response.text()).toBe('first\n')
})

test('a log that leads out of the log directory is not read', async () => {
  const { api, path } = await withAttempt('success')
  await using _ = api
  await using cleanup = new AsyncDisposableStack()
  const outsideDir = await mkdtemp(join(tmpdir(), 'branchline-outside-'))
  cleanup.defer(() => rm(outsideDir, { recursive: true }))
  const outside = join(outsideDir, 'secret.log')
  await writeFile(outside, 'secret\n')
  await symlink(outside, path)
  const response = await fetch(`${api.url}${instance}/logs/1`)
  expect(await response.text()).toBe('')
})
