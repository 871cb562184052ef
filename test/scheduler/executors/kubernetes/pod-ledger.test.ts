// The launch ledger and its watch, asked of a real Postgres: who may write, what is applied once, what is nobody's, and
// what a scheduler's death leaves behind.
import { afterEach, beforeEach, expect, test } from 'vitest'
import { observePod } from '../../../../k8s/pod-observation.ts'
import { endLeftPods } from '../../../../scheduler/database/end-left-pods.ts'
import {
  markPodsCreated,
  markPodsDeleted,
  markPodsEnded,
  planPods,
  setPodCancelReason,
  setPodWaiting,
  takePodsToDelete,
} from '../../../../scheduler/database/pod-ledger.ts'
import { readPodsOf, takeUnseenPods } from '../../../../scheduler/database/pod-rows.ts'
import { applyPodEvents, claimPodWatches, isWatchLost } from '../../../../scheduler/database/pod-watches.ts'
import { createLedgerDatabase, heardPod, type LedgerDatabase, namespace } from './ledger-database.ts'

let ledger: LedgerDatabase

beforeEach(async () => {
  ledger = await createLedgerDatabase()
})
afterEach(async () => {
  await ledger[Symbol.asyncDispose]()
})

const watched = async () => {
  const { rows } = await ledger.db.query<{ scheduler_id: number; resource_version: string | null }>(
    'select scheduler_id, resource_version from pod_watch',
  )
  return rows[0]!
}
const list = (version: string, uids: readonly string[], ageMs: number) =>
  applyPodEvents(ledger.db, {
    schedulerId: ledger.schedulerId,
    namespace,
    resourceVersion: version,
    pods: [],
    listed: { uids, ageMs },
  })
const unseen = async (schedulerId = ledger.schedulerId) =>
  (await takeUnseenPods(ledger.db, schedulerId, 100)).map(({ task_id }) => task_id)
const endAttempt = (taskId: string, state: string, seconds = 60) =>
  ledger.db.query(
    `update task_instance set state = $2, attempt_state = $2, end_date = now() - $3 * interval '1 s'
     where task_id = $1`,
    [taskId, state, seconds],
  )

test('a scheduler without its lease plans nothing', async () => {
  await ledger.db.query('delete from scheduler where scheduler_id = $1', [ledger.otherId])
  const planned = {
    ...ledger.key('a'),
    token: crypto.randomUUID(),
    kind: 'task' as const,
    namespace,
    pod_name: 'p',
    manifest: '{}',
  }
  await expect(planPods(ledger.db, ledger.otherId, [planned])).rejects.toThrow(/lost its lease/)
  expect((await ledger.db.query('select 1 from pod')).rows).toEqual([])
})

test('planning twice keeps the first plan', async () => {
  const key = await ledger.plan('a')
  const again = {
    ...key,
    token: crypto.randomUUID(),
    kind: 'task' as const,
    namespace,
    pod_name: 'q',
    manifest: '{}',
  }
  await planPods(ledger.db, ledger.schedulerId, [again])
  expect((await readPodsOf(ledger.db, [key]))[0]).toMatchObject({ pod_name: 'pod-a', state: 'planned' })
})

test('a pod that is seen before its create was answered is created, and the answer changes nothing', async () => {
  const key = await ledger.plan('a')
  expect(await ledger.hear('5', { taskId: 'a', uid: 'u1', phase: 'Running' })).toEqual([])
  expect(await ledger.row('a')).toMatchObject({
    state: 'created',
    uid: 'u1',
    phase: 'Running',
    is_seen: false,
  })
  await markPodsCreated(ledger.db, [{ ...key, uid: 'u1' }])
  expect(await ledger.row('a')).toMatchObject({ state: 'created', uid: 'u1', phase: 'Running' })
})

test('why a pod is not created yet is forgotten when it is', async () => {
  const key = await ledger.plan('a')
  await setPodWaiting(ledger.db, key, { reason: 'PushedBack', message: 'exceeded quota' })
  await markPodsCreated(ledger.db, [{ ...key, uid: 'u1' }])
  const { rows } = await ledger.db.query('select waiting_reason, waiting_message from pod')
  expect(rows).toEqual([{ waiting_reason: null, waiting_message: null }])
})

test('events are stored with the version up to which they were heard', async () => {
  await ledger.plan('a')
  await ledger.hear('5', { taskId: 'a', uid: 'u1' })
  expect(await watched()).toEqual({ scheduler_id: ledger.schedulerId, resource_version: '5' })
  await ledger.hear('6')
  expect((await watched()).resource_version).toBe('6')
})

test('the same event again is no change', async () => {
  await ledger.plan('a')
  await ledger.hear('5', { taskId: 'a', uid: 'u1' })
  expect(await unseen()).toEqual(['a'])
  await ledger.hear('5', { taskId: 'a', uid: 'u1' })
  expect(await unseen()).toEqual([])
})

test('a change is given once, and only to the scheduler that leases the run', async () => {
  await ledger.plan('a')
  await ledger.hear('5', { taskId: 'a', uid: 'u1' })
  expect(await unseen(ledger.otherId)).toEqual([])
  expect(await unseen()).toEqual(['a'])
  expect(await unseen()).toEqual([])
})

