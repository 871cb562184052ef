// Which file a hook's command is, found before it is run, so that what is wrong with it is said in words of its
// own and not as ENOENT, which means the program, its interpreter or the folder.
import { constants } from 'node:fs'
import { access, stat } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import { findInPath } from '../../runtime/environment.ts'
import { exists } from '../../runtime/files.ts'

/** The file to run, or why there is none. */
export type FoundProgram = { path: string } | { reason: string }

/**
 * A command with a slash is a path, relative to the worktree; one without is looked up in PATH, as a shell would.
 * Never throws.
 */
export async function findProgram(
  command: string,
  worktree: string,
  pathVariable = '',
): Promise<FoundProgram> {
  if (!(await isFolder(worktree))) return { reason: `its worktree ${worktree} does not exist` }
  if (!command.includes('/')) return findByName(command, worktree, pathVariable)
  const path = resolve(worktree, command)
  const reason = await whyNotRun(path)
  return reason === undefined ? { path } : { reason }
}

async function findByName(command: string, worktree: string, pathVariable: string): Promise<FoundProgram> {
  const path = findInPath(command, pathVariable)
  if (path !== undefined) return { path }
  const remedy = (await exists(join(worktree, command)))
    ? `The repository has a file of that name: write ./${command} to run it`
    : `Install it, or give its path; a file of the repository is given with a slash, such as ./${command}`
  return { reason: `there is no program ${JSON.stringify(command)} in PATH (${pathVariable}). ${remedy}` }
}

async function whyNotRun(path: string): Promise<string | undefined> {
  const found = await stat(path).catch(() => undefined)
  if (found === undefined) {
    return `there is no file ${path}. Check the path: it is one path without arguments; one that does not begin with / is taken from the worktree, so the file must be in the commit`
  }
  if (found.isDirectory()) return `${path} is a folder`
  const isExecutable = await access(path, constants.X_OK).then(
    () => true,
    () => false,
  )
  if (isExecutable) return undefined
  return `${path} is not executable. Let this user execute it: chmod +x, or in the repository git update-index --chmod=+x ${basename(path)}`
}

/** Why the system did not start a file that is there and executable. */
export function startFailure(error: NodeJS.ErrnoException, path: string): string {
  const reasons: Partial<Record<string, string>> = {
    ENOENT: `${path} needs an interpreter that is not here: see its first line (#!), and install what that names`,
    EACCES: `the system does not let this user run ${path}: see that its volume is not mounted noexec, and that the interpreter in its first line (#!) is executable`,
    ENOEXEC: `${path} is neither a program for this kind of machine nor a script that begins with #!`,
    E2BIG: 'the environment is too large to be handed to a program',
  }
  return reasons[error.code ?? ''] ?? error.message
}

async function isFolder(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isDirectory() === true
}
