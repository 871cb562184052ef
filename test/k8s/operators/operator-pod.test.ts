import { dag, type PodOperatorOptions, pod, secret, task } from 'branchline'
import { expect, test } from 'vitest'
import { buildOperatorPod } from '../../../k8s/operators/operator-pod.ts'
import { operatorTemplatePath, parseOperatorTemplate } from '../../../k8s/operators/operator-template.ts'
import { podName } from '../../../k8s/pod/attempt-identity.ts'
import type { PodSettings } from '../../../k8s/pod/pod-settings.ts'
import type { V1Pod } from '../../../runtime/kubernetes-types.ts'
import type { PodOperatorManifest } from '../../../runtime/operator-manifest.ts'
import { identity, operatorVariables, settings } from './operator-fixture.ts'

interface Given {
  inputs?: Record<string, string>
  params?: object
  template?: V1Pod | null
  settings?: Partial<PodSettings>
}

/** The pod of a task that is defined with these options. */
function podOf(options: PodOperatorOptions, given: Given = {}): V1Pod {
  const { manifest } = dag('sales', {}, () => {
    const names = Object.keys(given.inputs ?? {})
    const inputs = Object.fromEntries(names.map((name) => [name, task(name, () => 1)]))
    pod('train', { image: 'trainer:4', ...options, inputs })
  })
  return buildOperatorPod({
    identity,
    settings: { ...settings, ...given.settings },
    operator: manifest.tasks.at(-1)!.operator as PodOperatorManifest,
    variables: operatorVariables(given.inputs, given.params),
    template: given.template ?? null,
    spot: null,
  })
}

test('the least pod: found by its name and labels, and with nothing of a worker in it', () => {
  const { metadata, spec } = podOf({})
  expect(metadata).toMatchObject({
    name: podName(identity),
    namespace: 'jobs',
    labels: { 'branchline.dev/dag_id': 'sales', 'branchline.dev/task_id': 'train' },
    annotations: {
      'branchline.dev/run_id': identity.runId,
      'kubectl.kubernetes.io/default-container': 'base',
    },
  })
  expect(metadata!.annotations!['branchline.dev/spec_hash']).toMatch(/^[0-9a-f]{64}$/)
  expect(spec).toEqual({
    restartPolicy: 'Never',
    securityContext: { seccompProfile: { type: 'RuntimeDefault' } },
    containers: [{ name: 'base', image: 'trainer:4' }],
  })
})

