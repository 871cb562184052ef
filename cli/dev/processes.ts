// What `dev` asks of and does to processes by their id, beside what runtime/process-start.ts knows of them.
import { readlinkSync } from 'node:fs'
import { processColumn } from '../../runtime/process-start.ts'

/** Whether the process works in `directory` (an absolute path without links); elsewhere than on Linux: names it. */
export function worksIn(pid: number, directory: string): boolean {
  if (process.platform !== 'linux') return processColumn(pid, 'command=')?.includes(directory) ?? false
  try {
    return readlinkSync(`/proc/${pid}/cwd`) === directory
  } catch {
    return false
  }
}

/** Sends a signal, to a process group where `pid` is negative; what is gone already is no error. */
export function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    // macOS says EPERM for a group of which only the unreaped leader is left.
    if (code !== 'ESRCH' && !(code === 'EPERM' && pid < 0)) throw error
  }
}
