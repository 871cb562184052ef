// One manifest reader: a process group with an empty environment, limits of time and memory that are enforced from
// outside, and an end by SIGKILL of the whole group. It is used until something goes wrong in it, and then replaced.
import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import type { Readable, Writable } from 'node:stream'
import { ProgramError } from '../errors.ts'
import { killProcessGroup } from '../process-group.ts'
import { programPath } from '../programs.ts'
import { readLines } from '../read-lines.ts'
import {
  answersFd,
  type ModuleReading,
  type ReaderAnswer,
  type ReadRequest,
  requestsFd,
  type ThrownReport,
} from './reader-protocol.ts'

/** How one import ended. After anything but `read` and `threw` the process is gone. */
export type ReaderOutcome =
  | { type: 'read'; reading: ModuleReading }
  | { type: 'threw'; error: ThrownReport }
  | { type: 'ended'; exitCode: number | null; signal: NodeJS.Signals | null; error: ThrownReport | null }
  | { type: 'limit'; limit: 'time' | 'memory' }

export interface ReaderProcess {
  /** Whether it has imported something: what goes wrong then may be an earlier module's doing. */
  readonly isUsed: boolean
  readonly isGone: boolean
  /**
   * One at a time. What the module printed is in `output`, its end only.
   * @throws ProgramError where the process did not start
   */
  read(request: Omit<ReadRequest, 'id'>): Promise<ReaderOutcome & { output: string }>
  /** Resolves when process and pipes are gone. May be called at any time, more than once. */
  kill(): Promise<void>
}

interface ReaderProcessOptions {
  /** Working directory to begin with; one that stays. */
  directory: string
  /** Where Node keeps the reader's own code compiled. */
  compileCacheDir: string
  importTimeoutMs: number
  memoryMb: number
}

/** Beside the heap that it may use: Node itself, code, buffers of moderate size. */
const memoryAllowanceMb = 256
const memoryPollMs = 100
const pageBytes = 4_096
const maxOutputLength = 4_000
/** A start takes 0.1 s; this is for machines that stand still. */
const startTimeoutMs = 60_000

export function startReaderProcess(options: ReaderProcessOptions): ReaderProcess {
  const { directory, compileCacheDir, importTimeoutMs, memoryMb } = options
  const child = spawn(
    process.execPath,
    ['--enable-source-maps', `--max-old-space-size=${memoryMb}`, programPath('manifest-reader')],
    // Of its own group, so that a kill reaches what user code started.
    {
      cwd: directory,
      env: { NODE_COMPILE_CACHE: compileCacheDir },
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe', 'pipe', 'pipe'],
    },
  )
  const requests = child.stdio[requestsFd] as Writable
  let output = ''
  let isGone = false
  let isUsed = false
  let limit: 'time' | 'memory' | undefined
  let ending: Extract<ReaderAnswer, { type: 'ending' }> | undefined
  let current: { id: string; settle: (outcome: ReaderOutcome) => void } | undefined

  const killGroup = () => {
    // Once it is gone its id may be another's.
    if (child.pid !== undefined && !isGone) killProcessGroup(child.pid)
  }
  const closed = new Promise<void>((done) => {
    // Where the process could not be started there is no 'exit'.
    child.once('error', (error) => {
      output += error.message
      done()
    })
    child.once('exit', killGroup)
    child.once('close', () => done())
  })
  const ready = new Promise<true>((done) => {
    readLines(child.stdio[answersFd] as Readable, (line) => {
      const message = parseAnswer(line)
      if (message?.type === 'ready') done(true)
      else if (message === null || message.id !== current?.id) return
      else if (message.type === 'ending') ending = message
      else current.settle(message)
    })
  })
  void closed.then(() => {
    isGone = true
    const exited: ReaderOutcome = {
      type: 'ended',
      exitCode: ending?.exit_code ?? (ending === undefined ? child.exitCode : null),
      signal: child.signalCode,
      error: ending?.error ?? null,
    }
    // V8 says so on standard error and aborts; nothing else tells it from another abort.
    const heapIsFull = child.signalCode === 'SIGABRT' && output.includes('heap out of memory')
    const reached = limit ?? (heapIsFull ? 'memory' : undefined)
    current?.settle(reached === undefined ? exited : { type: 'limit', limit: reached })
  })
  // A reader that died is noticed by its end; writing to it is no further error.
  requests.on('error', () => {})
  for (const stream of [child.stdout!, child.stderr!]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output = (output + text).slice(-maxOutputLength)
    })
  }
  // A reader that waits for work must not keep its loader alive; one that is waited for must.
  const handles = [child, ...child.stdio] as (Pick<Socket, 'ref' | 'unref'> | null)[]
  for (const handle of handles) handle?.unref()

  const reach = (reached: 'time' | 'memory') => {
    limit ??= reached
    killGroup()
  }

  return {
    get isUsed() {
      return isUsed
    },
    get isGone() {
      return isGone
    },
    async read(request) {
      const startTimer = setTimeout(killGroup, startTimeoutMs)
      const isReady = await Promise.race([ready, closed.then(() => false)])
      clearTimeout(startTimer)
      if (!isReady) throw new ProgramError(`the process that imports Dag modules did not start: ${output}`)
      isUsed = true
      const watch = setInterval(() => {
        if (residentMb(child.pid) > memoryMb + memoryAllowanceMb) reach('memory')
      }, memoryPollMs)
      const timer = setTimeout(() => reach('time'), importTimeoutMs)
      try {
        const outcome = await new Promise<ReaderOutcome>((settle) => {
          current = { id: randomUUID(), settle }
          if (isGone)
            settle({ type: 'ended', exitCode: child.exitCode, signal: child.signalCode, error: null })
          requests.write(`${JSON.stringify({ id: current.id, ...request })}\n`)
        })
        return { ...outcome, output }
      } finally {
        current = undefined
        output = ''
        clearInterval(watch)
        clearTimeout(timer)
      }
    },
    async kill() {
      for (const handle of handles) handle?.ref()
      killGroup()
      await closed
    },
  }
}

function parseAnswer(line: string): ReaderAnswer | null {
  try {
    return JSON.parse(line) as ReaderAnswer
  } catch {
    // Written by user code to our descriptor.
    return null
  }
}

/** Resident size; 0 where the system does not say it by /proc, so that only the heap's limit holds there. */
function residentMb(pid: number | undefined): number {
  try {
    const pages = Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1])
    return (pages * pageBytes) / 1024 ** 2
  } catch {
    return 0
  }
}
