import { expect, test } from 'vitest'
import { type JudgedOperatorPod, judgeOperatorPod } from '../../../k8s/operators/judge-operator-pod.ts'
import { isDeletedAtEnd } from '../../../k8s/operators/operator-logs.ts'
import type { ContainerObservation, PodObservation } from '../../../k8s/pod-observation.ts'
import { container, ended, pod, running } from '../observations.ts'

const createdAt = '2026-01-31T06:00:00Z'
const after = (seconds: number) => Date.parse(createdAt) + seconds * 1000

function judge(observation: PodObservation, more: Partial<JudgedOperatorPod> = {}) {
  return judgeOperatorPod({
    observation: { ...observation, created_at: createdAt },
    finish: null,
    fatalReasons: ['ErrImagePull'],
    nowMs: after(10),
    ...more,
    operator: {
      do_xcom_push: false,
      skip_on_exit_code: [],
      startup_timeout_seconds: 120,
      schedule_timeout_seconds: null,
      ...more.operator,
    },
  })
}
const withResult = { operator: { do_xcom_push: true } as JudgedOperatorPod['operator'] }
const sidecar = (more: object = {}) => ({ ...running('branchline-xcom'), ...more })

test('while base runs it runs, whatever the others do', () => {
  const others = [ended('proxy', 1, 'Error')]
  expect(judge(pod({ containers: [running('base'), ...others] }))).toEqual({ type: 'running' })
})

test('the end of base decides, while sidecars go on', () => {
  const containers = [ended('base', 0, 'Completed'), running('proxy')]
  expect(judge(pod({ containers }))).toMatchObject({
    type: 'ended',
    state: 'success',
    exit_code: 0,
    error: null,
  })
})

test.each([3, 99])('exit code %d skips where the task says so', (code) => {
  const operator = { skip_on_exit_code: [3, 99] } as JudgedOperatorPod['operator']
  const containers = [ended('base', code, 'Error')]
  expect(judge(pod({ containers }), { operator })).toMatchObject({ state: 'skipped', exit_code: code })
  expect(judge(pod({ containers }))).toMatchObject({ state: 'failed', exit_code: code })
})

test('a failure has exit code, reason and the last words of the container', () => {
  const base = { ...ended('base', 1, 'Error'), message: 'no such table' }
  expect(judge(pod({ phase: 'Failed', containers: [base] }))).toEqual({
    type: 'ended',
    state: 'failed',
    error: { name: 'PodFailed', message: 'container base ended (exit code 1): no such table', stack: null },
    exit_code: 1,
    retryable: true,
    isInfrastructure: false,
  })
  const oom = judge(pod({ phase: 'Failed', containers: [ended('base', 137, 'OOMKilled')] }))
  expect(oom).toMatchObject({ error: { name: 'OOMKilled' }, exit_code: 137, isInfrastructure: false })
})

test.each<[string, Partial<PodObservation>]>([
  ['evicted', { phase: 'Failed', reason: 'Evicted', message: 'low on memory', containers: [] }],
  [
    'drained',
    {
      phase: 'Failed',
      disruption: { reason: 'EvictionByEvictionAPI', message: null },
      containers: [ended('base', 143, 'Error')],
    },
  ],
  ['deleted by hand', { is_deleted: true, containers: [running('base')] }],
])('a pod that is %s failed by the cluster', (_, observation) => {
  expect(judge(pod(observation))).toMatchObject({ state: 'failed', isInfrastructure: true })
})

test("a pod's own deadline is the task's failure", () => {
  const observation = pod({
    phase: 'Failed',
    reason: 'DeadlineExceeded',
    message: 'active too long',
    containers: [],
  })
  expect(judge(observation)).toMatchObject({
    state: 'failed',
    isInfrastructure: false,
    error: { name: 'DeadlineExceeded', message: 'active too long' },
  })
})

test('a result that is being sent is waited for', () => {
  const containers = [ended('base', 0, 'Completed')]
  expect(judge(pod({ containers, init_containers: [sidecar()] }), withResult)).toEqual({ type: 'running' })
  const taken = pod({ containers, init_containers: [ended('branchline-xcom', 0, 'Completed')] })
  expect(judge(taken, withResult)).toMatchObject({ state: 'success' })
  expect(
    judge(pod({ containers }), { ...withResult, finish: { state: 'success', error: null } }),
  ).toMatchObject({
    state: 'success',
  })
  const error = { name: 'TaskFailError', message: 'is not JSON', stack: null }
  const finish = { state: 'failed', error } as const
  expect(judge(pod({ containers }), { ...withResult, finish })).toMatchObject({ state: 'failed', error })
})

