import { expect, test } from 'vitest'
import { createLogger } from '../../runtime/log.ts'
import { openDatabase } from '../../scheduler/database/connection.ts'
import { readDagRun } from '../../scheduler/database/queries/read-dag-run.ts'
import { createChangeFeed } from '../../web/server/live/change-feed.ts'
import { eventStream } from '../../web/server/live/event-stream.ts'
import { runsView, runView } from '../../web/server/live/views.ts'
import { eventually } from '../support/eventually.ts'
import { migratedDatabase, startApi } from './api-fixture.ts'
import { subscribe } from './live-events.ts'
import { insertDag, insertRun, insertTaskInstance } from './rows.ts'
import { proxyTo } from './tcp-proxy.ts'

const changed = 'select pg_notify($1, $2)'
const channel = 'branchline_changes'

test('a subscriber hears of every run that changes, with its present row', async () => {
  await using api = await startApi()
  await insertDag(api.db, 'daily')
  const id = await insertRun(api.db, 'daily', 'one', 'running')
  await using client = await subscribe(api.url)
  await api.db.query(changed, [channel, JSON.stringify([id])])
  expect(await client.next('dag_run')).toMatchObject({ dag_id: 'daily', run_id: 'one', state: 'running' })
  await api.db.query(`update dag_run set state = 'success', end_date = now() where dag_run_id = $1`, [id])
  await api.db.query(changed, [channel, JSON.stringify([id])])
  expect(await client.next('dag_run')).toMatchObject({ run_id: 'one', state: 'success' })
})

test('a subscriber of one Dag hears of its runs alone', async () => {
  await using api = await startApi()
  await insertDag(api.db, 'daily')
  await insertDag(api.db, 'weekly')
  const other = await insertRun(api.db, 'weekly', 'other')
  const mine = await insertRun(api.db, 'daily', 'mine')
  await using client = await subscribe(api.url, '?dag_id=daily')
  await api.db.query(changed, [channel, JSON.stringify([other])])
  await api.db.query(changed, [channel, JSON.stringify([mine, other])])
  await client.next('dag_run')
  expect(client.events.filter(({ event }) => event === 'dag_run')).toMatchObject([
    { data: { run_id: 'mine' } },
  ])
})

test('a subscriber of one run begins with all of it and then hears what differs', async () => {
  await using api = await startApi()
  await insertDag(api.db, 'daily', { edges: { a: [], b: ['a'] } })
  const id = await insertRun(api.db, 'daily', 'one')
  await using client = await subscribe(api.url, '?dag_id=daily&run_id=one')
  const first = await client.next('task_instances')
  expect(first.task_instances.map((one) => [one.task_id, one.state])).toEqual([
    ['a', 'none'],
    ['b', 'none'],
  ])
  expect(await client.next('dag_run')).toMatchObject({ run_id: 'one', state: 'running' })
  await insertTaskInstance(api.db, id, 'a', 'success')
  await api.db.query(changed, [channel, JSON.stringify([id])])
  const second = await client.next('task_instances')
  expect(second.task_instances).toMatchObject([{ task_id: 'a', state: 'success', try_number: 1 }])
})

test('pausing a Dag is told as an event, as is a load', async () => {
  await using api = await startApi()
  await insertDag(api.db, 'daily')
  await using client = await subscribe(api.url)
  await eventually('the server listens for changes', async () => {
    const { rows } = await api.db.query(
      `select 1 from pg_stat_activity where query = 'listen "branchline_changes"'`,
    )
    return rows.length > 0
  })
  await api.patch('/api/v2/dags/daily', { is_paused: true })
  expect(await client.next('dags')).toEqual({})
  await api.db.query(changed, [channel, 'dags'])
  expect(await client.next('dags')).toEqual({})
})

test('what was missed while Postgres was away is read again', async () => {
  await using database = await migratedDatabase()
  await insertDag(database, 'daily')
  const id = await insertRun(database, 'daily', 'one')
  await using proxy = await proxyTo(database.url)
  await using stack = new AsyncDisposableStack()
  const db = stack.adopt(openDatabase(proxy.url), (opened) => opened.close())
  await using api = await startApi({ db })
  await using one = await subscribe(api.url, '?dag_id=daily&run_id=one')
  await using daily = await subscribe(api.url, '?dag_id=daily')
  await using all = await subscribe(api.url)
  await one.next('dag_run')
  await proxy.cut()
  const { status, body } = await api.get('/api/v2/dags')
  expect([status, body.code]).toEqual([503, 'DATABASE_UNAVAILABLE'])
  const sick = await api.get('/api/v2/monitor/health')
  expect(sick.body).toMatchObject({ metadatabase: { status: 'unhealthy' }, scheduler: { status: null } })
  await database.query(`update dag_run set state = 'failed', end_date = now() where dag_run_id = $1`, [id])
  await proxy.mend()
  const isFailed = (run: { state: string }) => run.state === 'failed'
  expect(await one.next('dag_run', isFailed)).toMatchObject({ run_id: 'one' })
  expect(await daily.next('dag_run', isFailed)).toMatchObject({ run_id: 'one' })
  expect(await all.next('reload')).toEqual({})
  expect((await api.get('/api/v2/dags')).status).toBe(200)
})

test('a subscription to what does not exist is refused', async () => {
  await using api = await startApi()
  await insertDag(api.db, 'daily')
  expect((await api.get('/api/v2/events?dag_id=dayly')).body.message).toContain("Did you mean 'daily'?")
  expect((await api.get('/api/v2/events?dag_id=daily&run_id=x')).status).toBe(404)
  expect((await api.get('/api/v2/events?run_id=x')).status).toBe(400)
})

test('open streams end when the server stops, at once', async () => {
  await using api = await startApi()
  await using client = await subscribe(api.url)
  const begin = performance.now()
  await api.server.stop()
  expect(performance.now() - begin).toBeLessThan(400)
  await client.ended
})

test('a quiet stream sends comments, so that no proxy cuts it', async () => {
  await using db = await migratedDatabase()
  await using feed = createChangeFeed({ db, log: createLogger('web', { level: 'silent' }) })
  const aborting = new AbortController()
  const stream = eventStream({
    feed,
    view: runsView(db, null),
    signal: aborting.signal,
    heartbeatMs: 1,
  })
  const texts: string[] = []
  for await (const text of stream) {
    texts.push(text)
    if (texts.length === 3) aborting.abort()
  }
  expect(texts).toEqual([': connected\n\n', ': heartbeat\n\n', ': heartbeat\n\n'])
})

test('a change whose notification was lost is found when it has been quiet', async () => {
  await using db = await migratedDatabase()
  await using feed = createChangeFeed({ db, log: createLogger('web', { level: 'silent' }) })
  await insertDag(db, 'daily')
  await insertRun(db, 'daily', 'one')
  const view = await runView(db, (await readDagRun(db, 'daily', 'one'))!)
  const aborting = new AbortController()
  const states: string[] = []
  for await (const text of eventStream({ feed, view, signal: aborting.signal, heartbeatMs: 10 })) {
    const state = /^event: dag_run\n.*"state":"(\w+)"/.exec(text)?.[1]
    if (state === undefined) continue
    states.push(state)
    if (state === 'failed') aborting.abort()
    else await db.query(`update dag_run set state = 'failed', end_date = now()`)
  }
  expect(states).toEqual(['running', 'failed'])
})
