// Exechook and pre-publish exechook: a program that is run in the worktree of each commit. While it runs it holds
// the worktree by a lease, as any reader does, so that a newer commit does not take its files away.
import { HookError } from '../../runtime/errors.ts'
import type { CommitSha } from '../../runtime/ids.ts'
import type { Logger } from '../../runtime/log.ts'
import { holdWorktree } from '../../runtime/worktree-lease.ts'
import type { HookName } from '../http/sync-metrics.ts'
import { createBoundedOutput } from './bounded-output.ts'
import { describeEnd, endDetails, hasSucceeded, runProgram } from './run-program.ts'

/**
 * The `run` of a hook.
 * @param deps.command a path, taken from the worktree unless absolute; without a slash, a name looked up in PATH
 * @param deps.worktreePath where the files of a commit are
 * @param deps.environment what the program finds in its environment, beside GITSYNC_HASH
 * @param deps.redact replaces secrets in what the program printed, for it may print its environment
 * @returns runs it for a commit; throws HookError where it does not succeed, NotFoundError where the worktree is
 * gone, and the signal's reason where that ended it
 */
export function createExechook(deps: {
  name: Exclude<HookName, 'webhook'>
  command: string
  timeoutMs: number
  environment: Readonly<Record<string, string | undefined>>
  worktreePath: (commit: CommitSha) => string
  redact: (text: string) => string
  log: Logger
}): (commit: CommitSha, signal: AbortSignal) => Promise<void> {
  const { name, command, timeoutMs, environment, redact, log } = deps
  return async (commit, signal) => {
    const worktree = deps.worktreePath(commit)
    await using _lease = await holdWorktree({ sourcePath: worktree, owner: name })
    const output = { stdout: createBoundedOutput({ redact }), stderr: createBoundedOutput({ redact }) }
    log.info({ hash: commit, command, timeout_ms: timeoutMs }, 'running exechook')
    const end = await runProgram({
      command,
      commit,
      worktree,
      environment,
      timeoutMs,
      signal,
      onOutput: (chunk, stream) => output[stream].add(chunk),
    })
    const stdout = output.stdout.text()
    const stderr = output.stderr.text()
    if (hasSucceeded(end)) {
      log.info({ hash: commit, stdout, stderr }, 'exechook succeeded')
      return
    }
    const printed =
      end.type === 'not_started'
        ? ''
        : `: { stdout: ${JSON.stringify(stdout)}, stderr: ${JSON.stringify(stderr)} }`
    throw new HookError(`${name} ${command} ${describeEnd(end, timeoutMs)}${printed}`, {
      details: { hash: commit, command, ...endDetails(end) },
    })
  }
}
