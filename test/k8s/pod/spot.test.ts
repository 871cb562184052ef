import { expect, test } from 'vitest'
import { onSpot } from '../../../k8s/pod/spot.ts'

const spot = {
  node_selector: { lifecycle: 'spot' },
  tolerations: [{ key: 'spot', operator: 'Exists' }],
  affinity: null,
  on_demand_attempts: 1,
}
const isOnSpot = (tryNumber: number, maxTries: number, onDemandAttempts = 1) =>
  onSpot({}, { ...spot, on_demand_attempts: onDemandAttempts }, { tryNumber, maxTries }).spec !== undefined

test.each([
  [3, 1, [true, true, false]],
  [3, 2, [true, false, false]],
  [3, 0, [true, true, true]],
  [3, 5, [false, false, false]],
  [1, 1, [false]],
])('of %i attempts the last %i stay away from spot nodes', (maxTries, onDemand, expected) => {
  expect(expected.map((_, index) => isOnSpot(index + 1, maxTries, onDemand))).toEqual(expected)
})

test('labels and tolerations are added, an affinity replaces', () => {
  const pod = {
    spec: { nodeSelector: { arch: 'arm64' }, tolerations: [{ key: 'batch' }], affinity: { podAffinity: {} } },
  }
  const attempt = { tryNumber: 1, maxTries: 2 }
  expect(onSpot(pod, spot, attempt)).toEqual({
    spec: {
      nodeSelector: { arch: 'arm64', lifecycle: 'spot' },
      tolerations: [{ key: 'batch' }, { key: 'spot', operator: 'Exists' }],
      affinity: { podAffinity: {} },
    },
  })
  const nodeAffinity = { nodeAffinity: {} }
  expect(onSpot(pod, { ...spot, affinity: nodeAffinity }, attempt).spec!.affinity).toEqual(nodeAffinity)
  expect(onSpot(pod, null, attempt)).toBe(pod)
})
