// The gate: a program that must agree before a commit is published (`--gate-command`). It runs as an exechook does,
// in the worktree that is to be published; what differs is that publication waits for it, and that its output is
// kept in a file for each commit, where whoever was refused can read it.
import type { Clock } from '../../runtime/clock.ts'
import { GateError, messageOf } from '../../runtime/errors.ts'
import type { CommitSha } from '../../runtime/ids.ts'
import type { Logger } from '../../runtime/log.ts'
import { createBoundedOutput } from './bounded-output.ts'
import { openGateOutput } from './gate-output.ts'
import { describeEnd, endDetails, hasSucceeded, runProgram } from './run-program.ts'
import { createWholeLines } from './whole-lines.ts'

/** What the error quotes of the output's end. More would drown the error file; the rest is in the output file. */
const quotedBytes = 4 * 1024
const quotedLines = 20

/**
 * Runs the gate for a commit; resolves where it lets the commit pass.
 * @param gate.command a path, taken from the worktree unless absolute; without a slash, a name looked up in PATH
 * @param gate.environment what it finds in its environment, beside GITSYNC_HASH
 * @param gate.outputPath where its output goes as it comes; replaced at each run. The folder is the gate's own: its
 * oldest `.log` files are removed
 * @param gate.redact replaces secrets in what is kept and quoted of its output, for it may print its environment
 * @throws GateError where it refuses, is ended by its timeout, or cannot be started
 * @throws HookError where its output cannot be kept, which says nothing of the commit
 * @throws the signal's reason, where that ended it
 */
export async function runGate(gate: {
  command: string
  timeoutMs: number
  commit: CommitSha
  worktree: string
  environment: Readonly<Record<string, string | undefined>>
  outputPath: string
  redact: (text: string) => string
  signal: AbortSignal
  log: Logger
}): Promise<void> {
  const { command, commit, timeoutMs, outputPath } = gate
  const { redact } = gate
  const output = await openGateOutput({ path: outputPath, redact, log: gate.log })
  const quoted = createBoundedOutput({ redact, headBytes: 0, tailBytes: quotedBytes })
  const onLines = (lines: string): void => {
    output.write(lines)
    quoted.add(Buffer.from(lines))
  }
  const streams = {
    stdout: createWholeLines({ redact, onLines }),
    stderr: createWholeLines({ redact, onLines }),
  }
  const onOutput = (chunk: Buffer, stream: 'stdout' | 'stderr'): void => streams[stream].add(chunk)
  const [run] = await Promise.allSettled([runProgram({ ...gate, onOutput })])
  for (const stream of Object.values(streams)) stream.end()
  const [keeping] = await Promise.allSettled([output.close()])
  if (run.status === 'rejected') throw run.reason
  const end = run.value
  if (hasSucceeded(end)) {
    if (keeping.status === 'rejected') throw keeping.reason
    return
  }

  const { head, tail } = quoted.ends()
  const lastLines = `${head}${tail}`.trim().split('\n').slice(-quotedLines).join('\n')
  const printed = lastLines === '' ? 'It printed nothing. ' : `Its last lines:\n${lastLines}\n`
  const kept = keeping.status === 'rejected' ? messageOf(keeping.reason) : `Its output is in ${outputPath}`
  const where = end.type === 'not_started' ? '' : ` ${printed}${kept}.`
  throw new GateError(
    `the gate ${command} did not let commit ${commit} pass: it ${describeEnd(end, timeoutMs)}.${where} What was published before stays published`,
    { details: { hash: commit, command, output_path: outputPath, ...endDetails(end) } },
  )
}

/** Which commit was refused last, so that a poll does not ask the gate again at once. */
export interface GateMemory {
  /** The refusal that still stands for this commit; undefined where the gate is to be asked. */
  refusalOf(commit: CommitSha): GateError | undefined
  /** Notes a refusal; only the latest counts. */
  refused(commit: CommitSha, error: GateError): void
}

/** @param deps.backoffMs a commit that was refused is not tried again before this is over */
export function createGateMemory(deps: { backoffMs: number; clock: Clock }): GateMemory {
  let latest: { commit: CommitSha; error: GateError; at: number } | undefined
  return {
    refusalOf: (commit) => {
      if (latest?.commit !== commit) return undefined
      const elapsed = deps.clock.now() - latest.at
      // A clock that was set back must not make a refusal stand for ever.
      return elapsed >= 0 && elapsed < deps.backoffMs ? latest.error : undefined
    },
    refused: (commit, error) => {
      latest = { commit, error, at: deps.clock.now() }
    },
  }
}
