// What became of the attempts of a scheduler that is gone: its runners are ended for certain, then their journals
// tell which attempts never began, which were running, and how those ended whose outcome nobody committed.
import { hostname } from 'node:os'
import type { Logger } from '../../../runtime/log.ts'
import { endProcessGroup } from '../../../runtime/process-group.ts'
import { processStartTime } from '../../../runtime/process-start.ts'
import type { Adoption, Orphan } from '../executor.ts'
import {
  closeSchedulerDirectory,
  type JournalEntry,
  namedProcess,
  readJournal,
  runnerDirectories,
  saveLastOutput,
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
    return orphans.map(({ attempt_id }) => ({
      attempt_id,
      fate: 'lost',
      error: {
        name: 'AttemptLost',
        message: `the scheduler ${schedulerId} that ran this attempt is gone, and its machine is not this one`,
        stack: null,
      },
    }))
  }
  await endRunners(directories, log)
  const journals = directories.map((directory) => ({ directory, journal: readJournal(directory) }))
  const adoptions = orphans.map((orphan): Adoption => {
    const found = journals.find(({ journal }) => journal.has(orphan.attempt_id))
    if (!found) return { attempt_id: orphan.attempt_id, fate: 'not_begun' }
    return adoption(orphan, found.directory, found.journal.get(orphan.attempt_id)!)
  })
  return adoptions
}

function adoption(orphan: Orphan, directory: string, entry: JournalEntry): Adoption {
  const { attempt_id } = orphan
  if (entry.finish && entry.finish.token === orphan.token) {
    return {
      attempt_id,
      fate: 'finished',
      report: { ...entry.finish, hostname: hostname(), pid: entry.pid },
    }
  }
  saveLastOutput(directory, orphan.log_path)
  return {
    attempt_id,
    fate: 'lost',
    error: {
      name: 'AttemptLost',
      message: 'the scheduler that ran this attempt ended, and the attempt was ended with it',
      stack: null,
    },
  }
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
