import { describe, expect, test } from 'vitest'
import { buildAttemptPod } from '../../../k8s/pod/attempt-pod.ts'
import { gitSyncContainer } from '../../../k8s/pod/pod-names.ts'
import { specHash } from '../../../k8s/pod/spec-hash.ts'
import { parseYaml } from '../../../k8s/yaml.ts'
import { PodSpecError } from '../../../runtime/errors.ts'
import type { V1Pod, V1PodSpec } from '../../../runtime/kubernetes-types.ts'
import { goldenPods } from './golden-pods.ts'
import { commitSha, gitSource, identityOf, ofBase, podInput, settingsOf } from './inputs.ts'

const build = (own: Parameters<typeof podInput>[0] = {}) => buildAttemptPod(podInput(own))
const baseOf = (pod: V1Pod) => pod.spec!.containers[0]!
const templateOf = (spec: Partial<V1PodSpec>, metadata: V1Pod['metadata'] = {}): V1Pod => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'worker', ...metadata },
  spec: { containers: [{ name: 'base', image: 'template:1' }], ...spec },
})
const initOf = (pod: V1Pod) => pod.spec!.initContainers!.find(({ name }) => name === gitSyncContainer)!

test.each(goldenPods)('the whole pod: $name', async ({ name, pod, yaml }) => {
  expect(parseYaml(yaml, name)).toEqual(pod)
  await expect(yaml).toMatchFileSnapshot(`golden/${name}.yaml`)
})

describe('image', () => {
  test("the deployment's takes the place of the template's; without one the template's stays", () => {
    const template = templateOf({})
    expect(baseOf(build({ template })).image).toBe('registry.example/branchline-worker:1')
    expect(baseOf(build({ template, settings: settingsOf({ image: null }) })).image).toBe('template:1')
  })

  test("an override's wins", () => {
    const overrides = [ofBase({ image: 'dag:1' }), ofBase({ image: 'task:1' })]
    expect(baseOf(build({ template: templateOf({}), overrides })).image).toBe('task:1')
  })

  test('without any, it is said where to set one', () => {
    expect(() => build({ settings: settingsOf({ image: null }) })).toThrow(
      /'base' has no image: set worker_image/,
    )
  })

  test('pull policy and pull secrets: those of the settings beside those of the template', () => {
    const settings = settingsOf({
      imagePullPolicy: 'Always',
      imagePullSecrets: ['b', 'c'],
      dagsSource: gitSource,
    })
    const pod = build({
      settings,
      template: templateOf({ imagePullSecrets: [{ name: 'a' }, { name: 'b' }] }),
    })
    expect(pod.spec!.imagePullSecrets).toEqual([{ name: 'a' }, { name: 'b' }, { name: 'c' }])
    expect([baseOf(pod), initOf(pod)].map(({ imagePullPolicy }) => imagePullPolicy)).toEqual([
      'Always',
      'Always',
    ])
  })
})

describe('what the template sets stays', () => {
  test.each<[Partial<V1PodSpec>]>([
    [{ terminationGracePeriodSeconds: 600 }],
    [{ automountServiceAccountToken: true }],
    [{ enableServiceLinks: true }],
    [{ serviceAccountName: 'own' }],
    [{ schedulerName: 'own', runtimeClassName: 'gvisor', topologySpreadConstraints: [] }],
  ])('%j', (spec) => {
    expect(build({ template: templateOf(spec) }).spec).toMatchObject(spec)
  })

  test('but its name is replaced, and a pod is never started again', () => {
    const pod = build({ template: templateOf({ restartPolicy: 'Always' }) })
    expect(pod.metadata!.name).toMatch(/^daily-sales-etl-extract-orders-/)
    expect(pod.spec!.restartPolicy).toBe('Never')
  })

  test('a service account of the settings is honoured over it', () => {
    const template = templateOf({ serviceAccountName: 'template' })
    const settings = settingsOf({ serviceAccountName: 'settings' })
    expect(build({ template, settings }).spec!.serviceAccountName).toBe('settings')
    const overrides = [{ spec: { serviceAccountName: 'override' } }]
    expect(build({ template, settings, overrides }).spec!.serviceAccountName).toBe('override')
  })
})

