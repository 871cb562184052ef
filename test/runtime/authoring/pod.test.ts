import { dag, pod, secret, task, testDag } from 'branchline'
import { expect, test } from 'vitest'
import { operatorFault } from '../../../runtime/loader/operator-check.ts'
import type { PodOperatorManifest } from '../../../runtime/operator-manifest.ts'

/** The manifest of a pod task, as it comes back from JSON. */
function manifestOf(options: object): PodOperatorManifest {
  const { manifest } = dag('sales', {}, () => {
    pod('train', { image: 'trainer:4', ...options } as Parameters<typeof pod>[1])
  })
  const operator = manifest.tasks[0]!.operator as PodOperatorManifest
  expect(JSON.parse(JSON.stringify(operator))).toEqual(operator)
  expect(operatorFault(operator)).toBeNull()
  return operator
}

const refusal = (options: object) => {
  try {
    manifestOf(options)
  } catch (error) {
    return (error as Error).message
  }
  throw new Error(`${JSON.stringify(options)} was taken`)
}

test('what is not said has the defaults of Airflow', () => {
  expect(manifestOf({})).toMatchObject({
    kind: 'pod',
    image: 'trainer:4',
    random_name_suffix: true,
    do_xcom_push: false,
    startup_timeout_seconds: 120,
    schedule_timeout_seconds: null,
    get_logs: true,
    container_logs: ['base'],
    init_container_logs: [],
    container_name_log_prefix_enabled: true,
    log_events_on_startup: true,
    log_events_on_failure: false,
    log_pod_spec_on_failure: true,
    skip_on_exit_code: [],
    on_finish_action: 'delete_pod',
    on_kill_action: 'delete_pod',
    hostnetwork: null,
    secrets: [],
    env_vars: null,
  })
})

test('spot nodes are for pods too; what is for worker pods does not reach them', () => {
  const spot = { nodeSelector: { spot: 'yes' } }
  const { manifest } = dag('sales', { defaults: { spot, podTemplateFile: 'worker.yaml' } }, () => {
    pod('train', { image: 'trainer:4', podTemplateFile: 'pods/own.yaml' })
    pod('sure', { image: 'trainer:4', spot: null })
  })
  const [train, sure] = manifest.tasks
  expect(train).toMatchObject({
    spot: { node_selector: { spot: 'yes' } },
    pod_template_file: null,
    operator: { pod_template_file: 'pods/own.yaml' },
  })
  expect(sure!.spot).toBeNull()
})

test('a pod is a task: it has the options of every task, and always the executor kubernetes', () => {
  const { manifest } = dag(
    'sales',
    { defaults: { retries: 2, executor: 'local', isolation: 'fresh' } },
    () => {
      const orders = task('extract', () => [1])
      const trained = pod('train', {
        image: 'trainer:4',
        inputs: { orders },
        executionTimeout: '1h',
        retry_delay: '1m',
      })
      task('report', { trained }, ({ trained }) => trained)
    },
  )
  expect(manifest.tasks.map(({ task_id }) => task_id)).toEqual(['extract', 'train', 'report'])
  expect(manifest.tasks[1]).toMatchObject({
    kind: 'pod',
    executor: 'kubernetes',
    isolation: 'warm',
    inputs: { orders: 'extract' },
    upstream_task_ids: ['extract'],
    retries: 2,
    execution_timeout_ms: 3_600_000,
    retry_delay_ms: 60_000,
  })
})

