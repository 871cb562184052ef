// `branchline` as its users start it: a process of its own, told apart by what it prints and how it ends.
import { type ChildProcess, spawn } from 'node:child_process'
import { programPath } from '../../runtime/programs.ts'

export interface CliOptions {
  /** Becomes BRANCHLINE_API_URL. */
  url?: string
  env?: Record<string, string>
  cwd?: string
  /** Written to standard input, which is then closed. */
  input?: string
}

export interface CliResult {
  /** null where a signal ended it. */
  code: number | null
  stdout: string
  stderr: string
}

export interface CliProcess extends AsyncDisposable {
  child: ChildProcess
  stdout(): string
  stderr(): string
  result: Promise<CliResult>
}

/** Starts it; disposing kills it. */
export function startCli(args: readonly string[], options: CliOptions = {}): CliProcess {
  const child = spawn(process.execPath, [programPath('branchline'), ...args], {
    env: {
      PATH: process.env.PATH,
      HOME: process.env.HOME,
      TZ: 'UTC',
      ...(options.url === undefined ? {} : { BRANCHLINE_API_URL: options.url }),
      ...options.env,
    },
    cwd: options.cwd,
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  let [stdout, stderr] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (text) => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text) => {
    stderr += text
  })
  child.stdin.end(options.input ?? '')
  const result = new Promise<CliResult>((resolve) => {
    child.once('close', (code) => resolve({ code, stdout, stderr }))
  })
  return {
    child,
    stdout: () => stdout,
    stderr: () => stderr,
    result,
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL')
      await result
    },
  }
}

/** Runs it to its end. */
export async function cli(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  await using started = startCli(args, options)
  return await started.result
}
