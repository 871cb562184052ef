import { expect, test } from 'vitest'
import { helpText } from '../../../sync/options/help.ts'
import { manualText } from '../../../sync/options/manual.ts'
import { referenceCommand, renderSyncOptions } from '../../../sync/options/reference.ts'

test('docs/reference/sync-options.md describes the options as they are', async () => {
  const remedy = `the table has changed: ${referenceCommand}`
  await expect(renderSyncOptions(), remedy).toMatchFileSnapshot('../../../docs/reference/sync-options.md')
})

test.for([
  ['help', helpText(), 100],
  ['the manual', manualText(), 80],
] as const)('the lines of %s fit where they are read', ([, text, width]) => {
  const isUnbreakable = (line: string) => !line.trim().includes(' ')
  const isVerbatim = (line: string) => line.includes("--credential='")
  const long = text
    .split('\n')
    .filter((line) => line.length > width && !isUnbreakable(line) && !isVerbatim(line))
  expect(long).toEqual([])
  expect(text).not.toMatch(/[ \t]$|undefined|\[object/m)
  expect(text.endsWith('\n')).toBe(true)
})
