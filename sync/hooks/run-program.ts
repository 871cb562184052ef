// Runs one program to its end: what exechook, pre-publish exechook and gate have in common. No shell and no
// arguments; the folder is the worktree of the commit. The program leads a process group of its own, so that its
// end by timeout or by `signal` takes all that it started with it; so does its failure, since it will be run again
// and what it left would pile up. What a program that succeeded leaves running is left alone (git-sync does so),
// and a pipe that such a process keeps open does not hold up the return.
import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { CommitSha } from '../../runtime/ids.ts'
import { maxTimerMs } from '../deadline.ts'
import { endProgram, runMark } from './end-program.ts'
import { findProgram, startFailure } from './find-program.ts'

/**
 * What the program itself printed may take this long to arrive after its end, where another process keeps its
 * pipe open. Shorter: its last words are cut on a busy machine. Longer: each hook that leaves a process costs that.
 */
const lateOutputMs = 200

export interface Program {
  /** A path, taken from the worktree unless absolute; without a slash, a name to be looked up in PATH. */
  command: string
  commit: CommitSha
  /** Where it runs. */
  worktree: string
  /** All of its environment but GITSYNC_HASH, which is the commit. */
  environment: Readonly<Record<string, string | undefined>>
  timeoutMs: number
  signal: AbortSignal
  /** Told each piece of output as it comes. */
  onOutput: (chunk: Buffer, stream: 'stdout' | 'stderr') => void
}

/** How it went. */
export type ProgramEnd =
  | { type: 'exited'; exitCode: number }
  | { type: 'signalled'; signal: NodeJS.Signals }
  | { type: 'timed_out' }
  | { type: 'not_started'; reason: string }

/**
 * Resolves when the program has ended, whichever way.
 * @throws the signal's reason, where that ended it
 */
export async function runProgram(program: Program): Promise<ProgramEnd> {
  const { command, worktree, environment, signal } = program
  signal.throwIfAborted()
  const found = await findProgram(command, worktree, environment.PATH)
  if ('reason' in found) return { type: 'not_started', reason: found.reason }
  const mark = randomUUID()
  let child: ChildProcess
  try {
    child = start(program, found.path, mark)
  } catch (error) {
    return { type: 'not_started', reason: startFailure(error as NodeJS.ErrnoException, found.path) }
  }
  if (!child.stdout) {
    // For want of files it was given up before there were pipes, and says so only now.
    const [error] = (await once(child, 'error')) as [NodeJS.ErrnoException]
    return { type: 'not_started', reason: startFailure(error, found.path) }
  }
  const outputs = [child.stdout as Socket, child.stderr as Socket]
  child.stdout.on('data', (chunk) => program.onOutput(chunk, 'stdout'))
  child.stderr!.on('data', (chunk) => program.onOutput(chunk, 'stderr'))
  const closed = new Promise<void>((resolve) => child.once('close', () => resolve()))
  const end = await endOf(child, program, found.path, mark)
  if (!hasSucceeded(end) && child.pid !== undefined) await endProgram(child.pid, mark)
  await Promise.race([closed, sleep(lateOutputMs, undefined, { ref: false })])
  outputs.forEach(letGo)
  if (!hasSucceeded(end)) signal.throwIfAborted()
  return end
}

/** Exit code 0. */
export function hasSucceeded(end: ProgramEnd): boolean {
  return end.type === 'exited' && end.exitCode === 0
}

/** The end in words that follow the program's name. */
export function describeEnd(end: ProgramEnd, timeoutMs: number): string {
  switch (end.type) {
    case 'exited':
      return `ended with exit code ${end.exitCode}`
    case 'signalled':
      return `was ended by ${end.signal}`
    case 'timed_out':
      return `took longer than its timeout of ${timeoutMs} ms and was ended, with all that it had started`
    case 'not_started':
      return `could not be started: ${end.reason}`
  }
}

/** The end as values of an error or a log line. */
export function endDetails(end: ProgramEnd): Record<string, unknown> {
  return {
    end: end.type,
    exit_code: end.type === 'exited' ? end.exitCode : null,
    signal: end.type === 'signalled' ? end.signal : null,
  }
}

/** @throws an error with `code` where the system refuses at once; other refusals come as the child's `error` event */
function start(program: Program, path: string, mark: string): ChildProcess {
  return spawn(path, [], {
    argv0: program.command,
    cwd: program.worktree,
    env: {
      ...program.environment,
      [runMark]: mark,
      GITSYNC_HASH: program.commit,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  })
}

/** Waits for the program alone, and kills it when its time is over. */
async function endOf(child: ChildProcess, program: Program, path: string, mark: string): Promise<ProgramEnd> {
  let isTimedOut = false
  const kill = (): void => {
    if (child.pid !== undefined) void endProgram(child.pid, mark)
  }
  const timer = setTimeout(
    () => {
      isTimedOut = true
      kill()
    },
    Math.min(program.timeoutMs, maxTimerMs),
  )
  program.signal.addEventListener('abort', kill, { once: true })
  // The signal may have come while the program was looked for.
  if (program.signal.aborted) kill()
  const end = await new Promise<ProgramEnd>((resolve) => {
    child.once('error', (error) => resolve({ type: 'not_started', reason: startFailure(error, path) }))
    child.once('exit', (exitCode, signal) =>
      resolve(exitCode === null ? { type: 'signalled', signal: signal! } : { type: 'exited', exitCode }),
    )
  })
  clearTimeout(timer)
  program.signal.removeEventListener('abort', kill)
  return isTimedOut && !hasSucceeded(end) ? { type: 'timed_out' } : end
}

/** Reads on without looking, for whoever still writes must not be ended by a broken pipe, nor keep us alive. */
function letGo(output: Socket): void {
  output.removeAllListeners('data')
  output.resume()
  output.unref()
}