test('a scheduler that does not hold the watch applies nothing', async () => {
  await ledger.plan('a')
  const pods = [heardPod(ledger.dagRunId, '5', { taskId: 'a', uid: 'u1' })]
  const applied = applyPodEvents(ledger.db, {
    schedulerId: ledger.otherId,
    namespace,
    resourceVersion: '5',
    pods,
    listed: null,
  })
  await expect(applied).rejects.toSatisfy(isWatchLost)
  expect(await ledger.row('a')).toMatchObject({ state: 'planned', uid: null })
  expect((await watched()).resource_version).toBeNull()
})

test('a scheduler that is gone applies nothing', async () => {
  await ledger.db.query('delete from scheduler where scheduler_id = $1', [ledger.schedulerId])
  await expect(ledger.hear('5')).rejects.toSatisfy(isWatchLost)
})

test('the watch of a living scheduler is not given away, that of a dead one is, with its version', async () => {
  await ledger.hear('7')
  expect(await claimPodWatches(ledger.db, ledger.otherId, [namespace])).toEqual([])
  await ledger.db.query(`update scheduler set lease_expires_at = '-infinity' where scheduler_id = $1`, [
    ledger.schedulerId,
  ])
  expect(await claimPodWatches(ledger.db, ledger.otherId, [namespace, 'new'])).toMatchObject([
    { namespace, resource_version: '7' },
    { namespace: 'new', resource_version: null },
  ])
})

test('a claim whose answer was lost is answered when it is made again', async () => {
  expect(await claimPodWatches(ledger.db, ledger.schedulerId, [namespace])).toMatchObject([{ namespace }])
})

test('a list finds what is gone, but not what was created since it was asked for', async () => {
  const [old] = [
    await ledger.plan('old'),
    await ledger.plan('new'),
    await ledger.plan('planned'),
    await ledger.plan('there'),
  ]
  await markPodsCreated(ledger.db, [{ ...old, uid: 'u-old' }])
  await ledger.hear('5', { taskId: 'there', uid: 'u-there' })
  await ledger.db.query(`update pod set created_at = now() - interval '1 min' where created_at is not null`)
  await markPodsCreated(ledger.db, [{ ...ledger.key('new'), uid: 'u-new' }])
  await list('9', ['u-there'], 10_000)
  expect((await ledger.row('old')).is_gone).toBe(true)
  expect((await ledger.row('new')).is_gone).toBe(false)
  expect((await ledger.row('planned')).is_gone).toBe(false)
  expect((await ledger.row('there')).is_gone).toBe(false)
  expect((await unseen()).sort()).toEqual(['old', 'there'])
})

test('a pod of the name whose uid is another one is nobody’s', async () => {
  await ledger.plan('a')
  await ledger.hear('5', { taskId: 'a', uid: 'u1' })
  expect(await ledger.hear('6', { taskId: 'a', uid: 'u2' })).toEqual([{ pod_name: 'pod-a', uid: 'u2' }])
  expect(await ledger.row('a')).toMatchObject({ uid: 'u1' })
})

test('a pod that comes when its attempt’s is deleted, or of which the ledger knows nothing, is nobody’s', async () => {
  const key = await ledger.plan('a')
  await markPodsEnded(ledger.db, [{ ...key, delete_after_ms: 0 }])
  await markPodsDeleted(ledger.db, [key])
  const strays = await ledger.hear('6', { taskId: 'a', uid: 'u1' }, { taskId: 'unknown', uid: 'u2' })
  expect(strays).toEqual([
    { pod_name: 'pod-a', uid: 'u1' },
    { pod_name: 'pod-unknown', uid: 'u2' },
  ])
  // What is gone need not be deleted.
  expect(await ledger.hear('7', { taskId: 'unknown', uid: 'u2', is_deleted: true })).toEqual([])
})

test('an ended pod is deleted once it is gone, whichever is known first', async () => {
  const first = await ledger.plan('gone-first')
  await ledger.hear('5', { taskId: 'gone-first', uid: 'u1', is_deleted: true })
  await markPodsEnded(ledger.db, [{ ...first, delete_after_ms: 0 }])
  expect(await ledger.row('gone-first')).toMatchObject({ state: 'deleted', is_gone: true })

  const second = await ledger.plan('ended-first')
  await ledger.hear('6', { taskId: 'ended-first', uid: 'u2' })
  await markPodsEnded(ledger.db, [{ ...second, delete_after_ms: 0 }])
  expect(await ledger.row('ended-first')).toMatchObject({ state: 'ended', is_gone: false })
  await ledger.hear('7', { taskId: 'ended-first', uid: 'u2', is_deleted: true })
  expect(await ledger.row('ended-first')).toMatchObject({ state: 'deleted', is_gone: true })
})

