// Process groups: what a task starts is in the group of the process that runs the task, so that all of it can be
// ended at once. A group outlives its leader as long as it has members, and its number is nobody else's until then.
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { processIds } from './process-ids.ts'

/** Between two looks at a group that is to end; a look reads one file for each process of the machine. */
const pollMs = 2

/** kill -9 of every member; nothing where there is none. */
export function killProcessGroup(group: number): void {
  try {
    process.kill(-group, 'SIGKILL')
  } catch {
    // Nobody is left in it.
  }
}

/** Kills the group until nobody of it runs any more: a member may be about to start another when it is killed. */
export async function endProcessGroup(group: number): Promise<void> {
  while (hasRunningMember(group)) {
    killProcessGroup(group)
    await sleep(pollMs)
  }
}

/**
 * A question to ask again and again: does the group have a running member beside its leader? After the first time it
 * reads only of processes that are new: none comes into a group but as a child of a member.
 */
export function createGroupLook(leader: number): () => boolean {
  let strangers = new Set<number>()
  return () => {
    if (process.platform !== 'linux') return hasListedMember(leader, leader)
    const pids = processIds() ?? []
    strangers = new Set(pids.filter((pid) => strangers.has(pid)))
    return pids.some((pid) => {
      if (strangers.has(pid) || pid === leader) return false
      if (isRunningIn(leader, pid)) return true
      strangers.add(pid)
      return false
    })
  }
}

/** Zombies do not count: where nobody reaps them they stay for ever. */
function hasRunningMember(group: number): boolean {
  if (process.platform !== 'linux') return hasListedMember(group)
  return (processIds() ?? []).some((pid) => isRunningIn(group, pid))
}

function isRunningIn(group: number, pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // `pid (name) state parent group …`; the name may hold spaces and brackets.
    const [state, , itsGroup] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return Number(itsGroup) === group && state !== 'Z' && state !== 'X'
  } catch {
    return false // it ended between the listing and the reading
  }
}

function hasListedMember(group: number, but?: number): boolean {
  const listed = spawnSync('ps', ['-A', '-o', 'pid=,pgid=,stat='], { encoding: 'utf8' }).stdout ?? ''
  return [...listed.matchAll(/^\s*(\d+)\s+(\d+)\s+(\w)/gm)].some(
    ([, pid, itsGroup, state]) => Number(itsGroup) === group && state !== 'Z' && Number(pid) !== but,
  )
}
