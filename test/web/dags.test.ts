import { expect, test } from 'vitest'
import { startApi } from './api-fixture.ts'
import { insertDag, insertRun } from './rows.ts'

const cron = { type: 'cron', expression: '0 6 * * *', timezone: 'Europe/Berlin' } as const

test('the list of Dags tells version, commit, schedule and the state of the newest run', async () => {
  await using api = await startApi()
  await insertDag(api.db, 'daily', { schedule: cron })
  await insertRun(api.db, 'daily', 'first', 'success')
  await insertRun(api.db, 'daily', 'second', 'failed')
  const { status, body } = await api.get('/api/v2/dags')
  expect(status).toBe(200)
  expect(body.total_entries).toBe(1)
  expect(body.dags[0]).toMatchObject({
    dag_id: 'daily',
    file: 'dags/daily.ts',
    version_number: 1,
    commit_sha: 'a'.repeat(40),
    timetable_summary: '0 6 * * * (Europe/Berlin)',
    has_import_errors: false,
    is_stale: false,
    next_run_after: null,
    latest_dag_run: { run_id: 'second', state: 'failed', end_date: '2026-01-02T03:04:07.500Z' },
  })
})

test('the list of Dags takes filters and pages', async () => {
  await using api = await startApi()
  for (const dagId of ['a_1', 'a-1', 'b']) await insertDag(api.db, dagId)
  await insertDag(api.db, 'paused', { isPaused: true })
  await insertDag(api.db, 'gone', { isStale: true })
  const names = async (query: string) => {
    const { body } = await api.get(`/api/v2/dags?${query}`)
    return [body.dags.map((dag: { dag_id: string }) => dag.dag_id), body.total_entries]
  }
  expect(await names('')).toEqual([['a-1', 'a_1', 'b', 'paused'], 4])
  expect(await names('include_stale=true')).toEqual([['a-1', 'a_1', 'b', 'gone', 'paused'], 5])
  expect(await names('paused=true')).toEqual([['paused'], 1])
  expect(await names('paused=false&limit=1&offset=1')).toEqual([['a_1'], 3])
  expect(await names('dag_id_pattern=A_')).toEqual([['a_1'], 1])
  expect(await names('dag_id_pattern=A%251')).toEqual([['a-1', 'a_1'], 2])
})

test('a Dag whose file, or a folder of it, fails to load has import errors', async () => {
  await using api = await startApi()
  await insertDag(api.db, 'one', { file: 'dags/one.ts' })
  await insertDag(api.db, 'two', { file: 'team/two.ts' })
  await insertDag(api.db, 'three', { file: 'teams/three.ts' })
  await api.db.query(
    `insert into import_error (file, error_file, line, "column", message, hint) values ('dags/one.ts', 'dags/one.ts', 3, 7, 'no', 'try'), ('team', 'team', null, null, 'npm', null)`,
  )
  const { body } = await api.get('/api/v2/dags')
  expect(
    body.dags.map((dag: { dag_id: string; has_import_errors: boolean }) => [
      dag.dag_id,
      dag.has_import_errors,
    ]),
  ).toEqual([
    ['one', true],
    ['three', false],
    ['two', true],
  ])
  const errors = await api.get('/api/v2/importErrors')
  expect(errors.body).toMatchObject({
    total_entries: 2,
    import_errors: [
      { file: 'dags/one.ts', line: 3, column: 7, message: 'no', hint: 'try' },
      { file: 'team' },
    ],
  })
})

test('one Dag comes with its manifest', async () => {
  await using api = await startApi()
  await insertDag(api.db, 'daily', { edges: { extract: [], load: ['extract'] } })
  const { body } = await api.get('/api/v2/dags/daily')
  expect(body.manifest.tasks.map((one: { task_id: string }) => one.task_id)).toEqual(['extract', 'load'])
  expect(body.timetable_summary).toBeNull()
  expect(body.latest_dag_run).toBeNull()
})

test('a misspelt Dag is not found, and the nearest is named', async () => {
  await using api = await startApi()
  await insertDag(api.db, 'daily-sales')
  for (const path of ['daily-sale', 'daily-sale/dagRuns', 'daily-sale/dagRuns/x']) {
    const { status, body } = await api.get(`/api/v2/dags/${path}`)
    expect([status, body.code], path).toEqual([404, 'NOT_FOUND'])
    expect(body.message).toBe("there is no Dag 'daily-sale'. Did you mean 'daily-sales'?")
    expect(body.details).toEqual({ dag_id: 'daily-sale' })
  }
})

test('pausing and unpausing a Dag is audited, wakes schedulers and asks the timetable anew', async () => {
  await using api = await startApi()
  await insertDag(api.db, 'daily', { schedule: cron })
  const heard: string[] = []
  const listener = await api.db.listen(
    'branchline',
    (payload) => heard.push(payload),
    () => {},
  )
  await api.db.query(
    `update dag set next_logical_date = now(), next_data_interval_start = now(), next_data_interval_end = now(), next_run_after = now()`,
  )
  const paused = await api.patch('/api/v2/dags/daily', { is_paused: true })
  expect(paused.body.is_paused).toBe(true)
  expect(paused.body.next_run_after).not.toBeNull()
  await api.patch('/api/v2/dags/daily', { is_paused: true })
  const unpaused = await api.patch('/api/v2/dags/daily', { is_paused: false })
  expect(unpaused.body).toMatchObject({ is_paused: false, next_run_after: null, next_logical_date: null })
  const { rows } = await api.db.query(
    `select next_run_after = '-infinity' as is_asked_anew, next_data_interval_start, next_data_interval_end from dag`,
  )
  expect(rows).toEqual([
    { is_asked_anew: true, next_data_interval_start: null, next_data_interval_end: null },
  ])
  const { body } = await api.get('/api/v2/eventLogs?dag_id=daily')
  expect(body.event_logs.map((event: { action: string }) => event.action)).toEqual(['unpause', 'pause'])
  await listener.query('select 1')
  expect(heard).toEqual(['dags', 'dags'])
  await listener.close()
  expect((await api.patch('/api/v2/dags/dayly', { is_paused: true })).body.message).toContain("'daily'")
})
