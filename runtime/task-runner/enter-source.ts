// The directory of a run's commit as the working directory of the process that runs the run's code.
import type { AttemptOrder } from './protocol.ts'

/** @throws Error where it cannot be entered */
export function enterSource({
  source_path: path,
  commit_sha: sha,
}: Pick<AttemptOrder, 'source_path' | 'commit_sha'>): void {
  try {
    // Asking where we are fails in a directory that was removed meanwhile.
    process.chdir(path)
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    const what = sha === null ? `the source directory ${path}` : `the directory ${path} of commit ${sha}`
    if (code !== 'ENOENT') throw new Error(`${what} cannot be entered: ${message}`, { cause: error })
    throw new Error(
      `${what} is gone on this machine, and the run goes on with no other: trigger a new run, or bring the directory back (push that commit to the branch that sync follows) and clear the task`,
      { cause: error },
    )
  }
}