/** Option → value and what the manifest has of it; each is also given in snake case. */
const taken: [option: string, value: unknown, key: string, read: unknown][] = [
  ['namespace', 'team-a', 'namespace', 'team-a'],
  ['namespace', 'team-{{ params.team }}', 'namespace', 'team-{{ params.team }}'],
  ['name', 'trainer', 'name', 'trainer'],
  ['cmds', 'python', 'cmds', ['python']],
  ['cmds', ['python', '-m', 'x'], 'cmds', ['python', '-m', 'x']],
  ['arguments', ['--day', '{{ ds }}', ''], 'arguments', ['--day', '{{ ds }}', '']],
  ['ports', [{ containerPort: 80 }], 'ports', [{ containerPort: 80 }]],
  ['volumeMounts', [{ name: 'v', mountPath: '/v' }], 'volume_mounts', [{ name: 'v', mountPath: '/v' }]],
  ['volumes', [{ name: 'v', emptyDir: {} }], 'volumes', [{ name: 'v', emptyDir: {} }]],
  [
    'envVars',
    { A: '1', B: '{{ ds }}' },
    'env_vars',
    [
      { name: 'A', value: '1' },
      { name: 'B', value: '{{ ds }}' },
    ],
  ],
  ['envVars', [{ name: 'A', value: '1' }], 'env_vars', [{ name: 'A', value: '1' }]],
  ['envFrom', [{ configMapRef: { name: 'c' } }], 'env_from', [{ configMapRef: { name: 'c' } }]],
  ['configmaps', ['c'], 'configmaps', ['c']],
  [
    'podRuntimeInfoEnvs',
    { N: 'metadata.name' },
    'pod_runtime_info_envs',
    [{ name: 'N', field_path: 'metadata.name' }],
  ],
  [
    'podRuntimeInfoEnvs',
    [{ name: 'N', field_path: 'metadata.name' }],
    'pod_runtime_info_envs',
    [{ name: 'N', field_path: 'metadata.name' }],
  ],
  ['labels', { team: 'a_b' }, 'labels', { team: 'a_b' }],
  ['nodeSelector', { 'node_pool/x_y': 'gpu' }, 'node_selector', { 'node_pool/x_y': 'gpu' }],
  ['imagePullSecrets', 'one, two', 'image_pull_secrets', [{ name: 'one' }, { name: 'two' }]],
  ['imagePullSecrets', ['one', { name: 'two' }], 'image_pull_secrets', [{ name: 'one' }, { name: 'two' }]],
  ['imagePullPolicy', 'Never', 'image_pull_policy', 'Never'],
  ['containerResources', { limits: { my_gpu: 1 } }, 'container_resources', { limits: { my_gpu: 1 } }],
  ['hostnetwork', false, 'hostnetwork', false],
  ['dnspolicy', 'None', 'dnspolicy', 'None'],
  ['terminationGracePeriod', 0, 'termination_grace_period', 0],
  ['terminationGracePeriod', '2m', 'termination_grace_period', 120],
  ['activeDeadlineSeconds', 60, 'active_deadline_seconds', 60],
  ['startupTimeoutSeconds', 600, 'startup_timeout_seconds', 600],
  ['containerLogs', true, 'container_logs', null],
  ['containerLogs', 'sidecar', 'container_logs', ['sidecar']],
  ['initContainerLogs', true, 'init_container_logs', null],
  ['skipOnExitCode', 99, 'skip_on_exit_code', [99]],
  ['skipOnExitCode', [99, 100], 'skip_on_exit_code', [99, 100]],
  ['isDeleteOperatorPod', false, 'on_finish_action', 'keep_pod'],
  ['isDeleteOperatorPod', true, 'on_finish_action', 'delete_pod'],
  ['onFinishAction', 'delete_succeeded_pod', 'on_finish_action', 'delete_succeeded_pod'],
  ['baseContainerName', 'main', 'container_logs', ['main']],
  ['podTemplateFile', 'pods/gpu.yaml', 'pod_template_file', 'pods/gpu.yaml'],
  ['fullPodSpec', { spec: { containers: [] } }, 'full_pod_spec', { spec: { containers: [] } }],
]

test.each(taken)('%s %j is taken in camel case and in snake case', (option, value, key, read) => {
  const snake = option.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
  expect(manifestOf({ [option]: value })[key as keyof PodOperatorManifest]).toEqual(read)
  expect(manifestOf({ [snake]: value })[key as keyof PodOperatorManifest]).toEqual(read)
})

test('an option that says what is always so changes nothing, and no other value of it is taken', () => {
  const plain = manifestOf({})
  const always = {
    deferrable: true,
    durable: true,
    reattach_on_restart: true,
    poll_interval: 2,
    startupCheckIntervalSeconds: 5,
    base_container_status_polling_interval: 0.5,
    logging_interval: null,
    in_cluster: null,
    callbacks: null,
    kubernetes_conn_id: 'kubernetes_default',
  }
  expect(manifestOf(always)).toEqual(plain)
})

