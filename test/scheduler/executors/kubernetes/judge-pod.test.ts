// What a pod's row means for its attempt: what the task did is told apart from what the cluster did, a success needs a
// record and exit code 0, and every end has a reason.
import { describe, expect, test } from 'vitest'
import { baseContainer, gitSyncContainer } from '../../../../k8s/pod/pod-names.ts'
import type { PodObservation } from '../../../../k8s/pod-observation.ts'
import type { CancelReason } from '../../../../runtime/task-runner/protocol.ts'
import {
  endedPending,
  type JudgedPod,
  judgeTaskPod,
} from '../../../../scheduler/executors/kubernetes/judge-pod.ts'
import { at, container, ended, pod, running } from '../../../k8s/observations.ts'

const fatalReasons = ['ErrImagePull', 'CreateContainerConfigError']

/** A pod that was seen as `observation`; null: it was not. */
function judged(observation: Partial<PodObservation> | null, more: Partial<JudgedPod> = {}): JudgedPod {
  return {
    observation: observation === null ? null : pod(observation),
    is_gone: false,
    started_at: null,
    finish: null,
    cancel_reason: null,
    memory_peak_bytes: null,
    ...more,
  }
}
const judge = (row: JudgedPod) => judgeTaskPod(row, fatalReasons)

const finishOf = (state: 'success' | 'failed' | 'skipped') => ({
  state,
  retryable: true,
  error: state === 'failed' ? { name: 'Error', message: 'of its own', stack: null } : null,
  exit_code: null,
  start_ms: 1,
  end_ms: 2,
  result_sha256: null,
  memory_peak_bytes: null,
})
const base = (exitCode: number, reason: string | null = exitCode === 0 ? 'Completed' : 'Error', more = {}) =>
  ended(baseContainer, exitCode, reason, more)
const started = { started_at: new Date(at) }
const succeeded: Partial<PodObservation> = { phase: 'Succeeded', containers: [base(0)] }
const killed: Partial<PodObservation> = { phase: 'Failed', containers: [base(137)] }
const evicted = { disruption: { reason: 'EvictionByEvictionAPI', message: 'Eviction API: evicting' } }
const deleted = { deletion_timestamp: at }

describe('a pod that has not ended', () => {
  test.each<[string, JudgedPod, object]>([
    ['of which nothing was seen', judged(null), { type: 'pending', words: null, isFatal: false }],
    ['whose containers are made', judged({}), { type: 'pending', words: null }],
    [
      'that no node takes',
      judged({
        node_name: null,
        unschedulable: { reason: 'Unschedulable', message: '0/1 nodes are available' },
      }),
      {
        type: 'pending',
        words: { name: 'Unschedulable', message: '0/1 nodes are available' },
        isFatal: false,
      },
    ],
    [
      'whose image is not pulled',
      judged({ containers: [container(baseContainer, { reason: 'ErrImagePull', message: 'not found' })] }),
      {
        type: 'pending',
        words: { name: 'ErrImagePull', message: 'container base: not found' },
        isFatal: true,
      },
    ],
    [
      'whose init container cannot be made',
      judged({
        init_containers: [container('first', { reason: 'CreateContainerConfigError', message: 'no secret' })],
      }),
      { type: 'pending', words: { message: 'container first: no secret' }, isFatal: true },
    ],
    [
      'that waits for a reason that time may mend',
      judged({ containers: [container(baseContainer, { reason: 'CrashLoopBackOff' })] }),
      { type: 'pending', words: { name: 'CrashLoopBackOff' }, isFatal: false },
    ],
    ['that runs', judged({ phase: 'Running', containers: [running(baseContainer)] }), { type: 'running' }],
    [
      'whose report was taken and whose container has not ended',
      judged({ phase: 'Running', containers: [running(baseContainer)] }, { finish: finishOf('success') }),
      { type: 'running' },
    ],
    [
      'that is told to end, and still runs',
      judged({ phase: 'Running', containers: [running(baseContainer)], ...evicted, ...deleted }),
      { type: 'running' },
    ],
  ])('%s', (_name, row, verdict) => {
    expect(judge(row)).toMatchObject(verdict)
  })
})

