// What the supervisor has to say goes where the task's own lines go, so that everybody sees one log, and so that what
// the container prints is that log and nothing else.
import type { LogLevel } from '../log-line.ts'
import { openAttemptLog } from '../task-runner/attempt-log.ts'
import type { Spool } from './spool.ts'

/** A line of Branchline's in the attempt's log. */
export function writeNote(spool: Spool, level: LogLevel, message: string): void {
  const log = openAttemptLog(spool.logPath)
  try {
    log.write(level, 'branchline', message)
  } catch {
    // A full disk; the attempt's end says so.
  }
  log.close()
}

/** @param why null: it is over */
export function noteTrouble(spool: Spool, why: string | null): void {
  if (why === null) writeNote(spool, 'info', 'the server answers again')
  else
    writeNote(
      spool,
      'warn',
      `the server does not answer as it should, the attempt goes on without it: ${why}`,
    )
}
