import { expect, test } from 'vitest'
import { type Api, startApi } from './api-fixture.ts'
import { insertDag, insertRun, insertTaskInstance } from './rows.ts'

const diamond = { top: [], left: ['top'], right: ['top'], bottom: ['left', 'right'] }
const runs = '/api/v2/dags/daily/dagRuns'

test('a trigger makes a queued run of the present version and wakes schedulers', async () => {
  await using api = await startApi()
  await insertDag(api.db, 'daily')
  const woken = Promise.withResolvers<string>()
  const listener = await api.db.listen('branchline', woken.resolve, () => {})
  const { status, body } = await api.post(runs, {
    run_id: 'mine',
    logical_date: '2026-03-01T02:00:00+02:00',
    params: { region: 'us' },
  })
  expect(status).toBe(201)
  expect(body).toMatchObject({
    run_id: 'mine',
    state: 'queued',
    run_type: 'manual',
    version_number: 1,
    commit_sha: 'a'.repeat(40),
    logical_date: '2026-03-01T00:00:00.000Z',
    params: { region: 'us' },
    duration: null,
    triggered_by: 'api',
  })
  expect(await woken.promise).toBe('runs')
  await listener.close()
  const again = await api.post(runs, { run_id: 'mine' })
  expect([again.status, again.body.code]).toEqual([409, 'CONFLICT'])
})

test('params that Postgres cannot keep are refused', async () => {
  await using api = await startApi()
  await insertDag(api.db, 'daily')
  const deep = JSON.parse('['.repeat(20_000) + ']'.repeat(20_000))
  for (const params of [{ a: 'a \0 b' }, { a: deep }]) {
    const { status, body } = await api.post(runs, { params })
    expect([status, body.code]).toEqual([400, 'INVALID_INPUT'])
  }
})

test('a trigger needs no body and names the run itself', async () => {
  await using api = await startApi()
  await insertDag(api.db, 'daily')
  const { status, body } = await api.post(runs)
  expect(status).toBe(201)
  expect(body.run_id).toMatch(/^manual__2\d{3}-/)
  expect(body.params).toEqual({})
})

test('runs are listed newest first, of one Dag or of all, by state', async () => {
  await using api = await startApi()
  await insertDag(api.db, 'daily')
  await insertDag(api.db, 'weekly')
  await insertRun(api.db, 'daily', 'one', 'success')
  await insertRun(api.db, 'weekly', 'two', 'failed')
  await insertRun(api.db, 'daily', 'three', 'running')
  const names = async (path: string) => {
    const { body } = await api.get(path)
    return [body.dag_runs.map((run: { run_id: string }) => run.run_id), body.total_entries]
  }
  expect(await names(runs)).toEqual([['three', 'one'], 2])
  expect(await names('/api/v2/dags/~/dagRuns')).toEqual([['three', 'two', 'one'], 3])
  expect(await names('/api/v2/dags/~/dagRuns?state=failed&state=success')).toEqual([['two', 'one'], 2])
  expect(await names('/api/v2/dags/~/dagRuns?state=running')).toEqual([['three'], 1])
  expect(await names('/api/v2/dags/~/dagRuns?limit=1&offset=1')).toEqual([['two'], 3])
})

test('a run comes with the instances of all its tasks, also of those not reached yet', async () => {
  await using api = await startApi()
  await insertDag(api.db, 'daily', { edges: diamond })
  const id = await insertRun(api.db, 'daily', 'one')
  await insertTaskInstance(api.db, id, 'top', 'success')
  await insertTaskInstance(api.db, id, 'right', 'up_for_retry')
  await insertTaskInstance(api.db, id, 'left', 'running')
  const { body } = await api.get(`${runs}/one`)
  expect(body).toMatchObject({ run_id: 'one', state: 'running', start_date: '2026-01-02T03:04:05.000Z' })
  expect(body.task_instances).toMatchObject([
    { task_id: 'top', state: 'success', try_number: 1, duration: 1.25, upstream_task_ids: [] },
    { task_id: 'left', state: 'running', duration: null, upstream_task_ids: ['top'] },
    { task_id: 'right', state: 'up_for_retry', next_try_at: '2026-01-02T03:05:00.000Z' },
    { task_id: 'bottom', state: 'none', try_number: 0, max_tries: 2, start_date: null },
  ])
})

