import { expect, test } from 'vitest'
import { mayConcern, resolveRef } from '../../../sync/git/ref-names.ts'

test('a name is looked up by the rules of git, and never by its end', () => {
  const refs = [
    { name: 'refs/heads/feature/main', hash: '1' },
    { name: 'refs/heads/main', hash: '2' },
    { name: 'refs/tags/v1', hash: '3' },
    { name: 'refs/tags/v1^{}', hash: '4' },
    { name: 'refs/heads/v1', hash: '5' },
  ]
  expect(resolveRef(refs, 'main')?.hash).toBe('2')
  expect(resolveRef(refs, 'v1')?.hash).toBe('4')
  expect(resolveRef(refs, 'heads/v1')?.hash).toBe('5')
  expect(resolveRef(refs, 'n')).toBeUndefined()
})

test.for<[ref: string, pushed: string[] | undefined, may: boolean]>([
  ['main', ['refs/heads/main'], true],
  ['main', ['refs/heads/other', 'refs/tags/main'], true],
  ['main', ['refs/heads/domain', 'refs/heads/main/x'], false],
  ['heads/main', ['refs/heads/main'], true],
  ['origin/main', ['refs/remotes/origin/main'], true],
  ['refs/pull/1/head', ['refs/pull/1/head'], true],
  ['HEAD', ['refs/heads/any'], true],
  ['a'.repeat(40), ['refs/heads/any'], true],
  ['main', [], false],
  ['main', undefined, true],
])('%s may change by a push of %s: %s', ([ref, pushed, may]) => {
  expect(mayConcern(ref, pushed)).toBe(may)
})
