// The git processes that work on a root, and their end. git starts helpers (git-remote-https, ssh, upload-pack)
// which a signal to git alone would leave behind, holding locks and writing on. All of them inherit a mark in
// their environment, so that they are found by it, also by the next sync after the one that started them was
// killed. Linux tells a process's environment in /proc; elsewhere the descendants of this process are found by
// `ps`, and what a killed sync left running is not.
import { execFile } from 'node:child_process'
import { readdir, readFile } from 'node:fs/promises'
import { promisify } from 'node:util'

/** Environment variable whose value is the root that a git process works on. */
export const rootMark = 'BRANCHLINE_SYNC_ROOT'

/** Rounds of looking and killing: a process may start a helper between the look and the kill. */
const maxKillRounds = 20
const killRoundPauseMs = 5

/** Process ids of the git processes that work on the root, ours and those of an earlier sync. */
export async function gitProcessesOf(root: string): Promise<number[]> {
  const pids = await processIds()
  if (pids === undefined) return descendantsOf(process.pid)
  const mark = `${rootMark}=${root}`
  const marked = await Promise.all(
    pids.map(async (pid) => {
      const environment = await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '')
      return pid !== process.pid && environment.split('\0').includes(mark) ? [pid] : []
    }),
  )
  return marked.flat()
}

/** Ends the git processes that work on the root, all of them, at once; returns how many there were at first. */
export async function killGitProcesses(root: string): Promise<number> {
  let found: number | undefined
  for (let round = 0; round < maxKillRounds; round += 1) {
    const pids = await gitProcessesOf(root)
    found ??= pids.length
    if (pids.length === 0) break
    for (const pid of pids) kill(pid)
    await new Promise((done) => setTimeout(done, killRoundPauseMs))
  }
  return found ?? 0
}

async function processIds(): Promise<number[] | undefined> {
  const names = await readdir('/proc').catch(() => [] as string[])
  return names.includes('self') ? names.filter((name) => /^\d+$/.test(name)).map(Number) : undefined
}

/** Children of a process, theirs, and so on, by `ps`. */
export async function descendantsOf(ancestor: number): Promise<number[]> {
  const looking = promisify(execFile)('ps', ['-A', '-o', 'pid=,ppid='])
  const { stdout } = await looking
  const rows = stdout
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number) as [number, number])
  const found = new Set([ancestor])
  for (let size = 0; size !== found.size; ) {
    size = found.size
    for (const [pid, parent] of rows) if (found.has(parent)) found.add(pid)
  }
  found.delete(ancestor)
  found.delete(looking.child.pid ?? ancestor)
  return [...found]
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It ended by itself in between.
  }
}