test('a result that was not taken fails the attempt, in the words of the sidecar', () => {
  const containers = [ended('base', 0, 'Completed')]
  const refused = { ...ended('branchline-xcom', 1, 'Error'), message: 'return.json is no JSON: {a' }
  expect(judge(pod({ containers, init_containers: [refused] }), withResult)).toMatchObject({
    state: 'failed',
    exit_code: 0,
    isInfrastructure: false,
    error: {
      name: 'XComNotTaken',
      message:
        'container base ended with exit code 0, but its result was not taken: return.json is no JSON: {a',
    },
  })
  expect(
    judge(pod({ containers, is_deleted: true, init_containers: [sidecar()] }), withResult),
  ).toMatchObject({
    state: 'failed',
    isInfrastructure: true,
  })
})

test('a failed base is not waited for: its result is not wanted', () => {
  const observation = pod({ containers: [ended('base', 1, 'Error')], init_containers: [sidecar()] })
  expect(judge(observation, withResult)).toMatchObject({ state: 'failed', exit_code: 1 })
})

test('what keeps it from starting is told, and whether time mends it', () => {
  expect(judge(pod({ containers: [container('base', { reason: 'ContainerCreating' })] }))).toEqual({
    type: 'pending',
    words: null,
    isFatal: false,
  })
  const image = pod({ containers: [container('base', { reason: 'ErrImagePull', message: 'not found' })] })
  expect(judge(image)).toMatchObject({ type: 'pending', isFatal: true, words: { name: 'ErrImagePull' } })
  const noRoom = { reason: 'Unschedulable', message: '0/1 nodes: memory' }
  const unschedulable = pod({ node_name: null, containers: [], unschedulable: noRoom })
  expect(judge(unschedulable)).toMatchObject({ isFatal: false, words: { name: 'Unschedulable' } })
})

test('a pod without a node for too long fails with the words of the scheduler', () => {
  const noRoom = { reason: 'Unschedulable', message: '0/1 nodes: memory' }
  const observation = pod({ node_name: null, containers: [], unschedulable: noRoom })
  expect(judge(observation, { nowMs: after(119) })).toMatchObject({ type: 'pending' })
  expect(judge(observation, { nowMs: after(121) })).toMatchObject({
    state: 'failed',
    error: {
      name: 'ScheduleTimeout',
      message: 'the pod had no node within 120 seconds: Unschedulable: no node takes it: 0/1 nodes: memory',
    },
  })
  const operator = { schedule_timeout_seconds: 600 } as JudgedOperatorPod['operator']
  expect(judge(observation, { nowMs: after(599), operator })).toMatchObject({ type: 'pending' })
})

test('a pod that does not run in time fails; the time without a node is not counted where it has a limit of its own', () => {
  const observation = pod({ containers: [container('base', { reason: 'ErrImagePull', message: 'no' })] })
  expect(judge(observation, { nowMs: after(121) })).toMatchObject({ error: { name: 'StartupTimeout' } })
  const operator = { schedule_timeout_seconds: 600 } as JudgedOperatorPod['operator']
  expect(judge(observation, { nowMs: after(700), operator })).toMatchObject({ type: 'pending' })
  expect(judge(observation, { nowMs: after(721), operator })).toMatchObject({
    error: { name: 'StartupTimeout' },
  })
})

test.each([
  ['delete_pod', true, true, true],
  ['keep_pod', false, false, false],
  ['delete_succeeded_pod', true, false, false],
  ['delete_active_pod', false, false, true],
] as const)('%s: succeeded, failed, still active', (action, succeeded, failed, active) => {
  const operator = { on_finish_action: action, on_kill_action: 'delete_pod' } as const
  const at = (...containers: ContainerObservation[]) =>
    isDeletedAtEnd(operator, { observation: pod({ phase: 'Running', containers }), isKilled: false })
  const seen = [
    at(ended('base', 0, 'Completed'), running('proxy')),
    at(ended('base', 1, 'Error')),
    at(container('base')),
  ]
  expect(seen).toEqual([succeeded, failed, active])
  expect(isDeletedAtEnd(operator, { observation: null, isKilled: true })).toBe(true)
  const kept = { ...operator, on_kill_action: 'keep_pod' } as const
  expect(isDeletedAtEnd(kept, { observation: null, isKilled: true })).toBe(false)
})