describe('success', () => {
  test.each<[string, JudgedPod, string]>([
    ['takes a record and exit code 0', judged(succeeded, { finish: finishOf('success') }), 'success'],
    ['is not made by exit code 0 alone', judged(succeeded, started), 'failed'],
    ['is not made by the phase alone', judged({ phase: 'Succeeded', containers: [] }, started), 'failed'],
    [
      'is not made by a record with another exit code',
      judged(killed, { finish: finishOf('success') }),
      'failed',
    ],
    [
      'stays with a record whose exit code nobody can tell any more',
      judged(null, { finish: finishOf('success'), is_gone: true }),
      'success',
    ],
    [
      'does not wait for sidecars',
      judged({ phase: 'Running', containers: [base(0), running('proxy')] }, { finish: finishOf('success') }),
      'success',
    ],
    ['is not made of a skip', judged(succeeded, { finish: finishOf('skipped') }), 'skipped'],
    ['is not made of a recorded failure', judged(succeeded, { finish: finishOf('failed') }), 'failed'],
  ])('%s', (_name, row, state) => {
    expect(judge(row)).toMatchObject({ type: 'ended', outcome: { state } })
  })
})

const mine = { isInfrastructure: false }
const theirs = { isInfrastructure: true }

describe('a failure is the cluster’s or the task’s, with a reason', () => {
  test.each<[string, JudgedPod, { isInfrastructure: boolean }, RegExp]>([
    [
      'the task killed',
      judged(killed, started),
      mine,
      /^PodFailed: container base ended with exit code 137 before/,
    ],
    [
      'out of memory while it ran',
      judged(
        { phase: 'Failed', containers: [base(137, 'OOMKilled')] },
        { ...started, memory_peak_bytes: 2 ** 28 },
      ),
      mine,
      /^OOMKilled: .*exit code 137.*256 MiB in use at most$/,
    ],
    [
      'out of memory before it ran',
      judged({ phase: 'Failed', containers: [base(137, 'OOMKilled')] }),
      theirs,
      /^OOMKilled: .*before the task began/,
    ],
    [
      'a program that cannot be executed',
      judged({ phase: 'Failed', containers: [base(128, 'StartError', { message: 'exec: not found' })] }),
      theirs,
      /^StartError: .*exec: not found/,
    ],
    [
      'exit code 0 without a record',
      judged(succeeded, started),
      mine,
      /^NoResult: the container ended with exit code 0/,
    ],
    [
      'evicted before it ran',
      judged({ phase: 'Failed', containers: [], ...evicted }),
      theirs,
      /^EvictionByEvictionAPI: /,
    ],
    [
      'evicted while it ran',
      judged({ ...killed, ...evicted, ...deleted }, started),
      theirs,
      /^EvictionByEvictionAPI: /,
    ],
    [
      'evicted by its node',
      judged({ ...killed, reason: 'Evicted', message: 'The node was low on resource: memory.' }, started),
      theirs,
      /^Evicted: The node was low on resource: memory\.$/,
    ],
    [
      'refused by its node',
      judged({ phase: 'Failed', containers: [], reason: 'OutOfcpu', message: 'not enough cpu' }),
      theirs,
      /^OutOfcpu: not enough cpu$/,
    ],
    ['deleted by somebody while it ran', judged({ ...killed, ...deleted }, started), theirs, /^PodDeleted: /],
    [
      'deleted by somebody when it had failed by itself',
      judged({ phase: 'Failed', containers: [base(7)], ...deleted }, started),
      mine,
      /exit code 7/,
    ],
    [
      'deleted by somebody when it had run out of memory',
      judged({ phase: 'Failed', containers: [base(137, 'OOMKilled')], ...deleted }, started),
      mine,
      /^OOMKilled: /,
    ],
    [
      'gone without a trace',
      judged({ phase: 'Running', containers: [running(baseContainer)] }, { is_gone: true }),
      theirs,
      /^PodDeleted: somebody deleted the pod, or its node is gone$/,
    ],
    ['gone before anything was seen', judged(null, { is_gone: true }), theirs, /^PodDeleted: /],
    [
      'gone with a reason',
      judged({ ...evicted, containers: [running(baseContainer)] }, { is_gone: true }),
      theirs,
      /^EvictionByEvictionAPI: /,
    ],
    [
      'told to end by others, as it said',
      judged(
        { phase: 'Failed', containers: [base(1)], ...evicted, ...deleted },
        { finish: finishOf('failed') },
      ),
      theirs,
      /^EvictionByEvictionAPI: Eviction API: evicting; the task: Error: of its own$/,
    ],
    [
      'told to end between its record and its end',
      judged({ ...killed, ...deleted }, { finish: finishOf('success') }),
      theirs,
      /^PodDeleted: .*its result was taken|^PodDeleted: .*result was taken/,
    ],
    [
      'failed by its own account',
      judged({ phase: 'Failed', containers: [base(1)] }, { finish: finishOf('failed') }),
      mine,
      /^Error: of its own$/,
    ],
    [
      'the clone of the repository failed',
      judged({
        phase: 'Failed',
        init_containers: [ended(gitSyncContainer, 1, 'Error', { message: 'no such commit' })],
      }),
      theirs,
      /^PodFailed: container git-sync-clone ended with exit code 1 before the task began: no such commit$/,
    ],
    [
      'an init container of the user failed',
      judged({ phase: 'Failed', init_containers: [ended('prepare', 9, 'Error', { message: 'no bucket' })] }),
      mine,
      /container prepare ended with exit code 9.*no bucket/,
    ],
    [
      'its deadline passed',
      judged({
        phase: 'Failed',
        containers: [],
        reason: 'DeadlineExceeded',
        message: 'Pod was active too long',
      }),
      mine,
      /^DeadlineExceeded: Pod was active too long$/,
    ],
    [
      'failed without a word',
      judged({ phase: 'Failed', containers: [] }),
      mine,
      /^PodFailed: .*without a word why$/,
    ],
  ])('%s', (_name, row, budget, words) => {
    const verdict = judge(row)
    expect(verdict).toMatchObject({ type: 'ended', ...budget, outcome: { state: 'failed', retryable: true } })
    if (verdict.type !== 'ended') return
    const { name, message } = verdict.outcome.error!
    expect(`${name}: ${message}`).toMatch(words)
  })

  test.each<CancelReason>(['timeout', 'run_timeout', 'cancelled', 'shutdown'])(
    'one that we ended (%s) is on nobody else’s budget, however it looks',
    (cancelReason) => {
      const more = { ...started, cancel_reason: cancelReason }
      for (const row of [
        judged({ ...killed, ...deleted }, more),
        judged({ ...killed, ...evicted }, more),
        judged(null, { ...more, is_gone: true }),
        judged({ ...killed, ...deleted }, { ...more, finish: finishOf('failed') }),
      ]) {
        expect(judge(row)).toMatchObject({
          type: 'ended',
          isInfrastructure: false,
          outcome: { state: 'failed' },
        })
      }
    },
  )
})

