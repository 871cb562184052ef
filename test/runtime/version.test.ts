import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { version } from '../../runtime/version.ts'

test('the version in the code is the one of the package', () => {
  const path = join(import.meta.dirname, '../../package.json')
  expect(JSON.parse(readFileSync(path, 'utf8')).version).toBe(version)
})
