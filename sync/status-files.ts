// The two files by which others follow a sync without its log: one that is touched when a commit was published,
// and one that holds the latest error while there is one.
import { rename, rm, utimes, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { makeFolders } from '../runtime/files.ts'

/** Sets the file's time to `now` (milliseconds), making it and its folder where they are absent. */
export async function setTouchFile(path: string, now: number): Promise<void> {
  await makeFolders(dirname(path), 0o775)
  await writeFile(path, '', { flag: 'a' })
  await utimes(path, now / 1_000, now / 1_000)
}

/** Replaces the error file; a reader finds the old text or the new. */
export async function writeErrorFile(path: string, text: string): Promise<void> {
  await makeFolders(dirname(path), 0o775)
  const draft = `${path}.tmp-err`
  await writeFile(draft, text, { mode: 0o644 })
  await rename(draft, path)
}

/** An error as git-sync writes it: one JSON object. */
export function errorFileText(message: string, error: string, args: Record<string, unknown>): string {
  return `${JSON.stringify({ Msg: message, Err: error, Args: args })}\n`
}

/** After a sync that succeeded. */
export async function removeErrorFile(path: string): Promise<void> {
  await rm(path, { force: true })
}