test('what a container wrote last is fetched where its attempt began and could not report, and there is a container', () => {
  const hasUnsentLog = (row: JudgedPod) => {
    const verdict = judge(row)
    return verdict.type === 'ended' && verdict.hasUnsentLog
  }
  expect(hasUnsentLog(judged(killed, started))).toBe(true)
  expect(hasUnsentLog(judged(killed))).toBe(false)
  expect(hasUnsentLog(judged(killed, { ...started, finish: finishOf('failed') }))).toBe(false)
  expect(hasUnsentLog(judged(killed, { ...started, is_gone: true }))).toBe(true)
  expect(hasUnsentLog(judged(null, { ...started, is_gone: true }))).toBe(false)
})

test('the end of the log is not an error’s message where the log itself has it', () => {
  const row = judged(
    { phase: 'Failed', containers: [base(137, 'Error', { message: '{"msg":"line 9"}' })] },
    started,
  )
  expect(judge(row)).toMatchObject({ outcome: { error: { message: expect.not.stringContaining('line 9') } } })
})

test.each([
  ['ErrImagePull', 'fatal', true, /^pull it$/],
  ['CreateContainerConfigError', 'fatal', false, /^pull it$/],
  ['Unschedulable', 'timeout', true, /^the pod did not run within 60 seconds: pull it$/],
] as const)(
  'one that waited in vain for %s, by %s: the cluster’s fault %s',
  (name, cause, isInfrastructure, words) => {
    const verdict = endedPending({ name, message: 'pull it', stack: null }, cause, 60_000)
    expect(verdict).toMatchObject({
      type: 'ended',
      isInfrastructure,
      outcome: { state: 'failed', error: { name } },
    })
    expect(verdict.outcome.error!.message).toMatch(words)
  },
)
