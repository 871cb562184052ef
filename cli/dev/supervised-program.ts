// A program as a child of the supervisor. It gets a session of its own, so that Ctrl-C in the terminal reaches
// only the supervisor, which then ends everything in order; and an IPC channel, by which it learns that the
// supervisor is gone (runtime/parent-watch.ts). What it leaves in its process group dies with it, so that its
// next start does not meet its predecessor's children.
import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { ProgramError } from '../../runtime/errors.ts'
import { isReadyMessage } from '../../runtime/parent-watch.ts'
import { sendSignal } from './processes.ts'
import { type ReadLine, readProgramLine } from './program-line.ts'
import type { Part, RunningPart } from './supervisor.ts'

export interface ProgramOptions {
  /** For people: in log lines and before each line of output. */
  name: string
  /** Default: this Node. */
  command?: string
  args: readonly string[]
  /** The whole environment of the program. */
  env: Readonly<Record<string, string | undefined>>
  cwd?: string
  /**
   * When the program counts as started. `spawned` (default): at once. `reported`: when it calls `reportReady`;
   * one that ends before has failed to start.
   */
  readiness?: 'spawned' | 'reported'
  /** Between SIGTERM and SIGKILL. Longer than the program needs to end what it owns. Default 10 s. */
  stopGraceMs?: number
  /** Each line of the program's output. */
  onLine: (line: ProgramLine) => void
}

export interface ProgramLine {
  program: string
  stream: 'stdout' | 'stderr'
  text: string
}

const defaultStopGraceMs = 10_000

/** Last lines of a program that go into the error when it does not start. */
const keptLines = 8

/** How long the rest of a dead program's output is waited for: a grandchild may hold the pipe open for ever. */
const restOfOutputMs = 200

/** The program as a part for `createSupervisor`. */
export function programPart(options: ProgramOptions): Part {
  return { name: options.name, start: (signal) => startProgram(options, signal) }
}

/** @throws ProgramError where it cannot be started, or ends before it is ready; the signal's reason when aborted */
async function startProgram(options: ProgramOptions, signal: AbortSignal): Promise<RunningPart> {
  const child = spawn(options.command ?? process.execPath, options.args, {
    env: { ...options.env },
    cwd: options.cwd,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  })
  const lastLines: ReadLine[] = []
  forwardLines(child, options, (line) => {
    lastLines.push(readProgramLine(line))
    if (lastLines.length > keptLines) lastLines.shift()
  })
  const exited = endOf(child)
  let stopped: Promise<void> | undefined
  // Once: to most programs a second SIGTERM says 'now', and they end without cleaning up.
  const stop = () => (stopped ??= stopProgram(child, exited, options.stopGraceMs ?? defaultStopGraceMs))

  const isReady = await Promise.race([
    readyOf(child, options.readiness),
    exited.then(() => false),
    aborted(signal),
  ])
  if (signal.aborted) await stop()
  signal.throwIfAborted()
  if (isReady) return { pid: child.pid!, exited, stop }
  const reason = await exited
  throw new ProgramError(`${options.name} does not start: ${reason}${lastWords(lastLines)}`, {
    details: { program: options.name },
  })
}

/** Its errors, or else all that it said last. */
function lastWords(lines: readonly ReadLine[]): string {
  const errors = lines.filter(({ level }) => level === 'error' || level === 'fatal')
  const words = (errors.length > 0 ? errors : lines).map(({ text }) => text)
  return words.length === 0 ? '' : `. Its last words:\n${words.join('\n')}`
}

function forwardLines(child: ChildProcess, options: ProgramOptions, keep: (line: string) => void): void {
  for (const stream of ['stdout', 'stderr'] as const) {
    createInterface({ input: child[stream]! }).on('line', (text) => {
      keep(text)
      options.onLine({ program: options.name, stream, text })
    })
  }
}

/** Resolves with the reason when the process has ended and its output was read, or could not be started at all. */
function endOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    // Also emitted where a signal or a message cannot be sent; only the first means that there is no process.
    child.on('error', (error) => {
      if (child.pid === undefined) resolve(error.message)
    })
    const closed = new Promise((closedAt) => child.once('close', closedAt))
    child.once('exit', async (code, signal) => {
      sendSignal(-child.pid!, 'SIGKILL')
      await Promise.race([closed, sleep(restOfOutputMs)])
      resolve(signal === null ? `it ended with exit code ${code}` : `it was ended by ${signal}`)
    })
  })
}

function readyOf(child: ChildProcess, readiness: ProgramOptions['readiness']): Promise<boolean> {
  return new Promise((resolve) => {
    if (readiness === 'reported') child.on('message', (message) => isReadyMessage(message) && resolve(true))
    else child.once('spawn', () => resolve(true))
  })
}

function aborted(signal: AbortSignal): Promise<false> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(false)
    signal.addEventListener('abort', () => resolve(false), { once: true })
  })
}

/** SIGTERM to the program, which ends what it owns itself; SIGKILL to its whole group after the grace. */
async function stopProgram(child: ChildProcess, exited: Promise<string>, graceMs: number): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
  sendSignal(child.pid, 'SIGTERM')
  const waiting = new AbortController()
  const graceOver = sleep(graceMs, 'over', { signal: waiting.signal }).catch(() => 'ended')
  if ((await Promise.race([exited, graceOver])) === 'over') sendSignal(-child.pid, 'SIGKILL')
  await exited
  waiting.abort()
}
