// The way of an attempt's log out of the pod: every byte of its file, in order, to standard output, where `kubectl
// logs` and the scheduler find it when nothing else is left, and to the server. The two do not wait for each other.
// What is sent and not acknowledged stays in the file, so an outage of the server loses nothing.
//
// Compression was refused: of 1 MiB of lines it takes 6 ms of a CPU here and 3 ms at the server, to save 0.9 MB of a
// cluster's network, which carries that in 1 ms.
import { closeSync, type FSWatcher, fstatSync, openSync, readSync, watch } from 'node:fs'
import type { Writable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import type { LogsAnswer } from '../execution-api.ts'

/** Between two looks at the file. Longer: a reader of the log waits; shorter: more requests with fewer lines each. */
const intervalMs = 100
/** Until the first line: it is what people wait for. */
const firstIntervalMs = 20
/** For so long after the start; a task that is silent costs no more looks than others. */
const firstMs = 2_000
/**
 * Between two prints, where the system tells when the file grows. Longer: of a container that is killed as a whole, so
 * much of the log's end is lost; shorter: a task that writes all the time costs more of a CPU.
 */
const printEveryMs = 2
/** Bytes of one request, but for a line that is longer. */
const batchBytes = 1024 * 1024
/** A line beyond this is cut, so that it need not fit into the memory of everybody on its way. */
const longestLineBytes = 16 * 1024 * 1024
const newline = 0x0a

export interface LogShipping {
  /** The attempt appends nothing any more. Resolves when the server has all of it; rejects as `send` does. */
  end(): Promise<void>
  /** Rejects as soon as `send` does; resolves with `end`. */
  done: Promise<void>
  /** Standard output has all that it can be given, after `done`. */
  printed: Promise<void>
}

/**
 * Begins at once to print, and to send when the server has said how much it has.
 * @param deps.path a file that is there
 * @param deps.send lines and their place → how much the server has by then; repeats itself until it is answered
 */
export function shipLog(deps: {
  path: string
  output: Writable
  serverHas: Promise<number>
  send: (offset: number, lines: Buffer) => Promise<LogsAnswer>
}): LogShipping {
  const fd = openSync(deps.path, 'r')
  const ended = new AbortController()
  const done = deps.serverHas.then((logBytes) =>
    sendAll({ fd, base: logBytes, send: deps.send, ended: ended.signal }),
  )
  // What is said of the sending itself is the last of the log: printing ends after it.
  const sent = new AbortController()
  done.finally(() => sent.abort()).catch(() => {})
  const printed = print({ fd, path: deps.path, output: deps.output, ended: sent.signal })
  Promise.allSettled([printed, done]).then(() => closeSync(fd))
  return {
    done,
    printed,
    end() {
      ended.abort()
      return done
    },
  }
}

async function sendAll(deps: {
  fd: number
  /** Where the file begins in the attempt's log. */
  base: number
  send: (offset: number, lines: Buffer) => Promise<LogsAnswer>
  ended: AbortSignal
}): Promise<void> {
  const { fd, send, ended } = deps
  let { base } = deps
  let position = 0
  const begunAt = performance.now()
  for (;;) {
    const isLast = ended.aborted
    const lines = readLines(fd, position, isLast)
    if (lines.length === 0) {
      if (isLast) return
      const isYoung = position === 0 && performance.now() - begunAt < firstMs
      await pause(isYoung ? firstIntervalMs : intervalMs, ended)
      continue
    }
    const answer = await send(base + position, lines)
    // Less than was sent: the server has lost some, and gets it again. Less than there was before us is not here.
    base = Math.min(base, answer.log_bytes)
    position = Math.min(answer.log_bytes - base, position + lines.length)
    if (lines.length < batchBytes) await pause(intervalMs, ended)
  }
}

async function print(deps: {
  fd: number
  path: string
  output: Writable
  ended: AbortSignal
}): Promise<void> {
  const { fd, output, ended } = deps
  let isGone = false
  // Nobody reads: the server has it.
  output.on('error', () => {
    isGone = true
  })
  using growth = watchGrowth(deps.path)
  for (let position = 0; !isGone; ) {
    const isLast = ended.aborted
    const bytes = readAt(fd, position, batchBytes)
    position += bytes.length
    if (bytes.length > 0) {
      await new Promise((done) => output.write(bytes, done))
      if (bytes.length < batchBytes) await pause(printEveryMs, ended)
    } else if (isLast) return
    else await growth.wait(intervalMs, ended)
  }
}

/** Waits for a file to grow. A node may have no watch left for it (inotify's limits): then it waits its time. */
function watchGrowth(path: string): { wait(ms: number, ended: AbortSignal): Promise<void> } & Disposable {
  let hasGrown = false
  let wake: AbortController | undefined
  let watcher: FSWatcher | undefined
  try {
    watcher = watch(path, { persistent: false }, () => {
      hasGrown = true
      wake?.abort()
    })
    watcher.on('error', () => watcher?.close())
  } catch {
    // Whoever waits looks by itself now and then.
  }
  return {
    async wait(ms, ended) {
      if (!hasGrown) {
        wake = new AbortController()
        const stop = () => wake?.abort()
        ended.addEventListener('abort', stop)
        await pause(ms, wake.signal)
        ended.removeEventListener('abort', stop)
      }
      hasGrown = false
    },
    [Symbol.dispose]: () => watcher?.close(),
  }
}

/** Whole lines, as far as a batch goes; at the end also what has no newline. */
function readLines(fd: number, position: number, isLast: boolean): Buffer {
  for (let wanted = batchBytes; ; wanted *= 4) {
    const bytes = readAt(fd, position, wanted)
    const whole = bytes.lastIndexOf(newline) + 1
    if (whole > 0) return bytes.subarray(0, whole)
    const isAll = bytes.length < wanted
    if (isAll && !isLast) return bytes.subarray(0, 0)
    if (isAll || wanted >= longestLineBytes) return bytes
  }
}

function readAt(fd: number, position: number, maxBytes: number): Buffer {
  const available = fstatSync(fd).size - position
  if (available <= 0) return Buffer.alloc(0)
  const bytes = Buffer.allocUnsafe(Math.min(available, maxBytes))
  return bytes.subarray(0, readSync(fd, bytes, 0, bytes.length, position))
}

/** Ends early at the end of the log. */
async function pause(ms: number, ended: AbortSignal): Promise<void> {
  if (!ended.aborted) await delay(ms, undefined, { signal: ended }).catch(() => {})
}
