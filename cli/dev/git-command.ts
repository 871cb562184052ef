// git for what `dev` itself does with repositories: making the demonstration, and telling a commit's subject. What
// is followed and published is sync's alone.
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { GitError } from '../../runtime/errors.ts'

const run = promisify(execFile)

/** Of whatever started us: they would point git at another repository than the one of `cwd`. */
const removedVariables = ['GIT_DIR', 'GIT_WORK_TREE', 'GIT_INDEX_FILE', 'GIT_PREFIX', 'GIT_OBJECT_DIRECTORY']

/**
 * Runs git to its end, with the configuration of the person who runs us.
 * @returns its standard output, trimmed
 * @throws GitError with git's own words
 */
export async function git(cwd: string, args: readonly string[]): Promise<string> {
  const env = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !removedVariables.includes(name)),
  )
  try {
    // Volumes often belong to another user than the one who works there.
    const { stdout } = await run('git', ['-c', 'safe.directory=*', ...args], { cwd, env })
    return stdout.trim()
  } catch (error) {
    const { code, stderr } = error as { code?: string | number; stderr?: string }
    const words =
      code === 'ENOENT'
        ? 'git is not in PATH: install it (version 2.28 or later)'
        : (stderr?.trim() ?? '') || `it ended with exit code ${code}`
    throw new GitError(`git ${args.join(' ')} in ${cwd}: ${words}`, { cause: error, details: { cwd } })
  }
}
