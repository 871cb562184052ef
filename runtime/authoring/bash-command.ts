// Runs the command of a bash task. By default its output is this process's own, so it costs nothing and keeps
// its order with everything else that the attempt prints; a test takes it line by line instead.
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { CommandError, TaskSkipError } from '../errors.ts'
import { processTree, signalProcesses } from './process-tree.ts'

/** Where a command's output goes. */
export type CommandOutput = 'inherit' | ((line: string, stream: 'stdout' | 'stderr') => void)

export interface BashCommand {
  command: string
  cwd: string
  /** The whole environment; undefined values are left out. */
  env: Readonly<Record<string, string | undefined>>
  skipExitCodes: readonly number[]
  signal: AbortSignal
  output: CommandOutput
  /**
   * Milliseconds from the SIGTERM that an abort sends to a SIGKILL for what is still there; null leaves that to
   * the caller, who knows the whole process group.
   */
  killAfterMs: number | null
}

/** What a background process that outlives its command may still say. Longer would hold up the test. */
const lateOutputMs = 1_000

/**
 * Runs it to its end.
 * @throws TaskSkipError for a skip exit code
 * @throws CommandError for any other exit code but 0, a signal, or a command that cannot be started
 * @throws the signal's reason, where the command ended without success after an abort
 */
export async function runBashCommand(options: BashCommand): Promise<void> {
  const { signal, output } = options
  signal.throwIfAborted()
  const child = start(options)
  const lines =
    output === 'inherit'
      ? []
      : [
          forwardLines(child.stdout, (line) => output(line, 'stdout')),
          forwardLines(child.stderr, (line) => output(line, 'stderr')),
        ]
  const onAbort = () => end(child, options.killAfterMs)
  signal.addEventListener('abort', onAbort)
  try {
    const [exitCode, exitSignal] = await exitOf(child, options)
    await Promise.race([Promise.all(lines), delay(lateOutputMs, undefined, { ref: false })])
    judge(exitCode, exitSignal, options)
  } finally {
    signal.removeEventListener('abort', onAbort)
    child.stdout?.destroy()
    child.stderr?.destroy()
  }
}

/** Some reasons why a command cannot be started are thrown here, others come as the child's `error` event. */
function start(options: BashCommand): ChildProcess {
  try {
    return spawn('bash', ['-c', options.command], {
      cwd: options.cwd,
      env: options.env,
      stdio: options.output === 'inherit' ? ['ignore', 'inherit', 'inherit'] : ['ignore', 'pipe', 'pipe'],
    })
  } catch (error) {
    throw startError(error as NodeJS.ErrnoException, options)
  }
}

type Exit = [exitCode: number | null, signal: NodeJS.Signals | null]

function exitOf(child: ChildProcess, options: BashCommand): Promise<Exit> {
  return new Promise((resolve, reject) => {
    child.once('exit', (...exit: Exit) => resolve(exit))
    child.once('error', (error: NodeJS.ErrnoException) => reject(startError(error, options)))
  })
}

function judge(exitCode: number | null, exitSignal: NodeJS.Signals | null, options: BashCommand): void {
  if (exitCode === 0) return
  options.signal.throwIfAborted()
  const details = { exit_code: exitCode, signal: exitSignal }
  if (exitCode === null) throw new CommandError(`the command was ended by ${exitSignal}`, { details })
  if (options.skipExitCodes.includes(exitCode)) {
    throw new TaskSkipError(`skipped: the command ended with exit code ${exitCode}`, { details })
  }
  throw new CommandError(`the command ended with exit code ${exitCode}`, { details })
}

function startError(error: NodeJS.ErrnoException, { cwd }: BashCommand): CommandError {
  const reasons: Partial<Record<string, string>> = {
    ENOENT: existsSync(cwd)
      ? 'bash is not in PATH: install it where tasks run'
      : `its working directory ${cwd} does not exist`,
    E2BIG: 'its inputs and environment are too large for environment variables: write them to a file',
  }
  const reason = reasons[error.code ?? ''] ?? error.message
  return new CommandError(`the command could not be started: ${reason}`, {
    details: { exit_code: null, signal: null, errno: error.code },
    cause: error,
  })
}

function forwardLines(stream: Readable | null, onLine: (line: string) => void): Promise<void> {
  const reader = createInterface({ input: stream!, crlfDelay: Number.POSITIVE_INFINITY })
  reader.on('line', onLine)
  return new Promise((resolve) => {
    reader.once('close', resolve)
  })
}

/** All of its processes, not only bash: bash dies of a SIGTERM without passing it on. */
function end(child: ChildProcess, killAfterMs: number | null): void {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
  const pids = processTree(child.pid)
  signalProcesses(pids, 'SIGTERM')
  if (killAfterMs === null) return
  setTimeout(() => signalProcesses(pids, 'SIGKILL'), killAfterMs).unref()
}