describe('namespace', () => {
  test("the settings', the template's, an override's: the last wins", () => {
    const template = templateOf({}, { namespace: 'heavy' })
    expect(build().metadata!.namespace).toBe('dags')
    expect(build({ template }).metadata!.namespace).toBe('heavy')
    const overrides = [{ metadata: { namespace: 'dags' } }]
    expect(build({ template, overrides }).metadata!.namespace).toBe('dags')
  })

  test('one that is not watched is refused', () => {
    const overrides = [{ metadata: { namespace: 'other' } }]
    expect(() => build({ overrides })).toThrow(
      "the pod's namespace is 'other', which is not watched: name it in kubernetes_namespaces, or use dags or heavy",
    )
    expect(() => build({ overrides })).toThrow(PodSpecError)
  })
})

describe('security', () => {
  test('a field that is said keeps the others', () => {
    const pod = build({
      template: templateOf({ securityContext: { runAsUser: 1000 } }),
      overrides: [ofBase({ securityContext: { readOnlyRootFilesystem: false } })],
    })
    expect(pod.spec!.securityContext).toEqual({
      runAsUser: 1000,
      runAsNonRoot: true,
      seccompProfile: { type: 'RuntimeDefault' },
    })
    expect(baseOf(pod).securityContext).toEqual({
      readOnlyRootFilesystem: false,
      allowPrivilegeEscalation: false,
      capabilities: { drop: ['ALL'] },
    })
  })

  test('null does without: of one field, or of all', () => {
    const pod = build({
      settings: settingsOf({ dagsSource: gitSource }),
      overrides: [
        {
          spec: {
            securityContext: null,
            containers: [{ securityContext: { capabilities: null } }],
            initContainers: [
              { name: gitSyncContainer, securityContext: { runAsUser: null, runAsGroup: null } },
            ],
          },
        },
      ],
    })
    expect(pod.spec).not.toHaveProperty('securityContext')
    expect(baseOf(pod).securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
    })
    expect(initOf(pod).securityContext).toEqual({
      allowPrivilegeEscalation: false,
      capabilities: { drop: ['ALL'] },
      readOnlyRootFilesystem: true,
    })
  })

  test("nothing is set in containers of the user's own, but that init containers keep their last words", () => {
    const proxy = { name: 'proxy', image: 'proxy:1' }
    const overrides = [{ spec: { containers: [{}, proxy], initContainers: [{ ...proxy, name: 'first' }] } }]
    const { containers, initContainers } = build({ overrides }).spec!
    expect(containers[1]).toEqual(proxy)
    const lastWords = { terminationMessagePolicy: 'FallbackToLogsOnError' }
    expect(initContainers).toEqual([{ ...proxy, name: 'first', ...lastWords }])
  })

  test('the token is mounted in base alone', () => {
    const overrides = [{ spec: { containers: [{}, { name: 'proxy', image: 'proxy:1' }] } }]
    const pod = build({ settings: settingsOf({ dagsSource: gitSource }), overrides })
    const mounts = [...pod.spec!.containers, ...pod.spec!.initContainers!].map(({ name, volumeMounts }) => [
      name,
      volumeMounts?.some((mount) => mount.mountPath === '/var/run/secrets/branchline') ?? false,
    ])
    expect(mounts).toEqual([
      ['base', true],
      ['proxy', false],
      [gitSyncContainer, false],
    ])
  })

  test('/tmp is a volume of the given size where one is given under its name', () => {
    const volume = { name: 'branchline-tmp', emptyDir: { sizeLimit: '1Gi' } }
    const { containers, volumes } = build({ overrides: [{ spec: { volumes: [volume] } }] }).spec!
    expect(volumes!.filter(({ name }) => name === volume.name)).toEqual([volume])
    expect(containers[0]!.volumeMounts).toContainEqual({ name: volume.name, mountPath: '/tmp' })
  })

  test('/tmp is writable, by a volume of the user where there is one', () => {
    const own = { volumeMounts: [{ name: 'scratch', mountPath: '/tmp' }] }
    const names = (pod: V1Pod) =>
      baseOf(pod)
        .volumeMounts!.filter(({ mountPath }) => mountPath === '/tmp')
        .map(({ name }) => name)
    expect(names(build())).toEqual(['branchline-tmp'])
    const pod = build({
      overrides: [{ spec: { containers: [own], volumes: [{ name: 'scratch', emptyDir: {} }] } }],
    })
    expect(names(pod)).toEqual(['scratch'])
    expect(pod.spec!.volumes!.map(({ name }) => name)).not.toContain('branchline-tmp')
  })
})

