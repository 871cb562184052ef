// A program's log line for people: JSON of runtime/log.ts as one line of text, anything else as it is.

export interface ReadLine {
  /** undefined: the line is no log line. */
  level: string | undefined
  /** The constant phrase alone, or the line. */
  msg: string
  /** Phrase and values. */
  text: string
}

/** What every line has, and what an error says in its message already. */
const usualFields = [
  ...['level', 'time', 'logger', 'msg', 'scheduler_id'],
  ...['code', 'details', 'stack', 'exit_code', 'git_output', 'kind', 'failCount'],
]

/** Reads one line; does not throw. */
export function readProgramLine(line: string): ReadLine {
  const fields = parse(line)
  if (fields === undefined) return { level: undefined, msg: line, text: line }
  const msg = String(fields.msg ?? '')
  const error = fields.err ?? fields.error ?? fields.reason
  const rest = Object.entries(fields)
    .filter(([name]) => !usualFields.includes(name) && !['err', 'error', 'reason'].includes(name))
    .map(([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
  const text = [
    msg,
    ...(error === undefined ? [] : [`: ${messageOfField(error)}`]),
    ...(rest.length === 0 ? [] : [` (${rest.join(' ')})`]),
  ].join('')
  return { level: String(fields.level ?? ''), msg, text }
}

function messageOfField(error: unknown): string {
  if (typeof error === 'string') return error
  const { message } = (error ?? {}) as { message?: unknown }
  return typeof message === 'string' ? message : JSON.stringify(error)
}

function parse(line: string): Record<string, unknown> | undefined {
  if (!line.startsWith('{')) return undefined
  try {
    return JSON.parse(line) as Record<string, unknown>
  } catch {
    return undefined
  }
}
