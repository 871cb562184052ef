import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { podAnnotations, podLabels, podName, safeLabelValue } from '../../../k8s/pod/attempt-identity.ts'
import { identityOf } from './inputs.ts'

const labelValue = /^([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?$/
const ids = fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}$/)
const identities = fc.record({
  deploymentId: fc.string({ minLength: 1 }),
  dagRunId: fc.nat(),
  dagId: ids,
  taskId: ids,
  mapIndex: fc.integer({ min: -1, max: 1_000 }),
  tryNumber: fc.integer({ min: 1, max: 100 }),
})

describe('the name of a pod', () => {
  test('says Dag and task, and is made unique by a hash', () => {
    expect(podName(identityOf())).toMatch(/^daily-sales-etl-extract-orders-[a-z0-9]{16}$/)
  })

  test('is a DNS label, whatever the ids are', () => {
    fc.assert(
      fc.property(identities, (identity) => {
        const name = podName(identity)
        expect(name).toMatch(/^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/)
        expect(name.length).toBeLessThanOrEqual(63)
      }),
    )
  })

  test('leaves the room that a short id does not need to the other one', () => {
    const long = 'x'.repeat(200)
    const parts = (dagId: string, taskId: string) => podName(identityOf({ dagId, taskId })).split('-')
    expect(parts('a', long).map((part) => part.length)).toEqual([1, 44, 16])
    expect(parts(long, 'b').map((part) => part.length)).toEqual([44, 1, 16])
    expect(parts(long, long).map((part) => part.length)).toEqual([22, 23, 16])
  })

  test('is the same for the same attempt and another for any other', () => {
    fc.assert(
      fc.property(identities, identities, (one, other) => {
        const isSame = JSON.stringify(one) === JSON.stringify(other)
        expect(podName(one) === podName(other)).toBe(isSame)
        expect(podName({ ...one })).toBe(podName(one))
      }),
    )
  })

  test.each([
    { deploymentId: 'staging' },
    { dagRunId: 13 },
    { taskId: 'etl_extract.orders' },
    { mapIndex: 0 },
    { tryNumber: 2 },
  ])('differs by %j', (difference) => {
    expect(podName(identityOf(difference))).not.toBe(podName(identityOf()))
  })
})

describe('labels and annotations', () => {
  test('are what the attempt is, labels in a safe form, annotations exactly', () => {
    const identity = identityOf({ mapIndex: 3 })
    expect(podLabels(identity)).toEqual({
      'app.kubernetes.io/name': 'branchline-worker',
      'app.kubernetes.io/managed-by': 'branchline',
      'branchline.dev/deployment_id': 'prod',
      'branchline.dev/dag_id': 'daily-sales',
      'branchline.dev/run_id': expect.stringMatching(/^scheduled__2026-01-05T0600000000-[0-9a-f]{9}$/),
      'branchline.dev/task_id': 'etl.extract_orders',
      'branchline.dev/map_index': '3',
      'branchline.dev/try_number': '1',
      'branchline.dev/commit_sha': identity.commitSha,
      'branchline.dev/bundle_hash': expect.stringMatching(labelValue),
    })
    expect(podAnnotations(identity)).toEqual({
      'branchline.dev/deployment_id': 'prod',
      'branchline.dev/dag_id': 'daily-sales',
      'branchline.dev/run_id': 'scheduled__2026-01-05T06:00:00+00:00',
      'branchline.dev/task_id': 'etl.extract_orders',
      'branchline.dev/map_index': '3',
      'branchline.dev/try_number': '1',
      'branchline.dev/attempt_id': '12/etl.extract_orders/3/1',
      'branchline.dev/logical_date': '2026-01-05T06:00:00.000Z',
      'branchline.dev/commit_sha': identity.commitSha,
      'branchline.dev/bundle_hash': identity.bundleHash,
    })
  })

  test('leave out what an attempt does not have', () => {
    const identity = identityOf({ commitSha: null, logicalDate: null })
    for (const names of [podLabels(identity), podAnnotations(identity)].map(Object.keys)) {
      expect(names).not.toContain('branchline.dev/map_index')
      expect(names).not.toContain('branchline.dev/commit_sha')
      expect(names).not.toContain('branchline.dev/logical_date')
    }
  })

  test('a label can hold any value, and tells different values apart', () => {
    const values = fc.string({ maxLength: 100, unit: 'grapheme' })
    fc.assert(
      fc.property(values, values, (one, other) => {
        expect(safeLabelValue(one)).toMatch(labelValue)
        if (one !== other) expect(safeLabelValue(one)).not.toBe(safeLabelValue(other))
      }),
    )
  })

  test.each([
    ['plain', 'plain'],
    ['', ''],
    ['_leading', /^leading-[0-9a-f]{9}$/],
    ['ünï', /^n-[0-9a-f]{9}$/],
    ['---', /^[0-9a-f]{9}$/],
    ['x'.repeat(64), /^x{53}-[0-9a-f]{9}$/],
  ])('a label for %j', (value, expected) => {
    if (typeof expected === 'string') expect(safeLabelValue(value)).toBe(expected)
    else expect(safeLabelValue(value)).toMatch(expected)
  })
})