describe('Dags from Git', () => {
  const git = (own: Partial<typeof gitSource> = {}) => settingsOf({ dagsSource: { ...gitSource, ...own } })

  test("the run's commit is pulled once, before the task", () => {
    expect(initOf(build({ settings: git() }))).toMatchObject({
      image: 'registry.example/branchline-sync:1',
      args: expect.arrayContaining(['--one-time', `--ref=${commitSha}`, '--depth=1', '--link=current']),
    })
  })

  test("it comes after the template's init containers and before those of overrides", () => {
    const pod = build({
      settings: git(),
      template: templateOf({ initContainers: [{ name: 'first', image: 'first:1' }] }),
      overrides: [{ spec: { initContainers: [{ name: 'last', image: 'last:1' }] } }],
    })
    expect(pod.spec!.initContainers!.map(({ name }) => name)).toEqual(['first', gitSyncContainer, 'last'])
  })

  test('credentials are in the init container alone', () => {
    const pod = build({ settings: git({ credentialsSecret: 'login', sshKeySecret: 'key' }) })
    expect(initOf(pod).envFrom).toEqual([{ secretRef: { name: 'login' } }])
    const users = [...pod.spec!.containers, ...pod.spec!.initContainers!].filter(({ volumeMounts }) =>
      volumeMounts?.some(({ name }) => name === 'git-sync-secret'),
    )
    expect(users.map(({ name }) => name)).toEqual([gitSyncContainer])
    expect(baseOf(pod)).not.toHaveProperty('envFrom')
  })

  test('known hosts come from the config map, or else from the secret', () => {
    const sources = (knownHostsConfigMap: string | null) =>
      build({ settings: git({ sshKeySecret: 'key', knownHostsConfigMap }) }).spec!.volumes!.find(
        ({ name }) => name === 'git-sync-secret',
      )!.projected!.sources
    const key = { key: 'gitSshKey', path: 'ssh' }
    const hosts = { key: 'known_hosts', path: 'known_hosts' }
    expect(sources(null)).toEqual([{ secret: { name: 'key', items: [key, hosts] } }])
    expect(sources('hosts')).toEqual([
      { secret: { name: 'key', items: [key] } },
      { configMap: { name: 'hosts', items: [hosts] } },
    ])
  })

  test('a run without a commit is refused', () => {
    const withoutCommit = () => build({ settings: git(), identity: identityOf({ commitSha: null }) })
    expect(withoutCommit).toThrow(/the run has no commit.*worker_dags_source is 'git'.*branchline sync/)
    expect(withoutCommit).toThrow(PodSpecError)
  })
})

test('Dags from the host', () => {
  const pod = build({ settings: settingsOf({ dagsSource: { type: 'host_path', path: '/srv/dags' } }) })
  expect(pod.spec!.volumes).toContainEqual({
    name: 'branchline-dags',
    hostPath: { path: '/srv/dags', type: 'Directory' },
  })
  expect(baseOf(pod).volumeMounts).toContainEqual({
    name: 'branchline-dags',
    mountPath: '/opt/branchline/dags',
    readOnly: true,
  })
})

test('an override may set arguments, or take ours away', () => {
  expect(baseOf(build()).args).toEqual(['task'])
  expect(baseOf(build({ overrides: [ofBase({ command: ['/bin/wrap', 'branchline'] })] }))).toMatchObject({
    command: ['/bin/wrap', 'branchline'],
    args: ['task'],
  })
  expect(baseOf(build({ overrides: [ofBase({ args: ['task', '--x'] })] })).args).toEqual(['task', '--x'])
  expect(baseOf(build({ overrides: [ofBase({ args: null })] }))).not.toHaveProperty('args')
})

describe('the hash of a pod', () => {
  const hashOf = (pod: V1Pod) => pod.metadata!.annotations!['branchline.dev/spec_hash']

  test('is that of the pod without it, however its keys are ordered', () => {
    const pod = build()
    expect(hashOf(pod)).toBe(specHash(pod))
    const { metadata, spec, ...rest } = pod
    expect(specHash({ spec: spec!, metadata: metadata!, ...rest })).toBe(hashOf(pod))
    expect(hashOf(build())).toBe(hashOf(pod))
  })

  test('is another for another pod', () => {
    expect(hashOf(build({ overrides: [ofBase({ tty: true })] }))).not.toBe(hashOf(build()))
  })
})

test('neither template nor overrides are changed', () => {
  const template = templateOf({ volumes: [{ name: 'data', emptyDir: {} }] })
  const overrides = [ofBase({ env: [{ name: 'A', value: '1' }] })]
  const before = structuredClone({ template, overrides })
  build({ template, overrides, settings: settingsOf({ dagsSource: gitSource }) })
  expect({ template, overrides }).toEqual(before)
})
