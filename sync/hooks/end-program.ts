// The end of a program that took too long, with all that it started. It has a process group of its own, so one
// signal reaches those that stayed in it. Those that left it (setsid, job control, daemons) are found by a mark
// that all of them inherited in their environment; Linux tells it in /proc, elsewhere the group is all we find.
import { readdir, readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { createGroupLook, killProcessGroup } from '../../runtime/process-group.ts'

/** Environment variable by which the processes of one run are found; its value is the run's own. */
export const runMark = 'BRANCHLINE_HOOK_RUN'

/**
 * Rounds of looking and killing: a process may start another between the look and the kill. More: a process that
 * cannot die (a dead network volume) holds up sync that much longer.
 */
const maxRounds = 100
const roundPauseMs = 5

/** Kills the leader's group and whatever carries the mark, until none of them runs. */
export async function endProgram(leader: number, mark: string): Promise<void> {
  const hasMembers = createGroupLook(leader)
  for (let round = 0; round < maxRounds; round += 1) {
    killProcessGroup(leader)
    const strays = await markedProcesses(mark)
    for (const pid of strays) kill(pid)
    if (strays.length === 0 && !hasMembers()) return
    await sleep(roundPauseMs)
  }
}

async function markedProcesses(mark: string): Promise<number[]> {
  const entry = `${runMark}=${mark}`
  const pids = (await readdir('/proc').catch(() => [])).filter((name) => /^\d+$/.test(name))
  const marked = await Promise.all(
    pids.map(async (pid) => {
      const environment = await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '')
      return environment.split('\0').includes(entry) ? [Number(pid)] : []
    }),
  )
  return marked.flat()
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It ended by itself in between.
  }
}
