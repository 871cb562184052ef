import { expect, test } from 'vitest'
import { isDecisive, type PodObservation } from '../../k8s/pod-observation.ts'
import { at, ended, pod, running } from './observations.ts'

test.each<[string, Partial<PodObservation>, boolean]>([
  ['one that waits for a node', { node_name: null, containers: [] }, false],
  ['one whose init container runs', { init_containers: [running('git-sync-clone')] }, false],
  ['one whose init container has failed', { phase: 'Failed' }, true],
  ['one that runs', { phase: 'Running', containers: [running('base')] }, true],
  [
    'one whose task has ended beside a sidecar',
    { containers: [ended('base', 0, null), running('proxy')] },
    true,
  ],
  ['one that is evicted', { phase: 'Failed', reason: 'Evicted', containers: [] }, true],
  [
    'one that is deleted',
    { phase: 'Succeeded', containers: [ended('base', 0, null)], deletion_timestamp: at },
    false,
  ],
])('whether somebody waits for %s', (_name, seen, expected) => {
  expect(isDecisive(pod(seen))).toBe(expected)
})
