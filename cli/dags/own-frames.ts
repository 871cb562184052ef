// Stacks of tested Dags for their authors: the frames of the command that ran them say nothing to them.
import { dirname } from 'node:path'
import type { ErrorReport } from '../../runtime/task-runner/protocol.ts'

const commandFolder = `${dirname(import.meta.dirname)}/`

/** The error without the first frame of the command line and all below it. */
export function withoutOwnFrames(error: ErrorReport): ErrorReport {
  const lines = error.stack?.split('\n') ?? []
  const firstOwn = lines.findIndex((line) => line.startsWith('    at ') && line.includes(commandFolder))
  return firstOwn < 0 ? error : { ...error, stack: lines.slice(0, firstOwn).join('\n') }
}
