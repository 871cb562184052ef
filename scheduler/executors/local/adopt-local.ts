// What became of the attempts of a scheduler that is gone: its runners are ended for certain, then their journals
// tell which attempts never began, which were running, and how those ended whose outcome nobody committed.
import { hostname } from 'node:os'
import type { Logger } from '../../../runtime/log.ts'
import { endProcessGroup } from '../../../runtime/process-group.ts'
import { processStartTime } from '../../../runtime/process-start.ts'
import { saveLastOutput } from '../../../runtime/task-runner/runner-files.ts'
import type { Adoption, Orphan } from '../executor.ts'
import {
  closeSchedulerDirectory,
  type Journal,
  namedProcess,
  readJournal,
  runnerDirectories,
} from './runner-directory.ts'

export async function adoptLocal(deps: {
  runnersDir: string
  schedulerId: number
  orphans: readonly Orphan[]
  log: Logger
}): Promise<Adoption[]> {
  const { runnersDir, schedulerId, orphans, log } = deps
  closeSchedulerDirectory(runnersDir, schedulerId)
  const directories = runnerDirectories(runnersDir, schedulerId)
  if (directories === null) {
    // Nothing of that scheduler is on this machine. It cannot be told what began, so nothing is begun again.
    return orphans.map((orphan) =>
      lost(
        orphan,
        `the scheduler ${schedulerId} that ran this attempt is gone, and its machine is not this one`,
      ),
    )
  }
  await endRunners(directories, log)
  const attemptIds = new Set(orphans.map(({ attempt_id }) => attempt_id))
  const runners: Runner[] = []
  for (const directory of directories)
    runners.push({ directory, journal: await readJournal(directory, attemptIds) })
  const { fault } = runners.find(({ journal }) => journal.fault !== null)?.journal ?? { fault: null }
  if (fault !== null) log.error({ fault }, 'what a scheduler that is gone ran cannot be read')
  return orphans.map((orphan): Adoption => {
    const { attempt_id } = orphan
    const runner = runners.find(({ journal }) => journal.entries.has(attempt_id))
    if (runner) return adoption(orphan, runner)
    if (fault === null) return { attempt_id, fate: 'not_begun' }
    return lost(
      orphan,
      `the scheduler that had this attempt ended, and whether it had begun is not known: ${fault}`,
    )
  })
}

interface Runner {
  directory: string
  journal: Journal
}

function adoption(orphan: Orphan, { directory, journal }: Runner): Adoption {
  const { attempt_id } = orphan
  const { finish } = journal.entries.get(attempt_id)!
  if (finish && finish.token === orphan.token) {
    const pid = namedProcess(directory)?.pid ?? null
    return { attempt_id, fate: 'finished', report: { ...finish, hostname: hostname(), pid } }
  }
  saveLastOutput(directory, orphan.log_path)
  const why = journal.fault === null ? '' : `, or its end cannot be told: ${journal.fault}`
  return lost(orphan, `the scheduler that ran this attempt ended, and the attempt was ended with it${why}`)
}

function lost({ attempt_id }: Orphan, message: string): Adoption {
  return { attempt_id, fate: 'lost', error: { name: 'AttemptLost', message, stack: null } }
}

/**
 * Ends each group that still lives, so that no attempt overlaps the next: also children whose runner is dead. A
 * group whose leader's id is another process' by now is not ours.
 */
async function endRunners(directories: readonly string[], log: Logger): Promise<void> {
  for (const directory of directories) {
    const runner = namedProcess(directory)
    if (!runner) continue
    const startTime = processStartTime(runner.pid)
    if (startTime !== undefined && startTime !== runner.start_time) continue
    if (startTime !== undefined)
      log.warn({ pid: runner.pid }, 'ending a task runner of a scheduler that is gone')
    await endProcessGroup(runner.pid)
  }
}
