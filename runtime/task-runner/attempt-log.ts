// The log file of one attempt. Lines are appended with synchronous writes, so they are in their order and in the
// file before anything else happens: a killed runner, scheduler or both lose none of them. The file is made with
// its first line; an attempt that says nothing costs nothing.
import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import { inspect } from 'node:util'
import type { LogLevel, LogLine, LogStream } from '../log-line.ts'

/** Taken before a task may replace it. */
const { stringify } = JSON

export interface AttemptLog {
  /** @param fields further keys of the line; what is not JSON in them becomes text */
  write(level: LogLevel, stream: LogStream, msg: string, fields?: Record<string, unknown>): void
  close(): void
}

/** A log whose lines go to `path`, after those that are there. */
export function openAttemptLog(path: string): AttemptLog {
  let fd: number | undefined
  return {
    write(level, stream, msg, fields) {
      if (fd === undefined) {
        mkdirSync(dirname(path), { recursive: true })
        fd = openSync(path, 'a')
      }
      writeSync(fd, `${lineText({ ts: new Date().toISOString(), level, stream, msg }, fields)}\n`)
    },
    close() {
      if (fd !== undefined) closeSync(fd)
      fd = undefined
    },
  }
}

/** A log call never fails: what has no JSON is written as text, and what throws when it is looked at as that. */
export function lineText(line: LogLine, fields: Record<string, unknown> | undefined): string {
  if (fields === undefined && typeof line.msg === 'string') return stringify(line)
  try {
    const msg = typeof line.msg === 'string' ? line.msg : inspect(line.msg)
    return jsonText({ ...fields, ...line, msg })
  } catch (error) {
    const msg = typeof line.msg === 'string' ? line.msg : ''
    return stringify({
      ...line,
      msg,
      not_written: `message or fields cannot be looked at: ${inspect(error)}`,
    })
  }
}

function jsonText(line: LogLine): string {
  /** The objects around the value that is looked at, the outermost first. */
  const around: unknown[] = []
  return stringify(line, function (this: unknown, _key, value: unknown) {
    if (typeof value === 'bigint' || typeof value === 'function' || typeof value === 'symbol')
      return String(value)
    if (typeof value !== 'object' || value === null) return value
    // `this` holds the value: what came after it was left meanwhile.
    while (around.length > 0 && around.at(-1) !== this) around.pop()
    if (around.includes(value)) return '[circular]'
    const shown =
      value instanceof Error ? { name: value.name, message: value.message, stack: value.stack } : value
    around.push(shown)
    return shown
  })
}
