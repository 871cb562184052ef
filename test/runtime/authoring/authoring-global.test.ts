import { execFileSync } from 'node:child_process'
import * as authoring from 'branchline'
import { afterEach, expect, test } from 'vitest'
import {
  authoringKey,
  authoringNames,
  installAuthoring,
} from '../../../runtime/authoring/authoring-global.ts'

const globals = globalThis as unknown as Record<symbol, unknown>
afterEach(() => {
  delete globals[authoringKey]
})

test('what authors can import is a promise: this list changes only on purpose', () => {
  expect([...authoringNames].sort()).toEqual([
    'DagDefinitionError',
    'TaskFailError',
    'TaskSkipError',
    'bash',
    'chain',
    'dag',
    'group',
    'job',
    'pod',
    'resource',
    'secret',
    'task',
    'testDag',
  ])
})

test('bundles find every name on globalThis once it is installed', () => {
  expect(globals[Symbol.for('branchline.authoring')]).toBeUndefined()
  installAuthoring()
  installAuthoring()
  const installed = globals[Symbol.for('branchline.authoring')] as Record<string, unknown>
  for (const name of authoringNames) {
    expect(installed[name]).toBe((authoring as Record<string, unknown>)[name])
  }
})

test('importing the module prints nothing and keeps no process alive', () => {
  const index = new URL('../../../runtime/index.ts', import.meta.url).href
  const script = `import(${JSON.stringify(index)}).then((m) => console.log(Object.keys(m).length))`
  expect(execFileSync(process.execPath, ['-e', script], { encoding: 'utf8' })).toBe(
    `${authoringNames.length}\n`,
  )
})