test('what happened to a pod after its end was judged is not left unseen: nobody would ever look', async () => {
  const unseen = async () => {
    const { rows } = await ledger.db.query('select task_id from pod where revision > seen_revision')
    return rows
  }
  const key = await ledger.plan('a')
  await ledger.plan('left')
  await ledger.hear('5', { taskId: 'a', uid: 'u1' }, { taskId: 'left', uid: 'u2', phase: 'Failed' })
  await endAttempt('left', 'failed')
  expect(await unseen()).toHaveLength(2)
  await markPodsEnded(ledger.db, [{ ...key, delete_after_ms: 0 }])
  await endLeftPods(ledger.db, { keep: 'on_success', deleteDelayMs: 0, graceMs: 10_000 })
  await ledger.hear('6', { taskId: 'a', uid: 'u1', is_deleted: true })
  expect(await unseen()).toEqual([])
})

test('pods are due when their time has come, each to one caller, and again where they are still there', async () => {
  const [now, later, kept] = [await ledger.plan('now'), await ledger.plan('later'), await ledger.plan('kept')]
  await markPodsEnded(ledger.db, [
    { ...now, delete_after_ms: 0 },
    { ...later, delete_after_ms: 60_000 },
    { ...kept, delete_after_ms: null },
  ])
  const take = async (retryMs: number) =>
    (await takePodsToDelete(ledger.db, { limit: 10, retryMs })).map(({ task_id }) => task_id)
  expect(await take(0)).toEqual(['now'])
  expect(await take(60_000)).toEqual(['now'])
  expect(await take(60_000)).toEqual([])
})

test('the first reason to end an attempt stays', async () => {
  const key = await ledger.plan('a')
  await setPodCancelReason(ledger.db, key, 'timeout')
  await setPodCancelReason(ledger.db, key, 'cancelled')
  expect((await readPodsOf(ledger.db, [key]))[0]!.cancel_reason).toBe('timeout')
})

test('pods of attempts that ended long ago are ended by whoever finds them, and no others', async () => {
  for (const taskId of ['lives', 'just-ended', 'left', 'left-running', 'left-planned'])
    await ledger.plan(taskId)
  await ledger.hear(
    '5',
    { taskId: 'left', uid: 'u1', phase: 'Failed' },
    { taskId: 'lives', uid: 'u2' },
    { taskId: 'left-running', uid: 'u3', phase: 'Running' },
  )
  await endAttempt('left-running', 'failed')
  await endAttempt('just-ended', 'success', 1)
  await endAttempt('left', 'failed')
  await endAttempt('left-planned', 'success')
  const end = (keep: 'on_completion' | 'on_success' | 'never') =>
    endLeftPods(ledger.db, { keep, deleteDelayMs: 0, graceMs: 10_000 })
  expect(await end('on_success')).toBe(3)
  expect(await end('on_success')).toBe(0)
  expect(await ledger.row('lives')).toMatchObject({ state: 'created' })
  expect(await ledger.row('just-ended')).toMatchObject({ state: 'planned' })
  expect(await ledger.row('left')).toMatchObject({ state: 'ended', delete_after: null })
  // It would go on beside the next attempt.
  expect(await ledger.row('left-running')).toMatchObject({ state: 'ended', delete_after: expect.any(Date) })
  expect(await ledger.row('left-planned')).toMatchObject({ state: 'ended', delete_after: expect.any(Date) })
})

test.each([
  ['delete_pod', 'Failed', true],
  ['keep_pod', 'Succeeded', false],
  ['delete_succeeded_pod', 'Succeeded', true],
  ['delete_succeeded_pod', 'Failed', false],
  ['delete_active_pod', 'Running', true],
  ['delete_active_pod', 'Succeeded', false],
] as const)(
  'a pod that is a task with %s, left behind as %s: deleted %s',
  async (taskId, phase, isDeleted) => {
    await ledger.plan(taskId)
    await ledger.hear('5', { taskId, uid: 'u1', phase })
    await endAttempt(taskId, 'success')
    expect(await endLeftPods(ledger.db, { keep: 'never', deleteDelayMs: 0, graceMs: 10_000 })).toBe(1)
    expect((await ledger.row(taskId)).delete_after).toEqual(isDeleted ? expect.any(Date) : null)
  },
)

test('words of a container that Postgres cannot keep as text do not hold up what else is seen', async () => {
  await ledger.plan('a')
  await ledger.plan('b')
  const terminated = { exitCode: 1, message: 'a\u0000b \ud800 c' }
  const seen = observePod({
    metadata: { name: 'pod-a', uid: 'u1', resourceVersion: '5' },
    spec: { containers: [{ name: 'base' }] },
    status: {
      phase: 'Failed',
      message: 'x\u0000',
      containerStatuses: [
        { name: 'base', image: '', imageID: '', ready: false, restartCount: 0, state: { terminated } },
      ],
    },
  })
  const { name: _name, attempt_id: _attempt, ...dying } = seen
  await ledger.hear('5', { ...dying, taskId: 'a' }, { taskId: 'b', uid: 'u2', phase: 'Running' })
  expect(await ledger.row('b')).toMatchObject({ phase: 'Running' })
  expect(await ledger.row('a')).toMatchObject({ phase: 'Failed' })
  const [row] = await readPodsOf(ledger.db, [ledger.key('a')])
  expect(row!.observation!.containers[0]!.message).toMatch(/^a.b . c$/u)
})
