import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { layOver, mergePods, withoutNulls } from '../../../k8s/pod/merge-pods.ts'
import type { V1Pod, V1PodSpec } from '../../../runtime/kubernetes-types.ts'
import type { PodOverride } from '../../../runtime/pod-override.ts'

const template: V1Pod = {
  metadata: { name: 'worker', labels: { team: 'data', tier: 'batch' }, annotations: { owner: 'ann' } },
  spec: {
    priorityClassName: 'low',
    hostNetwork: true,
    nodeSelector: { pool: 'batch' },
    tolerations: [{ key: 'batch', operator: 'Exists' }],
    securityContext: { runAsUser: 1000, fsGroup: 2000 },
    initContainers: [{ name: 'prepare', image: 'prepare:1', env: [{ name: 'A', value: '1' }] }],
    containers: [
      {
        name: 'base',
        image: 'worker:1',
        args: ['task'],
        env: [
          { name: 'A', value: '1' },
          { name: 'B', value: '2' },
        ],
        envFrom: [{ configMapRef: { name: 'common' } }],
        ports: [{ name: 'http', containerPort: 80 }],
        volumeMounts: [{ name: 'data', mountPath: '/data' }],
        resources: { requests: { cpu: '1' }, limits: { memory: '1Gi' } },
      },
      { name: 'proxy', image: 'proxy:1', args: ['--quiet'] },
    ],
    volumes: [{ name: 'data', emptyDir: {} }],
  },
}

const merged = (override: PodOverride) => mergePods(template, override)
const base = (override: NonNullable<PodOverride['spec']>['containers']) =>
  merged({ spec: { containers: override ?? [] } }).spec!.containers[0]!

describe('what extends', () => {
  test('volumes: others are added, one of the same name takes the place of the one before', () => {
    const { volumes } = merged({
      spec: {
        volumes: [
          { name: 'cache', emptyDir: {} },
          { name: 'data', hostPath: { path: '/srv' } },
        ],
      },
    }).spec!
    expect(volumes).toEqual([
      { name: 'data', hostPath: { path: '/srv' } },
      { name: 'cache', emptyDir: {} },
    ])
  })

  test('environment variables: in the order that references to earlier ones need', () => {
    const env = [
      { name: 'A', valueFrom: { secretKeyRef: { name: 'keys', key: 'a' } } },
      { name: 'C', value: '$(A)' },
    ]
    expect(base([{ env }]).env).toEqual([env[0], { name: 'B', value: '2' }, env[1]])
  })

  test('sources of variables: the same is not there twice', () => {
    const envFrom = [{ configMapRef: { name: 'common' } }, { secretRef: { name: 'keys' } }]
    expect(base([{ envFrom }]).envFrom).toEqual(envFrom)
  })

  test('ports: by number and protocol', () => {
    const ports = [
      { containerPort: 80, name: 'web' },
      { containerPort: 80, protocol: 'UDP' },
    ]
    expect(base([{ ports }]).ports).toEqual(ports)
  })

  test('mounts and devices: by path', () => {
    expect(
      base([
        {
          volumeMounts: [
            { name: 'cache', mountPath: '/data' },
            { name: 'data', mountPath: '/more' },
          ],
          volumeDevices: [{ name: 'disk', devicePath: '/dev/xvda' }],
        },
      ]),
    ).toMatchObject({
      volumeMounts: [
        { name: 'cache', mountPath: '/data' },
        { name: 'data', mountPath: '/more' },
      ],
      volumeDevices: [{ name: 'disk', devicePath: '/dev/xvda' }],
    })
  })

  test('init containers: by name, those of the same name merged like any container', () => {
    const { initContainers } = merged({
      spec: {
        initContainers: [
          { name: 'fetch', image: 'fetch:1' },
          { name: 'prepare', env: [{ name: 'B', value: '2' }] },
        ],
      },
    }).spec!
    expect(initContainers).toEqual([
      {
        name: 'prepare',
        image: 'prepare:1',
        env: [
          { name: 'A', value: '1' },
          { name: 'B', value: '2' },
        ],
      },
      { name: 'fetch', image: 'fetch:1' },
    ])
  })

  test('labels and annotations: together, the override wins', () => {
    expect(
      merged({ metadata: { labels: { tier: 'online', cost: 'x' }, annotations: { owner: null } } }).metadata,
    ).toEqual({ name: 'worker', labels: { team: 'data', tier: 'online', cost: 'x' }, annotations: {} })
  })
})

