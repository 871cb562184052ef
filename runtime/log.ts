// The processes' own log (not the tasks'): pino, one JSON object a line, on standard error so that standard
// output stays free for what a command prints. The message is a constant lower-case phrase; values are fields.
import { type DestinationStream, type Logger, pino } from 'pino'
import type { logLevels } from './log-levels.ts'
import { openPatientStderr, type PatientStderr } from './patient-stderr.ts'

export type { Logger } from 'pino'

/**
 * A logger whose lines carry `logger: name`. Writes synchronously: a line is out before the process can die.
 * @param destination where lines go; default file descriptor 2
 */
export function createLogger(
  name: string,
  options: { level?: (typeof logLevels)[number]; destination?: DestinationStream } = {},
): Logger {
  return pino(
    {
      level: options.level ?? 'info',
      base: { logger: name },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    options.destination ?? openStderr(),
  )
}

/**
 * Standard error for the loggers of a program that goes on working when nobody reads its log (patient-stderr.ts).
 * Call once, and `flush` before an exit.
 * @param name of the logger that says how many lines are missing
 */
export function createPatientDestination(name: string): PatientStderr {
  const patient = openPatientStderr((count) => notices.warn({ count }, 'log lines dropped, nobody read them'))
  const direct = openStderr()
  const destination = patient ?? { write: (line: string) => void direct.write(line), flush: async () => {} }
  const notices = createLogger(name, { destination })
  return destination
}

function openStderr(): DestinationStream {
  return pino.destination({ fd: 2, sync: true })
}
