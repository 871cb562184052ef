import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { exitCodeOf } from '../../cli/exit-codes.ts'
import * as errors from '../../runtime/errors.ts'
import { BranchlineError, errorCatalogue } from '../../runtime/errors.ts'

const page = readFileSync(new URL('../../docs/reference/errors.md', import.meta.url), 'utf8')
const catalogued = Object.entries(errorCatalogue).map(([code, Class]) => ({ code, error: new Class('why') }))

test('each class has the code under which the catalogue lists it, and none is left out', () => {
  for (const { code, error } of catalogued) expect(error.code).toBe(code)
  const classes = Object.values(errors).filter(
    (value) => typeof value === 'function' && value.prototype instanceof BranchlineError,
  )
  expect(new Set(Object.values(errorCatalogue))).toEqual(new Set(classes))
})

test('the reference page has a section with cause and remedy for each code, and no others', () => {
  const sections = page.split(/^## /m).slice(1)
  const documented = sections.flatMap((section) => /^`([A-Z_]+)`/.exec(section)?.[1] ?? [])
  expect(documented).toEqual(Object.keys(errorCatalogue))
  for (const section of sections.slice(0, documented.length)) {
    expect(section).toMatch(/\n\*\*Cause\.\*\* \S[\s\S]*\n\*\*Remedy\.\*\* \S/)
  }
})

test('the table of the reference page says which errors are retryable, and how a command ends by them', () => {
  const rows = [...page.matchAll(/^\| \[`(\w+)`\]\(#\w+\) \| (yes|no) \| (\d+) \|$/gm)]
  expect(rows.map(([, code, retryable, exitCode]) => [code, retryable, exitCode])).toEqual(
    catalogued.map(({ code, error }) => [code, error.retryable ? 'yes' : 'no', String(exitCodeOf(error))]),
  )
})