describe('containers', () => {
  const namesAndImages = (containers: NonNullable<PodOverride['spec']>['containers']) =>
    merged({ spec: { containers: containers ?? [] } }).spec!.containers.map(({ name, image }) => [
      name,
      image,
    ])

  test('the first is base, named or not', () => {
    expect(base([{ name: 'base', image: 'worker:2' }])).toMatchObject({ image: 'worker:2', args: ['task'] })
    expect(base([{ image: 'worker:2' }])).toMatchObject({ name: 'base', image: 'worker:2' })
    expect(base([{}])).toEqual(template.spec!.containers[0])
  })

  test('a sidecar of a new name is added', () => {
    expect(namesAndImages([{}, { name: 'metrics', image: 'metrics:1' }])).toEqual([
      ['base', 'worker:1'],
      ['proxy', 'proxy:1'],
      ['metrics', 'metrics:1'],
    ])
  })

  test('a sidecar that is there is merged by its name, wherever it stands', () => {
    expect(
      namesAndImages([{}, { name: 'metrics', image: 'metrics:1' }, { name: 'proxy', image: 'proxy:2' }]),
    ).toEqual([
      ['base', 'worker:1'],
      ['proxy', 'proxy:2'],
      ['metrics', 'metrics:1'],
    ])
  })

  test('a sidecar without a name is the one of its position', () => {
    expect(namesAndImages([{}, { image: 'proxy:2' }])).toEqual([
      ['base', 'worker:1'],
      ['proxy', 'proxy:2'],
    ])
  })
})

describe('everything else is replaced', () => {
  test.each<[string, NonNullable<PodOverride['spec']>, Partial<V1PodSpec>]>([
    ['a text', { priorityClassName: 'high' }, { priorityClassName: 'high' }],
    ["''", { priorityClassName: '' }, { priorityClassName: '' }],
    ['false', { hostNetwork: false }, { hostNetwork: false }],
    ['0', { priority: 0 }, { priority: 0 }],
    ['a list', { tolerations: [] }, { tolerations: [] }],
    ['an object', { securityContext: { runAsUser: 1 } }, { securityContext: { runAsUser: 1 } }],
    ['an object of labels', { nodeSelector: { gpu: 'yes' } }, { nodeSelector: { gpu: 'yes' } }],
  ])('by %s', (_, override, expected) => {
    expect(merged({ spec: override }).spec).toMatchObject(expected)
    const [[key, value]] = Object.entries(expected) as [[string, unknown]]
    expect(merged({ spec: override }).spec![key as keyof V1PodSpec]).toEqual(value)
  })

  test('null takes a field away, at any depth, and lists too', () => {
    const { spec, metadata } = merged({
      metadata: { annotations: null },
      spec: {
        priorityClassName: null,
        initContainers: null,
        containers: [{ resources: { requests: { cpu: '1' }, limits: null } }, { name: 'proxy', args: null }],
      },
    })
    expect(metadata).not.toHaveProperty('annotations')
    expect(spec).not.toHaveProperty('priorityClassName')
    expect(spec).not.toHaveProperty('initContainers')
    expect(spec!.containers[0]!.resources).toEqual({ requests: { cpu: '1' } })
    expect(spec!.containers[1]).toEqual({ name: 'proxy', image: 'proxy:1' })
  })

  test('undefined says nothing', () => {
    const silent = { metadata: undefined, spec: { priorityClassName: undefined, containers: undefined } }
    expect(merged(silent as unknown as PodOverride)).toEqual(template)
  })
})

