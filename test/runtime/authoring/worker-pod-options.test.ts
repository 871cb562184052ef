import { bash, type DagOptions, dag, group, type TaskOptions, task } from 'branchline'
import { expect, test } from 'vitest'
import { DagDefinitionError } from '../../../runtime/errors.ts'
import { checkReading } from '../../../runtime/loader/manifest-check.ts'

const taskOf = (options: TaskOptions, dagOptions: DagOptions = {}) =>
  dag('daily', dagOptions, () => {
    task('load', options, () => 1)
  }).manifest.tasks[0]!
/** Options as they come from data, which the compiler has not seen. */
const refused = (options: object) => () => taskOf(options as TaskOptions)

test('an override is in the manifest as it is said, on Dag, group, task and command', () => {
  const podOverride = {
    metadata: { labels: { team: 'data' } },
    spec: {
      hostNetwork: false,
      priorityClassName: null,
      containers: [{ resources: { limits: { memory: '1Gi' } } }, { name: 'proxy', image: 'proxy:1' }],
    },
  }
  const { manifest } = dag('daily', { podOverride }, () => {
    group('etl', { podOverride }, () => {
      task('load', { podOverride }, () => 1)
      bash('clean', 'true', { podOverride })
    })
  })
  for (const part of [manifest, ...manifest.task_groups, ...manifest.tasks]) {
    expect(part.pod_override).toEqual(podOverride)
  }
  expect(checkReading({ dags: [{ manifest, made_at: null }], unexported: [] })).toBe(null)
})

test('what says nothing is no override', () => {
  expect(taskOf({ podOverride: {} }).pod_override).toBe(null)
  expect(taskOf({ podOverride: null }).pod_override).toBe(null)
})

test.each<[unknown, string]>([
  ['large', 'must be an object with metadata, spec or both'],
  [[], 'must be an object with metadata, spec or both'],
  [new Map(), 'must be an object with metadata, spec or both'],
  [{ specs: {} }, "has no 'specs': there are metadata and spec. Did you mean 'spec'?"],
  [{ kind: 'Pod', spec: {} }, "has no 'kind': there are metadata and spec."],
  [{ containers: [] }, "has no 'containers': there are metadata and spec."],
  [{ spec: [] }, 'has a spec that is no object'],
  [{ metadata: null }, 'has a metadata that is no object'],
  [
    { spec: { priority: undefined } },
    'has undefined at spec.priority: it must be plain JSON (null takes a field away)',
  ],
  [
    { spec: { containers: [{}, { env: [{ name: 'A', value: () => '' }] }] } },
    'has a function at spec.containers[1].env[0].value: it must be plain JSON',
  ],
  [{ spec: { priority: Number.NaN } }, 'has NaN at spec.priority'],
  [{ metadata: { creationTimestamp: new Date(0) } }, 'has a Date at metadata.creationTimestamp'],
  [{ spec: { nodeSelector: new Map() } }, 'has a Map at spec.nodeSelector'],
  [{ spec: { priority: 1n } }, 'has a bigint at spec.priority'],
  [{ metadata: { name: 'mine' } }, 'has metadata.name, but names of pods are made from their attempts'],
  [{ metadata: { generateName: 'mine-' } }, 'has metadata.generateName, but names'],
  [
    { metadata: { labels: { 'branchline.dev/dag_id': 'x' } } },
    "has metadata.labels['branchline.dev/dag_id'], but names that begin with branchline.dev/ are Branchline's own",
  ],
  [{ spec: { containers: {} } }, 'must have a list as spec.containers'],
  [{ spec: { containers: [{}, null] } }, 'must have an object as spec.containers[1]'],
  [
    { spec: { containers: [{ name: 'proxy' }] } },
    "has 'proxy' as its first container, but that is 'base', in which the task runs: put { name: 'base' } before it",
  ],
  [{ spec: { containers: [{}, { name: 'base' }] } }, "has 'base' as spec.containers[1], but it is the first"],
])('an override that cannot be is refused where it is written: %o', (podOverride, message) => {
  expect(refused({ podOverride })).toThrow(`task 'load' of Dag 'daily': option 'podOverride' ${message}`)
  expect(refused({ podOverride })).toThrow(DagDefinitionError)
})

test('Dag and group tell where theirs is wrong', () => {
  const podOverride = { metadata: { name: 'mine' } } as const
  expect(() => dag('daily', { podOverride }, () => {})).toThrow(
    "Dag 'daily': option 'podOverride' has metadata.name",
  )
  expect(() =>
    dag('daily', {}, () => {
      group('etl', { podOverride }, () => {})
    }),
  ).toThrow("group 'etl' of Dag 'daily': option 'podOverride' has metadata.name")
})

test('a template of its own is a path within the repository', () => {
  expect(taskOf({ podTemplateFile: './pods//large.yaml' }).pod_template_file).toBe('pods/large.yaml')
  expect(taskOf({}, { defaults: { podTemplateFile: 'large.yaml' } }).pod_template_file).toBe('large.yaml')
  expect(
    taskOf({ podTemplateFile: null }, { defaults: { podTemplateFile: 'a.yaml' } }).pod_template_file,
  ).toBe(null)
  for (const podTemplateFile of ['/etc/pod.yaml', '../pod.yaml', 'a/../../b', '.', ' ', 7]) {
    expect(refused({ podTemplateFile })).toThrow(/option 'podTemplateFile'/)
  }
})

test('spot nodes: what they are known by, and how many attempts stay away', () => {
  const tolerations = [{ key: 'spot', operator: 'Exists' }]
  expect(taskOf({ spot: { nodeSelector: { lifecycle: 'spot' }, tolerations } }).spot).toEqual({
    node_selector: { lifecycle: 'spot' },
    tolerations,
    affinity: null,
    on_demand_attempts: 1,
  })
  const affinity = { nodeAffinity: {} }
  expect(taskOf({}, { defaults: { spot: { affinity, onDemandAttempts: 0 } } }).spot).toEqual({
    node_selector: {},
    tolerations: [],
    affinity,
    on_demand_attempts: 0,
  })
})

test.each<[unknown, RegExp]>([
  [true, /option 'spot': the options are true, but must be an object/],
  [{}, /option 'spot' is {}, but must be an object with what spot nodes are known by/],
  [{ onDemandAttempts: 2 }, /nodeSelector, tolerations or affinity/],
  [{ toleration: [] }, /no option 'toleration'\. Did you mean 'tolerations'\?/],
  [
    { nodeSelector: { spot: true } },
    /'spot.nodeSelector' is { spot: true }, but must be an object: label → value/,
  ],
  [{ tolerations: {} }, /'spot.tolerations' is {}, but must be a list/],
  [{ affinity: 'spot' }, /'spot.affinity' is 'spot', but must be an object/],
  [{ tolerations: [{ key: undefined }] }, /option 'spot' has undefined at spec.tolerations\[0\].key/],
  [{ nodeSelector: { a: 'b' }, onDemandAttempts: -1 }, /'spot.onDemandAttempts' is -1/],
])('spot options that cannot be are refused: %o', (spot, message) => {
  expect(refused({ spot })).toThrow(message)
})

test('an override belongs to a Dag, a group or a task, not to the defaults of all tasks', () => {
  expect(() => taskOf({}, { defaults: { podOverride: {} } } as DagOptions)).toThrow(
    /option 'defaults': there is no option 'podOverride'/,
  )
})
