// The processes that a process started, and those that they started. A command stays in the process group of
// the process that runs its task, so that a kill of the whole group reaches it too; a signal to the command
// alone has to find its processes itself.
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'

/** `rootPid` and all its descendants as they are now, parents first. What no longer runs is not in it. */
export function processTree(rootPid: number): number[] {
  const children = Map.groupBy(runningProcesses(), ({ parentPid }) => parentPid)
  const tree = [rootPid]
  for (const pid of tree) tree.push(...(children.get(pid) ?? []).map((child) => child.pid))
  return tree
}

/** Signals each process, but for those that are gone meanwhile or belong to another user. */
export function signalProcesses(pids: readonly number[], signal: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, signal)
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code !== 'ESRCH' && code !== 'EPERM') throw error
    }
  }
}

interface RunningProcess {
  pid: number
  parentPid: number
}

/** From /proc, since small images have no `ps`; from `ps` where there is no /proc (macOS). */
function runningProcesses(): RunningProcess[] {
  if (process.platform !== 'linux') {
    const listed = spawnSync('ps', ['-A', '-o', 'pid=,ppid='], { encoding: 'utf8' }).stdout ?? ''
    return [...listed.matchAll(/^\s*(\d+)\s+(\d+)/gm)].map((row) => ({
      pid: Number(row[1]),
      parentPid: Number(row[2]),
    }))
  }
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
        // `pid (name) state ppid …`; the name may hold spaces and brackets.
        const [, parentPid] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
        return [{ pid: Number(pid), parentPid: Number(parentPid) }]
      } catch {
        return [] // it ended between the listing and the reading
      }
    })
}
