// A running Postgres server as its data directory shows it. `postmaster.pid` (line 1: process id, line 4: port,
// line 8: status) and `postmaster.opts` (the command line) are Postgres' own way to tell; its pg_ctl reads the
// same. Used to see when a server is ready, to adopt one that a killed parent left, and to stop it.
import { readFile, realpath } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { EmbeddedPostgresError } from '../../runtime/errors.ts'
import { isRunning, waitUntilGone } from '../../runtime/process-start.ts'
import { sendSignal, worksIn } from './processes.ts'

/** What `postmaster.pid` says; the process may be gone. */
export interface PostmasterFile {
  pid: number
  port: number
  isReady: boolean
}

/** undefined where there is none, or it is just being written. */
export async function readPostmasterFile(dataDirectory: string): Promise<PostmasterFile | undefined> {
  const text = await readFile(join(dataDirectory, 'postmaster.pid'), 'utf8').catch(() => '')
  const lines = text.split('\n')
  const pid = Number(lines[0])
  if (!Number.isSafeInteger(pid) || pid <= 0) return undefined
  return { pid, port: Number(lines[3]), isReady: lines[7]?.trim() === 'ready' }
}

/** Whether the file's process runs and is a server on this directory: ids are reused, so the file may be stale. */
export async function isServerRunning(file: PostmasterFile, dataDirectory: string): Promise<boolean> {
  return isRunning(file.pid) && worksIn(file.pid, await realpath(dataDirectory))
}

/** The command line of the latest start, as Postgres writes it. */
export async function lastCommandLine(dataDirectory: string): Promise<string | undefined> {
  return (await readFile(join(dataDirectory, 'postmaster.opts'), 'utf8').catch(() => undefined))?.trimEnd()
}

/** A command line in the spelling of `postmaster.opts`. */
export function commandLine(program: string, args: readonly string[]): string {
  return [program, ...args.map((argument) => `"${argument}"`)].join(' ')
}

/** Where a server listens: a loopback port, or a socket file. */
export type PostgresAddress = { host: string; port: number } | { path: string }

/**
 * Whether a server answers at `address`: an SSLRequest is answered with one letter by a process that the server
 * forks for it, so a server that hangs (a bare `connect` would still succeed) does not pass.
 */
export async function answers(address: PostgresAddress, timeoutMs = 2_000): Promise<boolean> {
  const sslRequest = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47])
  const socket = connect(address)
  try {
    return await new Promise<boolean>((resolve) => {
      socket.setTimeout(timeoutMs, () => resolve(false))
      socket.once('connect', () => socket.write(sslRequest))
      socket.once('data', (answer) => resolve(['S', 'N'].includes(answer.toString('latin1', 0, 1))))
      socket.once('error', () => resolve(false))
      socket.once('close', () => resolve(false))
    })
  } finally {
    socket.destroy()
  }
}

/** Each way of asking for the end, and how long it may take; the last one loses nothing committed either. */
const stopSteps: readonly { signal: NodeJS.Signals; timeoutMs: number }[] = [
  // Fast shutdown: transactions are rolled back, a checkpoint is written. Slow disks need seconds for it.
  { signal: 'SIGINT', timeoutMs: 20_000 },
  // Immediate shutdown: as after a crash, the next start replays the log.
  { signal: 'SIGQUIT', timeoutMs: 8_000 },
  { signal: 'SIGKILL', timeoutMs: 2_000 },
]

/**
 * Ends the server with this process id and waits until it is gone. One that is gone already is no error.
 * @throws EmbeddedPostgresError where it survives even SIGKILL (a process stuck in the kernel)
 */
export async function stopPostmaster(pid: number): Promise<void> {
  for (const { signal, timeoutMs } of stopSteps) {
    if (!isRunning(pid)) return
    sendSignal(pid, signal)
    // A process that somebody paused takes the signal only when it goes on.
    sendSignal(pid, 'SIGCONT')
    if (await waitUntilGone(pid, timeoutMs)) return
  }
  throw new EmbeddedPostgresError(`Postgres (process ${pid}) does not end, not even by SIGKILL`, {
    details: { pid },
  })
}