test('a misspelt run is not found, and the nearest is named', async () => {
  await using api = await startApi()
  await insertDag(api.db, 'daily')
  await insertRun(api.db, 'daily', 'manual__2026-01-01')
  const { status, body } = await api.get(`${runs}/manual__2026-01-02`)
  expect(status).toBe(404)
  expect(body.message).toBe("Dag 'daily' has no run 'manual__2026-01-02'. Did you mean 'manual__2026-01-01'?")
})

const commandsOf = async (api: Api) =>
  (await api.db.query('select command, arguments, actor from run_command order by run_command_id')).rows

test('cancelling a run is asked of its scheduler once, and audited', async () => {
  await using api = await startApi()
  await insertDag(api.db, 'daily')
  const id = await insertRun(api.db, 'daily', 'one', 'queued')
  const heard: string[] = []
  const listener = await api.db.listen(
    'branchline',
    (payload) => heard.push(payload),
    () => {},
  )
  const changes: string[] = []
  const changesListener = await api.db.listen(
    'branchline_changes',
    (payload) => changes.push(payload),
    () => {},
  )
  expect((await api.post(`${runs}/one/cancel`)).status).toBe(202)
  expect((await api.post(`${runs}/one/cancel`)).status).toBe(202)
  expect(await commandsOf(api)).toEqual([{ command: 'cancel', arguments: {}, actor: 'api' }])
  const audit = await api.get('/api/v2/eventLogs?run_id=one')
  expect(audit.body.event_logs).toMatchObject([{ action: 'cancel', dag_id: 'daily', run_id: 'one' }])
  await Promise.all([listener.query('select 1'), changesListener.query('select 1')])
  expect(heard).toEqual(['commands'])
  expect(changes).toEqual([`[${id}]`])
  await Promise.all([listener.close(), changesListener.close()])
})

test('a run that has ended cannot be cancelled', async () => {
  await using api = await startApi()
  await insertDag(api.db, 'daily')
  await insertRun(api.db, 'daily', 'one', 'success')
  const { status, body } = await api.post(`${runs}/one/cancel`)
  expect([status, body.code]).toEqual([409, 'CONFLICT'])
  expect(await commandsOf(api)).toEqual([])
})

test('clearing a failed run runs what failed, and all below it, again', async () => {
  await using api = await startApi()
  await insertDag(api.db, 'daily', { edges: diamond })
  const id = await insertRun(api.db, 'daily', 'one', 'failed')
  await insertTaskInstance(api.db, id, 'top', 'success')
  await insertTaskInstance(api.db, id, 'left', 'success')
  await insertTaskInstance(api.db, id, 'right', 'failed')
  await insertTaskInstance(api.db, id, 'bottom', 'upstream_failed')
  const dry = await api.post(`${runs}/one/clear`, { dry_run: true })
  expect(dry.status).toBe(200)
  expect(dry.body).toEqual({
    dry_run: true,
    task_instances: [
      { task_id: 'right', map_index: -1, state: 'failed' },
      { task_id: 'bottom', map_index: -1, state: 'upstream_failed' },
    ],
  })
  expect(await commandsOf(api)).toEqual([])
  const real = await api.post(`${runs}/one/clear`)
  expect(real.status).toBe(202)
  expect(real.body).toEqual({ ...dry.body, dry_run: false })
  expect(await commandsOf(api)).toEqual([
    { command: 'clear', arguments: { task_ids: ['right', 'bottom'] }, actor: 'api' },
  ])
  const audit = await api.get('/api/v2/eventLogs')
  expect(audit.body.event_logs[0]).toMatchObject({
    action: 'clear',
    details: { task_ids: ['right', 'bottom'] },
  })
})

test('what cannot be cleared is a conflict or not found', async () => {
  await using api = await startApi()
  await insertDag(api.db, 'daily', { edges: diamond })
  const id = await insertRun(api.db, 'daily', 'one', 'running')
  await insertTaskInstance(api.db, id, 'top', 'success')
  const clear = async (body: object) => {
    const answer = await api.post(`${runs}/one/clear`, body)
    return [answer.status, answer.body.message]
  }
  expect(await clear({})).toEqual([409, expect.stringContaining('only_failed: false')])
  expect(await clear({ task_ids: ['bottom'] })).toEqual([409, expect.stringContaining('will run anyway')])
  expect(await clear({ task_ids: ['botom'] })).toEqual([404, expect.stringContaining("mean 'bottom'")])
  await api.post(`${runs}/one/cancel`)
  expect(await clear({ task_ids: ['top'] })).toEqual([409, expect.stringContaining('being cancelled')])
  expect((await commandsOf(api)).length).toBe(1)
})
