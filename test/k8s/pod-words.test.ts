// What people read of a pod: a table of pods as they are seen on clusters.
import { expect, test } from 'vitest'
import type { PodObservation } from '../../k8s/pod-observation.ts'
import { podWords, type SeenPod, wordsText } from '../../k8s/pod-words.ts'
import { at, container, ended, pod, running } from './observations.ts'

const seen = (more: Partial<SeenPod>): SeenPod => ({
  state: 'created',
  observation: null,
  is_gone: false,
  waiting_reason: null,
  waiting_message: null,
  ...more,
})

const cloned = ended('git-sync-clone', 0, 'Completed')
const noRoom = '0/3 nodes are available: 3 Insufficient memory.'
const backOff = 'Back-off pulling image "registry.example/jobs:9"'
const evicting = 'Eviction API: evicting'

const cases: [what: string, observation: PodObservation, text: string][] = [
  [
    'no node has room',
    pod({ node_name: null, containers: [], unschedulable: { reason: 'Unschedulable', message: noRoom } }),
    `Unschedulable: no node takes it: ${noRoom}`,
  ],
  ['no node yet', pod({ node_name: null, containers: [] }), 'Pending: it waits for a node'],
  [
    'on a node, nothing begun',
    pod({ containers: [container('base', { reason: 'ContainerCreating' })] }),
    'ContainerCreating: its containers are made on node node-1',
  ],
  [
    'the init container clones',
    pod({ init_containers: [running('git-sync-clone')] }),
    'Init:0/1: init container git-sync-clone runs',
  ],
  [
    'the second init container is made',
    pod({ init_containers: [cloned, container('wait-for-it')] }),
    'Init:1/2: init container wait-for-it is made on node node-1',
  ],
  [
    'an init container fails again and again',
    pod({
      init_containers: [
        container('git-sync-clone', {
          reason: 'CrashLoopBackOff',
          message: 'back-off 10s restarting failed container',
          restart_count: 2,
          last_reason: 'Error',
        }),
      ],
    }),
    'Init:CrashLoopBackOff: init container git-sync-clone does not start: back-off 10s restarting failed container; it ended 2 times, last with Error',
  ],
  [
    'an init container failed for good',
    pod({
      phase: 'Failed',
      init_containers: [ended('git-sync-clone', 128, 'Error', { message: 'no such host\n' })],
    }),
    'Init:Error: init container git-sync-clone ended (exit code 128): no such host',
  ],
  [
    'the image cannot be pulled',
    pod({ containers: [container('base', { reason: 'ImagePullBackOff', message: backOff })] }),
    `ImagePullBackOff: container base does not start: ${backOff}`,
  ],
  [
    "a sidecar's image cannot be pulled while base runs",
    pod({
      phase: 'Running',
      containers: [running('base'), container('shipper', { reason: 'ErrImagePull', message: 'not found' })],
    }),
    'ErrImagePull: container shipper does not start: not found',
  ],
  [
    'a secret is missing',
    pod({
      containers: [
        container('base', { reason: 'CreateContainerConfigError', message: 'secret "db" not found' }),
      ],
    }),
    'CreateContainerConfigError: container base does not start: secret "db" not found',
  ],
  ['it runs', pod({ phase: 'Running', containers: [running('base')] }), 'Running'],
  [
    'it runs beside a native sidecar',
    pod({ phase: 'Running', init_containers: [cloned, running('xcom')], containers: [running('base')] }),
    'Running',
  ],
  [
    'a native sidecar runs, and the init container after it',
    pod({ init_containers: [running('proxy'), running('git-sync-clone')] }),
    'Init:1/2: init container git-sync-clone runs',
  ],
  [
    'it was started again',
    pod({
      phase: 'Running',
      containers: [running('base', { restart_count: 1, last_reason: 'OOMKilled' })],
    }),
    'Running: container base was started again once, after OOMKilled',
  ],
  ['it ended well', pod({ phase: 'Succeeded', containers: [ended('base', 0, 'Completed')] }), 'Completed'],
  [
    'it ended well and a sidecar goes on',
    pod({ phase: 'Running', containers: [ended('base', 0, 'Completed'), running('shipper')] }),
    'Completed: container base ended with exit code 0, and shipper goes on',
  ],
  [
    'its code failed',
    pod({ phase: 'Failed', containers: [ended('base', 1, 'Error')] }),
    'Error: container base ended (exit code 1)',
  ],
  [
    'it ran out of memory',
    pod({ phase: 'Failed', containers: [ended('base', 137, 'OOMKilled')] }),
    'OOMKilled: container base ran out of memory (OOMKilled, exit code 137, SIGKILL)',
  ],
  [
    'it was ended by a signal, and said something',
    pod({
      phase: 'Failed',
      containers: [ended('base', 143, 'Error', { signal: 15, message: 'told to stop' })],
    }),
    'Error: container base ended (exit code 143, SIGTERM): told to stop',
  ],
  [
    'its command does not exist',
    pod({
      phase: 'Failed',
      containers: [ended('base', 128, 'StartError', { message: 'exec: "nodd": not found in $PATH' })],
    }),
    'StartError: container base could not be started (StartError, exit code 128): exec: "nodd": not found in $PATH',
  ],
  [
    'a sidecar failed after base had ended well',
    pod({ phase: 'Failed', containers: [ended('base', 0, 'Completed'), ended('shipper', 3, 'Error')] }),
    'Error: container shipper ended (exit code 3)',
  ],
  [
    'evicted by the kubelet',
    pod({
      phase: 'Failed',
      reason: 'Evicted',
      message: 'The node was low on resource: memory. ',
      containers: [],
    }),
    'Evicted: The node was low on resource: memory.',
  ],
  [
    'drained while it ran',
    pod({
      phase: 'Failed',
      disruption: { reason: 'EvictionByEvictionAPI', message: evicting },
      containers: [ended('base', 143, 'Error')],
    }),
    `EvictionByEvictionAPI: ${evicting}`,
  ],
  [
    'being drained',
    pod({
      phase: 'Running',
      deletion_timestamp: at,
      disruption: { reason: 'EvictionByEvictionAPI', message: evicting },
      containers: [running('base')],
    }),
    `Terminating: EvictionByEvictionAPI: ${evicting}`,
  ],
  [
    'being deleted by somebody',
    pod({ phase: 'Running', deletion_timestamp: at, containers: [running('base')] }),
    'Terminating: somebody asked for its deletion',
  ],
  [
    'deleted before it ran',
    pod({ is_deleted: true, deletion_timestamp: at }),
    'Deleted: it was deleted before it ran',
  ],
  [
    'deleted with its node',
    pod({
      is_deleted: true,
      phase: 'Running',
      disruption: { reason: 'DeletionByPodGC', message: 'PodGC: node no longer exists' },
      containers: [running('base')],
    }),
    'DeletionByPodGC: PodGC: node no longer exists',
  ],
  [
    'nothing is heard of its node',
    pod({ phase: 'Unknown', containers: [running('base')] }),
    'Unknown: nothing is heard of its node node-1',
  ],
  ['failed without a word', pod({ phase: 'Failed', containers: [] }), 'Failed: it ended without a word why'],
]

test.each(cases)('%s', (_what, observation, text) => {
  expect(wordsText(podWords(seen({ observation })))).toBe(text)
})

test.each<[string, Partial<SeenPod>, string]>([
  ['about to be created', { state: 'planned' }, 'Planned: it is about to be created'],
  [
    'refused for the time being',
    { state: 'planned', waiting_reason: 'Forbidden', waiting_message: 'exceeded quota: small' },
    'Forbidden: it could not be created yet: exceeded quota: small',
  ],
  ['created and not seen', {}, 'Pending: it was created, and nothing was seen of it yet'],
  ['gone before it was seen', { is_gone: true }, 'Deleted: nothing was seen of it in the cluster'],
  ['ended before it was seen', { state: 'ended' }, 'Deleted: nothing was seen of it in the cluster'],
  ['refused', { state: 'ended', uid: null, is_gone: true }, 'NotMade: it was never in the cluster'],
  [
    'gone, and nobody saw it go',
    { is_gone: true, observation: pod({ phase: 'Running', containers: [running('base')] }) },
    'Deleted: it was deleted while it ran',
  ],
])('%s', (_what, more, text) => {
  expect(wordsText(podWords(seen(more)))).toBe(text)
})
