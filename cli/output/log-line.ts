// One line of an attempt's log for people: time, level, message, fields; errors with their stacks below. Pure.
import { inspect } from 'node:util'
import type { LogLevel, LogLine, LogStream } from '../../runtime/log-line.ts'
import type { Format, Style } from './style.ts'
import { localClock } from './time.ts'

const formats: Readonly<Record<LogLevel, Format>> = {
  debug: 'dim',
  info: 'green',
  warn: 'yellow',
  error: 'red',
}

/** Of the longest level. */
const levelWidth = 5

/**
 * @param text one line of the log, as it is in the file
 * @returns lines; a text that is no log line as it is
 */
export function renderLogText(text: string, style: Style): string[] {
  try {
    const line = JSON.parse(text) as LogLine
    if (typeof line.ts === 'string' && typeof line.msg === 'string') return renderLogLine(line, style)
  } catch {
    // A line that was cut off when its writer was killed.
  }
  return [text]
}

function renderLogLine({ ts, ...message }: LogLine, style: Style): string[] {
  const [first, ...below] = renderMessage(message as LogMessage, style)
  return [`${style('dim', localClock(ts))} ${first}`, ...below]
}

/** A log line without its time. */
export interface LogMessage {
  level: LogLevel
  stream: LogStream
  msg: string
  [field: string]: unknown
}

/** The message on the first line (or lines, where it has several), stacks below it. */
export function renderMessage({ level, stream, msg, ...fields }: LogMessage, style: Style): string[] {
  const name = style(formats[level] ?? 'dim', level.toUpperCase().padEnd(levelWidth))
  const told = stream === 'branchline' ? style('italic', msg) : msg
  const [flat, stacks] = splitFields(fields)
  const pairs = flat.map(([field, value]) => `${style('dim', `${field}=`)}${shown(value)}`)
  const below = stacks.flatMap((stack) => stack.split('\n').map((line) => style('dim', `    ${line}`)))
  return [...[name, told, ...pairs].join(' ').split('\n'), ...below]
}

/** Fields for the line itself, and stacks for below it. */
function splitFields(fields: Record<string, unknown>): [[string, unknown][], string[]] {
  const flat: [string, unknown][] = []
  const stacks: string[] = []
  for (const [field, value] of Object.entries(fields)) {
    const stack = field === 'stack' ? value : (value as { stack?: unknown } | null)?.stack
    if (typeof stack === 'string') stacks.push(stack)
    else if (value !== undefined && value !== null) flat.push([field, value])
  }
  return [flat, stacks]
}

/** Text without quotes where it is one word; other values as Node shows them, on one line. */
function shown(value: unknown): string {
  if (typeof value === 'string') return /^[^\s"=]+$/.test(value) ? value : JSON.stringify(value)
  return typeof value === 'object' ? inspect(value, { breakLength: Infinity, depth: 4 }) : String(value)
}