test('each option has its place in the pod', () => {
  const { metadata, spec } = podOf({
    namespace: 'team-a',
    labels: { team: 'a', 'app.kubernetes.io/name': 'trainer' },
    annotations: { note: 'x' },
    cmds: ['python'],
    arguments: ['-m', 'train'],
    ports: [{ containerPort: 80 }],
    volumeMounts: [{ name: 'data', mountPath: '/data' }],
    volumes: [{ name: 'data', emptyDir: {} }],
    envVars: { A: '1' },
    envFrom: [{ prefix: 'X_', configMapRef: { name: 'x' } }],
    configmaps: ['common'],
    secrets: [
      secret({ deployType: 'env', deployTarget: 'PASSWORD', secret: 'db', key: 'password' }),
      secret({ deployType: 'env', deployTarget: null, secret: 'all' }),
      secret({ deployType: 'volume', deployTarget: '/etc/tls', secret: 'tls' }),
      secret({ deployType: 'volume', deployTarget: '/etc/key', secret: 'keys', key: 'one' }),
    ],
    podRuntimeInfoEnvs: { POD_NAME: 'metadata.name' },
    imagePullPolicy: 'Always',
    imagePullSecrets: ['pull'],
    containerResources: { limits: { memory: '1Gi' } },
    containerSecurityContext: { runAsUser: 1000 },
    terminationMessagePolicy: 'FallbackToLogsOnError',
    securityContext: { fsGroup: 5 },
    serviceAccountName: 'trainer',
    automountServiceAccountToken: false,
    affinity: { nodeAffinity: {} },
    nodeSelector: { pool: 'gpu' },
    tolerations: [{ key: 'gpu', operator: 'Exists' }],
    runtimeClassName: 'gvisor',
    priorityClassName: 'low',
    schedulername: 'other',
    hostnetwork: true,
    hostAliases: [{ ip: '10.0.0.1', hostnames: ['db'] }],
    hostname: 'trainer',
    subdomain: 'jobs',
    dnspolicy: 'ClusterFirstWithHostNet',
    dnsConfig: { searches: ['x'] },
    initContainers: [{ name: 'fetch', image: 'fetch:1' }],
    terminationGracePeriod: 5,
    activeDeadlineSeconds: '1h',
  })
  expect(metadata).toMatchObject({
    namespace: 'team-a',
    labels: { team: 'a', 'app.kubernetes.io/name': 'trainer', 'branchline.dev/dag_id': 'sales' },
    annotations: { note: 'x' },
  })
  expect(spec).toEqual({
    restartPolicy: 'Never',
    serviceAccountName: 'trainer',
    automountServiceAccountToken: false,
    securityContext: { seccompProfile: { type: 'RuntimeDefault' }, fsGroup: 5 },
    imagePullSecrets: [{ name: 'pull' }],
    affinity: { nodeAffinity: {} },
    nodeSelector: { pool: 'gpu' },
    tolerations: [{ key: 'gpu', operator: 'Exists' }],
    runtimeClassName: 'gvisor',
    priorityClassName: 'low',
    schedulerName: 'other',
    hostNetwork: true,
    hostAliases: [{ ip: '10.0.0.1', hostnames: ['db'] }],
    hostname: 'trainer',
    subdomain: 'jobs',
    dnsPolicy: 'ClusterFirstWithHostNet',
    dnsConfig: { searches: ['x'] },
    initContainers: [{ name: 'fetch', image: 'fetch:1' }],
    terminationGracePeriodSeconds: 5,
    activeDeadlineSeconds: 3600,
    volumes: [
      { name: 'data', emptyDir: {} },
      { name: 'branchline-secret-0', secret: { secretName: 'tls' } },
      { name: 'branchline-secret-1', secret: { secretName: 'keys', items: [{ key: 'one', path: 'one' }] } },
    ],
    containers: [
      {
        name: 'base',
        image: 'trainer:4',
        imagePullPolicy: 'Always',
        command: ['python'],
        args: ['-m', 'train'],
        ports: [{ containerPort: 80 }],
        resources: { limits: { memory: '1Gi' } },
        securityContext: { runAsUser: 1000 },
        terminationMessagePolicy: 'FallbackToLogsOnError',
        env: [
          { name: 'POD_NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
          { name: 'PASSWORD', valueFrom: { secretKeyRef: { name: 'db', key: 'password' } } },
          { name: 'A', value: '1' },
        ],
        envFrom: [
          { prefix: 'X_', configMapRef: { name: 'x' } },
          { configMapRef: { name: 'common' } },
          { secretRef: { name: 'all' } },
        ],
        volumeMounts: [
          { name: 'data', mountPath: '/data' },
          { name: 'branchline-secret-0', mountPath: '/etc/tls', readOnly: true },
          { name: 'branchline-secret-1', mountPath: '/etc/key', readOnly: true },
        ],
      },
    ],
  })
})

test('options win over fullPodSpec, and that over the template; lists are extended by name', () => {
  const template = parseOperatorTemplate(
    `
metadata: { name: ignored, labels: { from: template, kept: template } }
spec:
  serviceAccountName: of-template
  priorityClassName: of-template
  hostNetwork: true
  volumes: [{ name: data, emptyDir: {} }]
  containers:
    - { name: whatever, image: of-template, env: [{ name: A, value: template }, { name: B, value: template }] }
    - { name: proxy, image: proxy:1 }
`,
    'pods/x.yaml',
  )
  const built = podOf(
    {
      image: null,
      hostnetwork: false,
      envVars: { A: 'option' },
      labels: { from: 'option' },
      fullPodSpec: {
        metadata: { labels: { from: 'full' } },
        spec: {
          priorityClassName: 'of-full',
          containers: [
            {
              name: 'base',
              image: 'of-full',
              env: [
                { name: 'A', value: 'full' },
                { name: 'C', value: 'full' },
              ],
            },
          ],
        },
      },
      podTemplateFile: 'pods/x.yaml',
    },
    { template },
  )
  expect(built.metadata!.labels).toMatchObject({ from: 'option', kept: 'template' })
  expect(built.metadata!.name).toMatch(/^ignored-[0-9a-z]{16}$/)
  expect(built.spec).toMatchObject({
    serviceAccountName: 'of-template',
    priorityClassName: 'of-full',
    hostNetwork: false,
    restartPolicy: 'Never',
  })
  expect(built.spec!.containers).toEqual([
    {
      name: 'base',
      image: 'of-full',
      env: [
        { name: 'A', value: 'option' },
        { name: 'B', value: 'template' },
        { name: 'C', value: 'full' },
      ],
    },
    { name: 'proxy', image: 'proxy:1' },
  ])
})

test.each([
  [{ name: 'My Trainer_1' }, /^my-trainer-1-[0-9a-z]{16}$/],
  [{ name: `${'x'.repeat(45)}-tail` }, /^x{45}-[0-9a-z]{16}$/],
  [{ name: '{{ ds }}' }, /^2026-01-31-[0-9a-z]{16}$/],
  [{ name: '___' }, /^sales-train-[0-9a-z]{16}$/],
  [{ name: 'exactly-so', randomNameSuffix: false }, /^exactly-so$/],
  [{ fullPodSpec: { metadata: { name: 'full' } }, randomNameSuffix: false }, /^full$/],
])('%j: the pod is named %s', (options, name) => {
  expect(podOf(options as PodOperatorOptions).metadata!.name).toMatch(name)
})

test('templates are rendered wherever a text stands, and what they bring arrives as it is', () => {
  const { spec } = podOf(
    {
      image: 'trainer:{{ params.version }}',
      arguments: ['{{ params.text }}', '$(HOME)', '{{ inputs.orders[0].id }}'],
      envVars: { DAY: '{{ ds }}', TEXT: '{{ params.text }}' },
      volumes: [{ name: 'data', persistentVolumeClaim: { claimName: 'data-{{ ds_nodash }}' } }],
      annotations: { text: '{{ params.text }}' },
      podTemplateDict: { spec: { containers: [{ name: 'base', workingDir: '/{{ ds }}' }] } },
    },
    { inputs: { orders: '[{"id":"$(PATH)"}]' }, params: { version: 5, text: 'a$b$$(X)' } },
  )
  expect(spec!.containers[0]).toEqual({
    name: 'base',
    image: 'trainer:5',
    workingDir: '/2026-01-31',
    args: ['a$$b$$$$(X)', '$(HOME)', '$$(PATH)'],
    env: [
      { name: 'orders', value: '[{"id":"$$(PATH)"}]' },
      { name: 'DAY', value: '2026-01-31' },
      { name: 'TEXT', value: 'a$$b$$$$(X)' },
    ],
  })
  expect(spec!.volumes![0]!.persistentVolumeClaim!.claimName).toBe('data-20260131')
})

test('a result that no environment variable holds is refused with its name and length', () => {
  const fits = 'x'.repeat(128 * 1024 - 'orders=""_'.length)
  const named = (orders: string) => () => podOf({}, { inputs: { orders: JSON.stringify(orders) } })
  expect(named(fits)().spec!.containers[0]!.env![0]!.value).toHaveLength(fits.length + 2)
  expect(named(`${fits}y`)).toThrow(
    /result 'orders' is too long.*131073 bytes as JSON.*return where the data lies/,
  )
})

test('a param that is missing is told with place and nearest name, before there is a pod', () => {
  const wrong = () => podOf({ envVars: { A: '{{ params.regoin }}' } }, { params: { region: 'x' } })
  expect(wrong).toThrow(
    "task 'train' of Dag 'sales', option 'envVars[0].value': {{ params.regoin }}: there is no field of params 'regoin'. Did you mean 'region'?",
  )
})

test('a result is taken by a native sidecar that alone has the token', () => {
  const built = podOf({
    doXcomPush: true,
    initContainers: [{ name: 'fetch', image: 'fetch:1' }],
    xcomSidecarContainerSecurityContext: { readOnlyRootFilesystem: false },
  })
  const { initContainers, containers, volumes, imagePullSecrets } = built.spec!
  expect(initContainers!.map(({ name }) => name)).toEqual(['fetch', 'branchline-xcom'])
  expect(initContainers![1]).toMatchObject({
    image: 'worker:1',
    restartPolicy: 'Always',
    command: ['/bin/sh', '-c', expect.stringMatching(/wait; exec branchline xcom-sidecar$/)],
    env: [
      { name: 'BRANCHLINE_EXECUTION_API_URL', value: 'http://web:8080' },
      { name: 'BRANCHLINE_TOKEN_FILE' },
      { name: 'BRANCHLINE_XCOM_PATH', value: '/branchline/xcom' },
    ],
    securityContext: {
      runAsNonRoot: true,
      allowPrivilegeEscalation: false,
      capabilities: { drop: ['ALL'] },
      readOnlyRootFilesystem: false,
      seccompProfile: { type: 'RuntimeDefault' },
    },
  })
  expect(containers[0]!.volumeMounts).toEqual([
    { name: 'branchline-xcom', mountPath: '/branchline/xcom' },
    { name: 'branchline-xcom', mountPath: '/airflow/xcom' },
  ])
  expect(volumes!.map(({ name }) => name)).toEqual(['branchline-xcom', 'branchline-token'])
  expect(imagePullSecrets).toEqual([{ name: 'pull-worker' }])
})

test.each([
  [{ securityContext: { runAsUser: 0 } }, { runAsUser: 0, runAsNonRoot: false }],
  [{ securityContext: { runAsUser: 1, runAsGroup: 2 } }, { runAsUser: 1, runAsGroup: 2, runAsNonRoot: true }],
  [
    { securityContext: { runAsUser: 1 }, containerSecurityContext: { runAsUser: 3 } },
    { runAsUser: 3, runAsNonRoot: true },
  ],
])('%j: the sidecar is the user who may read what base writes', (options, expected) => {
  const built = podOf({ doXcomPush: true, ...options })
  expect(built.spec!.initContainers![0]!.securityContext).toMatchObject(expected)
})

test('the first attempts go to spot nodes, where the task says so', () => {
  const spot = { node_selector: { spot: 'yes' }, tolerations: [], affinity: null, on_demand_attempts: 1 }
  const { manifest } = dag('sales', {}, () => {
    pod('train', { image: 'trainer:4', nodeSelector: { pool: 'gpu' } })
  })
  const operator = manifest.tasks[0]!.operator as PodOperatorManifest
  const at = (tryNumber: number) =>
    buildOperatorPod({
      identity: { ...identity, tryNumber, maxTries: 2 },
      settings,
      operator,
      variables: operatorVariables(),
      template: null,
      spot,
    }).spec!.nodeSelector
  expect([at(1), at(2)]).toEqual([{ pool: 'gpu', spot: 'yes' }, { pool: 'gpu' }])
})

test.each<[PodOperatorOptions, Given, string]>([
  [{ namespace: 'elsewhere' }, {}, 'which is not watched'],
  [{ name: 'Exact', randomNameSuffix: false }, {}, 'cannot be named "Exact"'],
  [
    { image: null, podTemplateFile: 'x.yaml' },
    { template: { spec: { containers: [] } } as unknown as V1Pod },
    'has no image',
  ],
  [{ doXcomPush: true }, { settings: { image: null } }, 'set worker_image'],
  [{ doXcomPush: true, initContainers: [{ name: 'branchline-xcom' }] }, {}, 'the name of our sidecar'],
])('%j: no pod is made, with words', (options, given, words) => {
  expect(() => podOf(options, given)).toThrow(words)
})

test('a template file may be chosen by a param, but not one outside of the commit', () => {
  const path = (region: string) =>
    operatorTemplatePath('pods/{{ params.region }}.yaml', operatorVariables({}, { region }))
  expect(path('north')).toBe('pods/north.yaml')
  expect(() => path('../../secret')).toThrow('which is no path within the repository')
})

test.each([
  ['kind: Job', 'is of kind "Job"'],
  ['- a', 'it is empty or a list'],
  ['containers: []', "has 'containers' at its top"],
  ['spec: { containers: {} }', 'is no list'],
  ['a: [', 'is not YAML'],
])('a template file with %s is refused', (text, words) => {
  expect(() => parseOperatorTemplate(text, 'x.yaml')).toThrow(words)
  expect(() => parseOperatorTemplate(text, 'x.yaml')).toThrow('pod template x.yaml')
})

test('the same attempt has the same pod, another attempt another', () => {
  expect(podOf({ doXcomPush: true })).toEqual(podOf({ doXcomPush: true }))
})
