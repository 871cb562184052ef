import { dag, job, resource } from 'branchline'
import { expect, test } from 'vitest'
import { operatorFault } from '../../../runtime/loader/operator-check.ts'
import type {
  JobOperatorManifest,
  OperatorManifest,
  ResourceOperatorManifest,
} from '../../../runtime/operator-manifest.ts'

function operatorOf(define: () => unknown): OperatorManifest {
  const { manifest } = dag('sales', {}, () => {
    define()
  })
  const operator = manifest.tasks[0]!.operator!
  expect(manifest.tasks[0]).toMatchObject({ kind: operator.kind, executor: 'kubernetes' })
  expect(operatorFault(JSON.parse(JSON.stringify(operator)))).toBeNull()
  return operator
}
const jobOf = (options: object) =>
  operatorOf(() =>
    job('resize', { image: 'r:1', ...options } as Parameters<typeof job>[1]),
  ) as JobOperatorManifest
const resourceOf = (options: object) =>
  operatorOf(() => resource('ray', options as Parameters<typeof resource>[1])) as ResourceOperatorManifest

const object = { apiVersion: 'ray.io/v1', kind: 'RayCluster', metadata: { name: 'daily' } }

test('a job has the options of its pods, and its own', () => {
  expect(jobOf({})).toMatchObject({ kind: 'job', parallelism: null, wait_until_job_complete: true })
  const options = {
    parallelism: 2,
    completions: 5,
    completion_mode: 'Indexed',
    backoffLimit: 0,
    ttl_seconds_after_finished: '1h',
    suspend: true,
    wait_until_job_complete: false,
    env_vars: { A: '{{ ds }}' },
    job_poll_interval: 10,
  }
  expect(jobOf(options)).toMatchObject({
    parallelism: 2,
    completions: 5,
    completion_mode: 'Indexed',
    backoff_limit: 0,
    ttl_seconds_after_finished: 3600,
    suspend: true,
    wait_until_job_complete: false,
    env_vars: [{ name: 'A', value: '{{ ds }}' }],
  })
  const image = null
  const fullJobSpec = { spec: { template: { spec: { containers: [{ name: 'base', image: 'x' }] } } } }
  expect(jobOf({ image, fullJobSpec }).full_job_spec).toEqual(fullJobSpec)
})

test.each([
  [{ paralelism: 1 }, "Did you mean 'parallelism'?"],
  [{ completions: 0 }, 'a whole number of 1 or more'],
  [{ completionMode: 'indexed' }, "'NonIndexed' or 'Indexed'"],
  [{ doXcomPush: true }, "there is no option 'doXcomPush'"],
  [{ image: null }, "option 'image' is missing"],
  [{ fullJobSpec: { kind: 'Pod' } }, 'of kind Job'],
  [{ arguments: ['{{ dss }}'] }, "Did you mean 'ds'?"],
])('job: %j is refused', (options, words) => {
  expect(() => jobOf(options)).toThrow(words)
})

test('a resource is one object or several, as JSON or as YAML', () => {
  expect(resourceOf({ manifest: object })).toEqual({
    kind: 'resource',
    action: 'create',
    namespace: null,
    manifest: [object],
    yaml: null,
    patch_type: 'merge',
    success_condition: null,
    failure_condition: null,
  })
  const free = { ...object, spec: { any_name: { of_any: ['kind'] } } }
  expect(resourceOf({ manifest: [object, free], action: 'apply' }).manifest).toEqual([object, free])
  const yaml = 'apiVersion: v1\nkind: ConfigMap\nmetadata: { name: "{{ ds }}" }'
  expect(resourceOf({ yaml, success_condition: 'status.phase = {{ params.phase }}' })).toMatchObject({
    yaml,
    success_condition: 'status.phase = {{ params.phase }}',
  })
})

test.each([
  [{}, "either option 'manifest' or option 'yaml'"],
  [{ manifest: object, yaml: 'a: 1' }, "either option 'manifest' or option 'yaml'"],
  [{ manifest: [] }, 'one object or several'],
  [{ manifest: { kind: 'X', metadata: {} } }, 'it has no apiVersion'],
  [{ manifest: object, action: 'delet' }, "'create' or 'apply'"],
  [{ manifest: object, patchType: 'merge' }, "as the action is 'create'"],
  [{ manifest: object, action: 'delete', successCondition: 'a = b' }, "the object's end is waited for"],
  [{ manifest: object, successCondition: 'status phase' }, "terms such as 'status.phase = Ready'"],
  [{ manifest: { ...object, spec: { x: '{{ nothing }}' } } }, "there is no name 'nothing'"],
  [{ manifest: object, image: 'x' }, "there is no option 'image'"],
])('resource: %j is refused', (options, words) => {
  expect(() => resourceOf(options)).toThrow(words)
})
