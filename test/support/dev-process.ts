// `branchline dev` as a person starts it: a process of its own, in a directory of its own, whose output is read.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { glob, readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { vi } from 'vitest'
import { programPath } from '../../runtime/programs.ts'

export interface DevProcess extends AsyncDisposable {
  child: ChildProcess
  /** Standard output and error so far. */
  output(): string
  /** Waits until it said what matches, after what it had said at `from`. @returns the match */
  said(pattern: RegExp, from?: number): Promise<RegExpMatchArray>
  /** Exit code, and all that it said. */
  ended: Promise<{ code: number | null; signal: string | null; output: string }>
  /** Ctrl-C, and waits for the end. @returns milliseconds that it took */
  stop(): Promise<number>
}

/** Longer than any start on a busy machine. */
const patienceMs = 40_000

/**
 * @param options.cwd working directory; default: that of temporary files
 * @param options.env over an environment that has nothing of the person who runs the tests
 */
export function startDev(
  args: readonly string[],
  options: { cwd?: string; env?: NodeJS.ProcessEnv } = {},
): DevProcess {
  const child = spawn(process.execPath, [programPath('branchline'), 'dev', ...args], {
    cwd: options.cwd ?? tmpdir(),
    env: { PATH: process.env.PATH, HOME: process.env.HOME, NO_COLOR: '1', ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let text = ''
  for (const stream of [child.stdout!, child.stderr!]) stream.on('data', (chunk) => (text += chunk))
  const ended = once(child, 'close').then(([code, signal]) => ({ code, signal, output: text }))
  let isOver = false
  void ended.then(() => (isOver = true))

  const stop = async () => {
    const startedAt = performance.now()
    child.kill('SIGINT')
    await ended
    return performance.now() - startedAt
  }
  return {
    child,
    output: () => text,
    ended,
    stop,
    async said(pattern, from = 0) {
      const deadline = performance.now() + patienceMs
      for (;;) {
        const match = text.slice(from).match(pattern)
        if (match !== null) return match
        if (isOver || performance.now() > deadline) {
          throw new Error(`dev ${isOver ? 'ended and ' : ''}did not say ${pattern}. It said:\n${text}`)
        }
        await sleep(20)
      }
    },
    async [Symbol.asyncDispose]() {
      if (!isOver) await stop()
    },
  }
}

/** Processes that belong to a data directory, by what they were told or where they work. Linux alone can tell. */
export function processesOf(dataDir: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((pid) =>
      [
        () => readFileSync(`/proc/${pid}/environ`, 'utf8'),
        () => readFileSync(`/proc/${pid}/cmdline`, 'utf8'),
        () => readlinkSync(`/proc/${pid}/cwd`),
      ].some((read) => {
        try {
          return read().includes(dataDir)
        } catch {
          return false
        }
      }),
    )
    .map(Number)
}

/** Messages in the log files of a task, of all its runs, each with its run's id. */
async function taskLines(
  dataDir: string,
  dagId: string,
  taskId: string,
): Promise<{ runId: string; msg: string }[]> {
  const found: { runId: string; msg: string }[] = []
  const pattern = join(`dag_id=${dagId}`, 'run_id=*', `task_id=${taskId}`, 'attempt=*.log')
  for await (const file of glob(pattern, { cwd: join(dataDir, 'logs') })) {
    const runId = file.split('run_id=')[1]!.split('/')[0]!
    for (const line of (await readFile(join(dataDir, 'logs', file), 'utf8')).split('\n')) {
      if (line !== '') found.push({ runId, msg: (JSON.parse(line) as { msg: string }).msg })
    }
  }
  return found
}

/** Waits until the task said it in a run. @returns the run's id */
export async function taskSaid(place: {
  dataDir: string
  dagId: string
  taskId: string
  msg: string
}): Promise<string> {
  const { dataDir, dagId, taskId, msg } = place
  return await vi.waitFor(
    async () => {
      const lines = await taskLines(dataDir, dagId, taskId)
      const line = lines.find((candidate) => candidate.msg === msg)
      if (line === undefined) throw new Error(`it said ${JSON.stringify(lines)}`)
      return line.runId
    },
    { timeout: patienceMs, interval: 30 },
  )
}