test.each([
  [{ deferrable: false }, 'the pod is watched by the scheduler'],
  [{ reattach_on_restart: false }, 'finds the pod by its name'],
  [{ pollInterval: 0 }, 'write a number above 0'],
  [{ in_cluster: true }, 'kubernetes_in_cluster'],
  [{ configFile: '/etc/kube' }, 'kubernetes_config_file'],
  [{ cluster_context: 'x' }, 'kubernetes_cluster_context'],
  [{ trigger_kwargs: {} }, 'there is no triggerer'],
  [{ log_formatter: () => '' }, 'containerNameLogPrefixEnabled'],
  [{ podOverride: {} }, 'fullPodSpec says all else'],
  [{ executor: 'local' }, "always runs by the executor 'kubernetes'"],
  [{ resources: {} }, 'containerResources'],
  [{ imag: 'x' }, "there is no option 'imag'. Did you mean 'image'?"],
  [{ env_var: {} }, "there is no option 'env_var'. Did you mean 'env_vars'?"],
  [{ envVars: {}, env_vars: {} }, "option 'envVars' is given twice, as 'envVars' and as 'env_vars'"],
  [{ image: null }, "option 'image' is missing"],
  [{ image: '' }, 'text that is not blank'],
  [{ cmds: [1] }, "option 'cmds[0]' is 1"],
  [{ envVars: { A: 1 } }, "option 'envVars.A' is 1, but must be text"],
  [{ envVars: { 'A B': 'x' } }, 'named as environment variables are'],
  [{ volumeMounts: [{ name: 'v', mount_path: '/v' }] }, "Kubernetes' own spelling, as in YAML: mountPath"],
  [{ volumeMounts: [{ name: 'v' }] }, 'it has no mountPath'],
  [{ volumes: [{ emptyDir: {} }] }, 'it has no name'],
  [{ tolerations: [{ key: 'x', when: new Date() }] }, "option 'tolerations[0].when'"],
  [{ affinity: () => {} }, 'an object of Kubernetes'],
  [{ imagePullPolicy: 'always' }, "'Always' or 'IfNotPresent' or 'Never'"],
  [{ startupTimeoutSeconds: 0 }, 'whole seconds, 1 or more'],
  [{ startupTimeoutSeconds: '2 minutes' }, 'is not a duration'],
  [{ skipOnExitCode: 0 }, 'an exit code from 1 to 255'],
  [{ onFinishAction: 'keep' }, "'delete_pod' or 'keep_pod'"],
  [{ onFinishAction: 'keep_pod', isDeleteOperatorPod: true }, 'left out, as onFinishAction says it'],
  [{ randomNameSuffix: false }, "'name' must say the whole name"],
  [{ namespace: 'Team A' }, 'a DNS label'],
  [{ secrets: [{ secret: 'x' }] }, 'what secret({ … }) returns'],
  [{ podTemplateFile: 'a.yaml', podTemplateDict: {} }, 'a pod has one template'],
  [{ podTemplateFile: '../a.yaml' }, 'a path within the repository'],
  [{ podTemplateFile: '/etc/passwd' }, 'a path within the repository'],
  [{ fullPodSpec: { containers: [] } }, 'a pod, with metadata and spec'],
  [{ fullPodSpec: { kind: 'Job' } }, 'of kind Pod'],
  [
    { arguments: ['a', '{{ dss }}'] },
    "option 'arguments'[1]: {{ dss }}: there is no name 'dss'. Did you mean 'ds'?",
  ],
  [{ envVars: { A: '{{ inputs.orders }}' } }, "there is no input 'orders'. There is none."],
  [{ inputs: { 'a-b': null } }, 'as environment variables are'],
])('%j is refused, with words', (options, words) => {
  const message = refusal(options)
  expect(message).toContain(words)
  expect(message).toContain("task 'train' of Dag 'sales'")
})

test('secrets are environment variables, whole secrets, or files', () => {
  const { secrets } = manifestOf({
    secrets: [
      secret({ deployType: 'env', deployTarget: 'PASSWORD', secret: 'db', key: 'password' }),
      secret({ deploy_type: 'env', deploy_target: null, secret: 'all' } as never),
      secret({ deployType: 'volume', deployTarget: '/etc/tls', secret: 'tls' }),
    ],
  })
  expect(secrets).toEqual([
    { deploy_type: 'env', deploy_target: 'PASSWORD', secret: 'db', key: 'password' },
    { deploy_type: 'env', deploy_target: null, secret: 'all', key: null },
    { deploy_type: 'volume', deploy_target: '/etc/tls', secret: 'tls', key: null },
  ])
  const wrong: [object, string][] = [
    [{ deployType: 'volume', deployTarget: 'tls', secret: 'x' }, 'absolute path'],
    [{ deployType: 'env', deployTarget: 'X', secret: 'x' }, 'go together'],
    [{ deployType: 'file', deployTarget: '/x', secret: 'x' }, "'env' or 'volume'"],
    [{ deployType: 'env', deployTarget: null, name: 'x' }, "no option 'name'"],
  ]
  for (const [options, words] of wrong) expect(() => secret(options as never)).toThrow(words)
})

test('an image may come from a pod or a template instead', () => {
  const image = null
  const podWith = { spec: { containers: [{ name: 'base', image: 'x' }] } }
  expect(manifestOf({ image, fullPodSpec: podWith }).image).toBeNull()
  expect(manifestOf({ image, podTemplateDict: podWith }).image).toBeNull()
  expect(manifestOf({ image, podTemplateFile: 'x.yaml' }).image).toBeNull()
  expect(refusal({ image, fullPodSpec: { spec: { containers: [{ name: 'base' }] } } })).toContain(
    "'image' is missing",
  )
})

test('in a test the result of a pod is given, or the task fails with words', async () => {
  const sales = dag('sales', {}, () => {
    const trained = pod<{ accuracy: number }>('train', { image: 'trainer:4', doXcomPush: true })
    task('report', { trained }, ({ trained }) => trained.accuracy)
  })
  const given = await testDag(sales, { results: { train: { accuracy: 0.9 } } })
  expect(given.tasks.report!.result).toBe(0.9)
  const run = await testDag(sales)
  expect(run.tasks.train).toMatchObject({ state: 'failed' })
  expect(run.tasks.train!.error!.message).toContain('testDag(dag, { results: { "train": … } })')
})
