// The program under test, as its users start it: a process of its own, told apart by its log and its files.
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, readlink, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { programPath } from '../../runtime/programs.ts'
import { eventually } from '../support/eventually.ts'

export interface SyncProcess extends AsyncDisposable {
  child: ChildProcess
  pid: number
  /** Everything on standard error so far. */
  stderr(): string
  stdout(): string
  /** Log lines so far. */
  lines(): Record<string, unknown>[]
  /** Resolves with the first log line that has this message, from now on or before. */
  logged(message: string, count?: number): Promise<Record<string, unknown>>
  /** Exit code, or 128 + the signal's number. */
  exit: Promise<number>
  /** Ends it if it still runs. */
  close(): Promise<void>
}

/**
 * Starts `branchline sync` in a process group of its own.
 * @param through a program that runs it in other surroundings, with its arguments
 */
export function startSync(
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
  through: readonly string[] = [],
): SyncProcess {
  const [program, ...rest] = [...through, process.execPath, programPath('sync'), ...args]
  const child = spawn(program!, rest, {
    env: { PATH: process.env.PATH, HOME: tmpdir(), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  })
  let [stdout, stderr] = ['', '']
  child.stdout.on('data', (chunk) => {
    stdout += chunk
  })
  child.stderr.on('data', (chunk) => {
    stderr += chunk
  })
  const exit = new Promise<number>((resolve) =>
    child.once('close', (code, signal) => resolve(code ?? (signal === 'SIGKILL' ? 137 : 128))),
  )
  const lines = (): Record<string, unknown>[] =>
    stderr
      .split('\n')
      .filter((line) => line.startsWith('{') && line.endsWith('}'))
      .map((line) => JSON.parse(line))
  const close = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) killGroup(child.pid!)
    await exit
  }
  return {
    child,
    pid: child.pid!,
    stderr: () => stderr,
    stdout: () => stdout,
    lines,
    logged: (message, count = 1) =>
      eventually(`log line ${JSON.stringify(message)} in ${stderr}`, () => {
        const found = lines().filter((line) => line.msg === message)
        if (child.exitCode !== null && found.length < count) throw new Error(`sync ended: ${stderr}`)
        return found[count - 1]
      }),
    exit,
    close,
    [Symbol.asyncDispose]: close,
  }
}

/** kill -9 of a process and all that it started. */
export function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // It has ended.
  }
}

/** The commit that a link publishes; undefined where there is none. */
export async function publishedCommit(link: string): Promise<string | undefined> {
  return readlink(link).then(
    (target) => basename(target),
    () => undefined,
  )
}

/** A folder that is removed with the test. */
export async function temporaryFolder(): Promise<AsyncDisposable & { path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'branchline-sync-'))
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
}
