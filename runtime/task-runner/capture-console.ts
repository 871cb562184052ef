// Sends what a task prints through JavaScript (console, process.stdout, process.stderr) to a function, with a
// level. Process-wide, because a runner serves one attempt at a time.
import { Console } from 'node:console'
import { Writable } from 'node:stream'
import type { LogLevel, LogStream } from '../log-line.ts'

export type OnPrinted = (level: LogLevel, stream: LogStream, text: string) => void

const consoleLevels = {
  debug: 'debug',
  log: 'info',
  info: 'info',
  warn: 'warn',
  error: 'error',
  trace: 'debug',
} as const

/** A stream's `write` that hands over whole lines; what has no newline yet waits for it or for `flush`. */
function lineWriter(onLine: (line: string) => void) {
  let partial = ''
  const write = (chunk: string | Uint8Array, encoding?: unknown, callback?: unknown): boolean => {
    const lines = (partial + (typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString())).split('\n')
    partial = lines.pop()!
    for (const line of lines) onLine(line)
    const done = typeof encoding === 'function' ? encoding : callback
    if (typeof done === 'function') process.nextTick(done as () => void)
    return true
  }
  const flush = () => {
    if (partial !== '') onLine(partial)
    partial = ''
  }
  return { write, flush }
}

/** Replaces console and the two streams' `write`, for good. `flush` hands over what has no newline yet. */
export function captureConsole(onPrinted: OnPrinted): { flush(): void } {
  let level: LogLevel = 'info'
  // One call of a console method is one line of the log, whatever newlines are in it.
  const sink = new Writable({
    decodeStrings: false,
    write(chunk: string, _encoding, callback) {
      onPrinted(level, 'console', chunk.endsWith('\n') ? chunk.slice(0, -1) : chunk)
      callback()
    },
  })
  const captured = new Console({ stdout: sink, stderr: sink })
  for (const [name, itsLevel] of Object.entries(consoleLevels)) {
    const method = name as keyof typeof consoleLevels
    const original = captured[method].bind(captured)
    captured[method] = (...values: unknown[]) => {
      level = itsLevel
      original(...values)
      level = 'info'
    }
  }
  globalThis.console = captured

  const stdout = lineWriter((line) => onPrinted('info', 'stdout', line))
  const stderr = lineWriter((line) => onPrinted('error', 'stderr', line))
  process.stdout.write = stdout.write as typeof process.stdout.write
  process.stderr.write = stderr.write as typeof process.stderr.write
  return {
    flush() {
      stdout.flush()
      stderr.flush()
    },
  }
}
