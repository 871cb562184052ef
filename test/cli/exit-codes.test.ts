import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { ExitCode, exitCodeMeanings, exitCodeOf } from '../../cli/exit-codes.ts'
import { errorCatalogue, KubernetesError } from '../../runtime/errors.ts'

const page = readFileSync(join(import.meta.dirname, '../../docs/reference/exit-codes.md'), 'utf8')

test('the reference page lists each exit code with its meaning, and no others', () => {
  const rows = [...page.matchAll(/^\| (\d+) \| (.+) \|$/gm)].map(([, code, meaning]) => [
    Number(code),
    meaning,
  ])
  const meanings: Record<number, string> = exitCodeMeanings
  expect(rows).toEqual(Object.values(ExitCode).map((code) => [code, meanings[code]]))
})

test('each error of the catalogue ends a command with the code that scripts expect', () => {
  const codes = Object.fromEntries(
    Object.entries(errorCatalogue).map(([code, Type]) => [code, exitCodeOf(new Type('x'))]),
  )
  expect(codes).toMatchObject({
    CONFIG: 2,
    INVALID_INPUT: 2,
    NOT_FOUND: 3,
    API_UNREACHABLE: 4,
    DATABASE_UNAVAILABLE: 4,
    CONFLICT: 5,
    API: 1,
    DAG_DEFINITION: 1,
  })
  expect(exitCodeOf(new Error('a fault'))).toBe(1)
  expect(exitCodeOf(new KubernetesError('refused', { status: 403 }))).toBe(1)
})
