// Whether a process still is the one that it was. Ids are reused, and dead children of a PID 1 that does not reap
// stay as zombies (usual in containers), so 'signal 0 worked' proves nothing: a process is known by its id and
// the time at which it started. Linux answers from /proc; elsewhere `ps` does, since slim images have no `ps`.
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

const onLinux = process.platform === 'linux'

/** Between two looks at a process that is to end. Each look costs 0.05 ms on Linux, and a `ps` elsewhere. */
const defaultPollMs = onLinux ? 10 : 50

let bootId: string | undefined

/**
 * When the process started, as an opaque text that no other process with this id has, not even after a reboot;
 * undefined where no such process runs (a zombie runs no more).
 */
export function processStartTime(pid: number): string | undefined {
  if (!Number.isSafeInteger(pid) || pid <= 0) return undefined
  if (!onLinux) return processColumn(pid, 'lstart=')
  try {
    // After the command's closing parenthesis (its name may hold spaces and parentheses): state, …, start in
    // clock ticks since boot.
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    if (fields[0] === 'Z' || fields[0] === 'X') return undefined
    bootId ??= readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
    return `${fields[19]}@${bootId}`
  } catch {
    return undefined
  }
}

/** Whether a process with this id runs now. */
export function isRunning(pid: number): boolean {
  return processStartTime(pid) !== undefined
}

/** Waits until the process that has this id now is gone; false where it still runs after `timeoutMs`. */
export async function waitUntilGone(
  pid: number,
  timeoutMs: number,
  pollMs = defaultPollMs,
): Promise<boolean> {
  const startTime = processStartTime(pid)
  const deadline = performance.now() + timeoutMs
  while (startTime !== undefined && processStartTime(pid) === startTime) {
    if (performance.now() > deadline) return false
    await sleep(pollMs)
  }
  return true
}

/** One column of `ps` for a process; undefined where there is no such process. */
export function processColumn(pid: number, column: string): string | undefined {
  try {
    const text = execFileSync('ps', ['-o', column, '-p', String(pid)], { encoding: 'utf8' }).trim()
    return text === '' ? undefined : text
  } catch {
    return undefined
  }
}
