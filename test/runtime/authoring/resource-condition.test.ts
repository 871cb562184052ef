import { expect, test } from 'vitest'
import { holds, parseCondition } from '../../../runtime/authoring/resource-condition.ts'

const object = {
  metadata: { name: 'x', generation: 2 },
  spec: { names: ['a', 'b'] },
  status: {
    phase: 'Ready',
    succeeded: 3,
    ratio: '0.5',
    isDone: true,
    error: null,
    observedGeneration: 2,
    conditions: [
      { type: 'Progressing', status: 'False' },
      { type: 'Ready', status: 'True', reason: 'All good, really' },
    ],
  },
}

test.each([
  ['status.phase = Ready', true],
  ['status.phase == "Ready"', true],
  ["status.phase == 'Ready'", true],
  ['status.phase=Ready', true],
  ['status.phase != Ready', false],
  ['status.phase = ready', false],
  ['status.succeeded > 2', true],
  ['status.succeeded > 3', false],
  ['status.succeeded >= 3', true],
  ['status.succeeded < 10', true],
  ['status.succeeded <= 2', false],
  ['status.ratio > 0.4', true],
  ['status.succeeded = 3', true],
  ['status.isDone = true', true],
  ['status.phase in (Ready, Done)', true],
  ['status.phase in (Done)', false],
  ['status.phase notin (Done, Failed)', true],
  ['status.phase', true],
  ['status.error', false],
  ['!status.error', true],
  ['status.nothing', false],
  ['!status.nothing', true],
  ['status.nothing = x', false],
  ['status.nothing != x', true],
  ['status.nothing > 0', false],
  ['status.nothing notin (x)', true],
  ['status.phase.deeper = x', false],
  ['spec.names[1] = b', true],
  ['spec.names[2]', false],
  ['status.conditions[type=Ready].status = True', true],
  ['status.conditions[type=Ready].reason = "All good, really"', true],
  ['status.conditions[type = "Progressing"].status = True', false],
  ['status.conditions[type=Gone].status', false],
  ['status.phase = Ready, status.succeeded > 2', true],
  ['status.phase = Ready && status.succeeded > 5', false],
  ['status.phase in (A, Ready), !status.error && metadata.name = x', true],
  ['status.toString', false],
])('%s: %s', (condition, expected) => {
  const { terms, fault } = parseCondition(condition)
  expect(fault).toBeNull()
  expect(holds(terms!, object)).toBe(expected)
})

test.each([
  '',
  ' , ',
  'status.phase = ',
  '= Ready',
  'status phase',
  'status.phase =~ x y =',
  'a[b',
  'a[b c] = 1',
  'x in y',
])('%j is no condition', (condition) => {
  expect(parseCondition(condition).fault).not.toBeNull()
})
