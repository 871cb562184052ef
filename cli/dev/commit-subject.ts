// What is published now, for people: the commit that sync's link names, and its subject.
import { readlink } from 'node:fs/promises'
import { basename } from 'node:path'
import { isCommitSha } from '../../runtime/ids.ts'
import { git } from './git-command.ts'

export interface PublishedCommit {
  sha: string
  /** First line of its message; '' where git does not tell. */
  subject: string
}

/** @returns undefined where nothing is published yet */
export async function readPublishedCommit(linkPath: string): Promise<PublishedCommit | undefined> {
  const sha = basename(await readlink(linkPath).catch(() => ''))
  if (!isCommitSha(sha)) return undefined
  const subject = await git(linkPath, ['log', '-1', '--format=%s', sha]).catch(() => '')
  return { sha, subject }
}
