import { dag, job, resource } from 'branchline'
import { expect, test } from 'vitest'
import { judgeJob, judgeObjects } from '../../../k8s/operators/judge-operator-object.ts'
import { buildOperatorJob } from '../../../k8s/operators/operator-job.ts'
import { buildOperatorObjects } from '../../../k8s/operators/operator-objects.ts'
import { podName } from '../../../k8s/pod/attempt-identity.ts'
import type { V1Job } from '../../../runtime/kubernetes-types.ts'
import type { JobOperatorManifest, ResourceOperatorManifest } from '../../../runtime/operator-manifest.ts'
import { identity, operatorVariables, settings } from './operator-fixture.ts'

const operatorOf = <Manifest>(define: () => unknown) =>
  dag('sales', {}, () => {
    define()
  }).manifest.tasks[0]!.operator as Manifest

const jobOf = (options: Parameters<typeof job>[1], params: object = {}) =>
  buildOperatorJob({
    identity,
    settings,
    operator: operatorOf<JobOperatorManifest>(() => job('train', options)),
    variables: operatorVariables({}, params),
    template: null,
    spot: null,
  })

test('a job has its pods’ options in its template, and no pod of it carries the label of attempts', () => {
  const made = jobOf(
    {
      image: 'resizer:{{ params.version }}',
      completions: 3,
      labels: { team: 'a' },
      backoffLimit: 0,
    },
    { version: 2 },
  )
  expect(made).toMatchObject({
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: {
      name: podName(identity),
      namespace: 'jobs',
      labels: { team: 'a', 'branchline.dev/dag_id': 'sales' },
    },
    spec: {
      completions: 3,
      backoffLimit: 0,
      template: {
        metadata: { labels: { team: 'a', 'branchline.dev/task_id': 'train' } },
        spec: { restartPolicy: 'Never', containers: [{ name: 'base', image: 'resizer:2' }] },
      },
    },
  })
  expect(made.spec!.template.metadata!.labels).not.toHaveProperty(['branchline.dev/deployment_id'])
  expect(made.spec).not.toHaveProperty('parallelism')
})

test('options stand over the whole job that was given', () => {
  const made = jobOf({
    fullJobSpec: {
      metadata: { name: 'nightly', labels: { from: 'full' } },
      spec: {
        completions: 9,
        activeDeadlineSeconds: 60,
        template: { spec: { containers: [{ name: 'x', image: 'of-full' }], priorityClassName: 'low' } },
      },
    },
    completions: 3,
    envVars: { A: '1' },
  })
  expect(made.metadata!.name).toMatch(/^nightly-/)
  expect(made.metadata!.labels).toMatchObject({ from: 'full' })
  expect(made.spec).toMatchObject({ completions: 3, activeDeadlineSeconds: 60 })
  expect(made.spec!.template.spec).toMatchObject({
    priorityClassName: 'low',
    containers: [{ name: 'base', image: 'of-full', env: [{ name: 'A', value: '1' }] }],
  })
})

const objectsOf = (options: Parameters<typeof resource>[1], params: object = {}) =>
  buildOperatorObjects({
    identity,
    settings,
    operator: operatorOf<ResourceOperatorManifest>(() => resource('train', options)),
    variables: operatorVariables({}, params),
  })
const map = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'of-{{ ds }}' } }

test('objects are rendered, and say whose they are', () => {
  expect(objectsOf({ manifest: map })).toMatchObject([
    { metadata: { name: 'of-2026-01-31', namespace: 'jobs', labels: { 'branchline.dev/task_id': 'train' } } },
  ])
  expect(objectsOf({ manifest: map, action: 'get', namespace: 'team-a' })).toEqual([
    { ...map, metadata: { name: 'of-2026-01-31', namespace: 'team-a' } },
  ])
})

test('YAML is rendered before it is read, so that numbers are numbers', () => {
  const yaml = `
apiVersion: apps/v1
kind: Deployment
metadata: { name: web }
spec: { replicas: {{ params.replicas }} }
---
{ apiVersion: v1, kind: ConfigMap, metadata: { name: second } }
`
  const made = objectsOf({ yaml }, { replicas: 3 })
  expect(made[0]).toMatchObject({ kind: 'Deployment', spec: { replicas: 3 } })
  expect(made[1]).toMatchObject({ kind: 'ConfigMap' })
})

test.each([
  [{ yaml: '# nothing' }, 'has no object'],
  [{ yaml: 'a: [' }, 'is not YAML'],
  [{ yaml: 'kind: X' }, 'the object of resource() has no apiVersion'],
  [
    { manifest: [map, { ...map, metadata: { generateName: 'x-' } }] },
    'object 2 of resource() has no metadata.name',
  ],
])('%j is refused', (options, words) => {
  expect(() => objectsOf(options)).toThrow(words)
})

const condition = (type: string, more: object = {}) =>
  ({
    status: { succeeded: 1, failed: 2, conditions: [{ type, status: 'True', ...more }] },
  }) as unknown as V1Job

test('a job is judged by its conditions', () => {
  expect(judgeJob({}, true)).toEqual({ type: 'running' })
  expect(judgeJob({}, false)).toMatchObject({ state: 'success' })
  expect(judgeJob(condition('Suspended'), true)).toEqual({ type: 'running' })
  expect(judgeJob(condition('Complete'), true)).toMatchObject({ state: 'success' })
  const failure = condition('Failed', { reason: 'BackoffLimitExceeded', message: 'limit reached' })
  expect(judgeJob(failure, true)).toMatchObject({
    state: 'failed',
    error: {
      name: 'BackoffLimitExceeded',
      message: 'the job failed (1 pods succeeded, 2 failed): limit reached',
    },
  })
})

test('objects are judged by the conditions: all must meet the one, any the other', () => {
  const conditions = { success_condition: 'status.phase = Ready', failure_condition: 'status.phase = Broken' }
  const at = (phase: string) => ({ kind: 'X', metadata: { name: 'x' }, status: { phase } })
  expect(judgeObjects([at('Ready'), at('Starting')], conditions)).toEqual({ type: 'running' })
  expect(judgeObjects([at('Ready'), at('Ready')], conditions)).toMatchObject({ state: 'success' })
  expect(judgeObjects([at('Ready'), at('Broken')], conditions)).toMatchObject({
    state: 'failed',
    error: { message: "X 'x' meets its failureCondition: status.phase = Broken" },
  })
  expect(judgeObjects([undefined], conditions)).toMatchObject({ error: { name: 'ObjectDeleted' } })
  const none = { success_condition: null, failure_condition: null }
  expect(judgeObjects([{}], none)).toMatchObject({ state: 'success' })
  expect(() => judgeObjects([{}], { ...none, success_condition: 'a b' })).toThrow("option 'successCondition'")
})
