// A commit's hash in a test, checked where it is made.
import { type CommitSha, isCommitSha } from '../../runtime/ids.ts'

/** @throws where the text is no full hash */
export function asCommitSha(text: string): CommitSha {
  if (!isCommitSha(text)) throw new Error(`${text} is no full hash`)
  return text
}
