// The end of a program that took too long, with all that it started. It has a process group of its own, so one
// signal reaches those that stayed in it. Those that left it (setsid, job control, daemons) are found by a mark
// that all of them inherited in their environment; where none can be read the group is all we find.
import { findMarked, killUntilGone } from '../../runtime/marked-processes.ts'
import { createGroupLook, killProcessGroup } from '../../runtime/process-group.ts'

/** Environment variable by which the processes of one run are found; its value is the run's own. */
export const runMark = 'BRANCHLINE_HOOK_RUN'

/** Rounds of looking and killing, 5 ms each. More: a process that cannot die holds up sync that much longer. */
const maxRounds = 100

/** Kills the leader's group and whatever carries the mark, until none of them runs. */
export async function endProgram(leader: number, mark: string): Promise<void> {
  const hasMembers = createGroupLook(leader)
  killProcessGroup(leader)
  await killUntilGone(async () => {
    const strays = await findMarked((environment) => environment.includes(`${runMark}=${mark}`))
    return hasMembers() ? [-leader, ...strays] : strays
  }, maxRounds)
}
