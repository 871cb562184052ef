// Which pods are cleaned up, by what the API server says of them.
import { expect, test } from 'vitest'
import { cleanupReason } from '../../../cli/pods/judge-cleanup.ts'
import type { V1Pod } from '../../../runtime/kubernetes-types.ts'

const now = Date.parse('2026-01-02T04:00:00Z')
const limits = { minPendingMs: 30 * 60_000, minCompletedMs: 60_000 }
/** As the server writes it, though the generated types say Date. */
const minutesAgo = (minutes: number) => new Date(now - minutes * 60_000).toISOString() as unknown as Date

function pod(status: V1Pod['status'], metadata: V1Pod['metadata'] = {}): V1Pod {
  return {
    metadata: { name: 'p', creationTimestamp: minutesAgo(90), ...metadata },
    spec: { nodeName: 'node-1', containers: [{ name: 'base' }] },
    ...(status === undefined ? {} : { status }),
  }
}

function ended(phase: 'Succeeded' | 'Failed', minutes: number, reason = 'Completed'): V1Pod['status'] {
  const terminated = { exitCode: phase === 'Failed' ? 1 : 0, reason, finishedAt: minutesAgo(minutes) }
  const container = { name: 'base', state: { terminated }, ready: false, restartCount: 0 }
  return { phase, containerStatuses: [{ ...container, image: 'i', imageID: 'i' }] }
}

const evicted = {
  phase: 'Failed',
  reason: 'Evicted',
  message: 'low on memory',
  conditions: [{ type: 'Ready', status: 'False', lastTransitionTime: minutesAgo(3) }],
}
const unschedulable = {
  phase: 'Pending',
  conditions: [{ type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message: 'no room' }],
}

test.each<[string, V1Pod, [kind: string, words: string, minutes: number] | null]>([
  ['ended well', pod(ended('Succeeded', 2)), ['ended', 'Completed', 2]],
  ['failed', pod(ended('Failed', 1, 'Error')), ['ended', 'Error: container base ended (exit code 1)', 1]],
  ['evicted, without a container', pod(evicted), ['ended', 'Evicted: low on memory', 3]],
  ['ended a moment ago', pod(ended('Succeeded', 0.5)), null],
  ['runs', pod({ phase: 'Running' }), null],
  [
    'waits for too long',
    pod(unschedulable, { creationTimestamp: minutesAgo(31) }),
    ['stuck', 'Unschedulable: no node takes it: no room', 31],
  ],
  ['waits', pod(unschedulable, { creationTimestamp: minutesAgo(29) }), null],
  ['is being deleted', pod(ended('Failed', 9), { deletionTimestamp: minutesAgo(1) }), null],
  [
    'is a Job’s',
    pod(ended('Failed', 9), {
      ownerReferences: [{ apiVersion: 'batch/v1', kind: 'Job', name: 'j', uid: 'u', controller: true }],
    }),
    null,
  ],
])('one that %s', (_what, judged, expected) => {
  const reason = cleanupReason(judged, limits, now)
  const told = reason === null ? null : [reason.kind, reason.words, (now - reason.since) / 60_000]
  expect(told).toEqual(expected)
})