describe('for any parts of pods', () => {
  const names = fc.constantFrom('a', 'b', 'c')
  type Maybe = <Type>(values: fc.Arbitrary<Type>) => fc.Arbitrary<Type | null>
  const orNull: Maybe = (values) => fc.option(values, { nil: null, freq: 6 })
  const list = <Type>(values: fc.Arbitrary<Type>, key: (value: Type) => unknown) =>
    fc.uniqueArray(values, { maxLength: 3, selector: key })
  const part = <Type>(values: { [Key in keyof Type]: fc.Arbitrary<Type[Key]> }) =>
    fc.record(values, { requiredKeys: [] })
  /** @param mergeable whether what extends may be null */
  const partsOf = (mergeable: Maybe) => {
    const scalars = orNull(fc.constantFrom('', 'x', 'y'))
    const env = list(fc.record({ name: names, value: fc.constantFrom('', '1', '2') }), ({ name }) => name)
    const mounts = list(fc.record({ name: names, mountPath: names }), ({ mountPath }) => mountPath)
    const containerOf = (name: fc.Arbitrary<string>) => {
      const rest = {
        image: scalars,
        env: mergeable(env),
        volumeMounts: mergeable(mounts),
        tty: orNull(fc.boolean()),
      }
      return fc.tuple(name, part(rest)).map(([own, others]) => ({ name: own, ...others }))
    }
    const containers = fc
      .tuple(
        containerOf(fc.constant('base')),
        list(containerOf(names), ({ name }) => name),
      )
      .map(([first, others]) => [first, ...others])
    const texts = mergeable(fc.dictionary(names, orNull(fc.constantFrom('', '1')), { maxKeys: 2 }))
    return part({
      metadata: part({ labels: texts, annotations: texts }),
      spec: part({
        priorityClassName: scalars,
        nodeSelector: orNull(fc.dictionary(names, fc.constantFrom('1', '2'))),
        containers,
        initContainers: mergeable(list(containerOf(names), ({ name }) => name)),
        volumes: mergeable(list(fc.record({ name: names, size: fc.nat(2) }), ({ name }) => name)),
      }),
    }) as fc.Arbitrary<PodOverride>
  }
  const parts = partsOf(orNull)
  // What was taken away and is filled anew has only the new: which of the two comes first matters then.
  const partsThatOnlyExtend = partsOf((values) => values)

  test('laying the same over it again changes nothing', () => {
    fc.assert(
      fc.property(parts, parts, (one, other) => {
        const once = layOver(one, other)
        expect(layOver(once, other)).toEqual(once)
      }),
    )
  })

  test('it does not matter which two of three are laid over each other first', () => {
    fc.assert(
      fc.property(partsThatOnlyExtend, partsThatOnlyExtend, partsThatOnlyExtend, (one, two, three) => {
        const left = withoutNulls(layOver(layOver(one, two), three))
        const right = withoutNulls(layOver(one, layOver(two, three)))
        expect(byName(left)).toEqual(byName(right))
      }),
      { numRuns: 500 },
    )
  })

  test('what the override says is in the result, and what it does not speak of is as before', () => {
    fc.assert(
      fc.property(parts, parts, (one, other) => {
        const result = layOver(one, other)
        for (const key of ['priorityClassName', 'nodeSelector'] as const) {
          expect(result.spec?.[key]).toEqual(
            other.spec?.[key] === undefined ? one.spec?.[key] : other.spec[key],
          )
        }
        const namesOf = (pod: PodOverride, key: 'volumes' | 'containers' | 'initContainers') =>
          (pod.spec?.[key] ?? []).map(({ name }) => name)
        for (const key of ['volumes', 'containers', 'initContainers'] as const) {
          const before = other.spec?.[key] === null ? [] : namesOf(one, key)
          expect(new Set(namesOf(result, key))).toEqual(new Set([...before, ...namesOf(other, key)]))
          expect(new Set(namesOf(result, key)).size).toBe(namesOf(result, key).length)
        }
      }),
    )
  })

  test('neither is changed', () => {
    fc.assert(
      fc.property(parts, parts, (one, other) => {
        const before = structuredClone([one, other])
        layOver(deepFrozen(one), deepFrozen(other))
        mergePods(one as V1Pod, other)
        expect([one, other]).toEqual(before)
      }),
    )
  })

  test('an empty override changes nothing', () => {
    fc.assert(
      fc.property(parts, (one) => {
        expect(layOver(one, {})).toEqual(one)
        expect(layOver({}, one)).toEqual(one)
      }),
    )
  })
})

/** Lists of named things in the order of their names: which place an added one gets is no promise. */
function byName(value: unknown): unknown {
  if (Array.isArray(value)) {
    return value.map(byName).sort((one, other) => (JSON.stringify(one) < JSON.stringify(other) ? -1 : 1))
  }
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, byName(inner)]))
}

function deepFrozen<Type>(value: Type): Type {
  if (typeof value === 'object' && value !== null) Object.values(Object.freeze(value)).forEach(deepFrozen)
  return value
}
