// Process groups: what a task starts is in the group of the process that runs the task, so that all of it can be
// ended at once. A group outlives its leader as long as it has members, and its number is nobody else's until then.
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

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

/** Zombies do not count: where nobody reaps them they stay for ever. */
function hasRunningMember(group: number): boolean {
  if (process.platform !== 'linux') {
    const listed = spawnSync('ps', ['-A', '-o', 'pgid=,stat='], { encoding: 'utf8' }).stdout ?? ''
    return [...listed.matchAll(/^\s*(\d+)\s+(\w)/gm)].some(
      ([, itsGroup, state]) => Number(itsGroup) === group && state !== 'Z',
    )
  }
  return readdirSync('/proc').some((name) => {
    if (!/^\d+$/.test(name)) return false
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'utf8')
      // `pid (name) state parent group …`; the name may hold spaces and brackets.
      const [state, , itsGroup] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      return Number(itsGroup) === group && state !== 'Z' && state !== 'X'
    } catch {
      return false // it ended between the listing and the reading
    }
  })
}
