// What a short name of a ref means: git's rules, for those who ask a remote and for those who are told of a push.
import { isCommitSha } from '../../runtime/ids.ts'
import type { RemoteRef } from './git.ts'

/** The rules by which git looks a short name up, in their order (gitrevisions(7)). */
const lookupRules = ['', 'refs/', 'refs/tags/', 'refs/heads/', 'refs/remotes/'] as const

/** The full names that `ref` may mean; the first that exists is meant. */
function fullNamesOf(ref: string): string[] {
  return lookupRules.map((rule) => `${rule}${ref}`)
}

/** The row that a fetch of `ref` would take, peeled: of an annotated tag, that of its commit. */
export function resolveRef(refs: readonly RemoteRef[], ref: string): RemoteRef | undefined {
  const named = (name: string) => refs.find((row) => row.name === name)
  for (const name of fullNamesOf(ref)) {
    const row = named(name)
    if (row !== undefined) return named(`${row.name}^{}`) ?? row
  }
  return undefined
}

/**
 * Whether a push of the refs with these full names may change what `ref` names. True where `ref` is HEAD (any branch
 * may be the default one) or a hash, and where nobody knows what was pushed.
 */
export function mayConcern(ref: string, pushed: readonly string[] | undefined): boolean {
  if (pushed === undefined || ref === 'HEAD' || isCommitSha(ref)) return true
  const meant = fullNamesOf(ref)
  return pushed.some((name) => meant.includes(name))
}
