// One task runner as the scheduler sees it: the process, the pipes to it, the directory with its output and
// journal. Knows nothing of attempts but their messages.
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, mkdirSync, openSync, rmSync, writeFileSync } from 'node:fs'
import type { Writable } from 'node:stream'
import { processStartTime } from '../../../runtime/process-start.ts'
import { programPath } from '../../../runtime/programs.ts'
import { readLines } from '../../../runtime/read-lines.ts'
import type { RunnerOrder, RunnerReport, RunnerSettings } from '../../../runtime/task-runner/protocol.ts'
import { outputFile, processFile } from './runner-directory.ts'

export interface RunnerProcess {
  readonly pid: number
  readonly directory: string
  send(order: RunnerOrder): void
  /** Kills the runner and everything that it started. */
  kill(): void
  /** Removes the directory; call it when everything that the journal says is committed. */
  removeDirectory(): void
}

/**
 * @param onReport called for each report, in order
 * @param onExit called once, after the last report, when the process and its pipes are gone
 */
export function startRunnerProcess(deps: {
  settings: RunnerSettings
  env: NodeJS.ProcessEnv
  onReport: (report: RunnerReport) => void
  onExit: (exit: { code: number | null; signal: NodeJS.Signals | null }) => void
}): RunnerProcess {
  const { settings } = deps
  mkdirSync(settings.directory, { recursive: true })
  // Read and append: the runner reads back what it and its children wrote to 1 and 2.
  const output = openSync(outputFile(settings.directory), 'a+')
  const child: ChildProcess = spawn(process.execPath, [programPath('task'), JSON.stringify(settings)], {
    detached: true,
    env: deps.env,
    stdio: ['ignore', output, output, 'pipe', 'pipe'],
  })
  closeSync(output)
  let exit: { code: number | null; signal: NodeJS.Signals | null } = { code: null, signal: null }
  let isOver = false
  const over = () => {
    if (isOver) return
    isOver = true
    deps.onExit(exit)
  }
  child.on('exit', (code, signal) => {
    exit = { code, signal }
  })
  // 'close' comes after the pipes have ended, so every report that left the process has been read.
  child.on('close', over)
  child.on('error', over)
  if (child.pid !== undefined) {
    const startTime = processStartTime(child.pid)
    writeFileSync(processFile(settings.directory), JSON.stringify({ pid: child.pid, start_time: startTime }))
  }
  const orders = child.stdio[3] as Writable
  orders.on('error', () => {})
  readLines(child.stdio[4] as import('node:stream').Readable, (line) =>
    deps.onReport(JSON.parse(line) as RunnerReport),
  )
  return {
    pid: child.pid ?? -1,
    directory: settings.directory,
    send(order) {
      orders.write(`${JSON.stringify(order)}\n`)
    },
    kill() {
      if (child.pid === undefined || isOver) return
      try {
        process.kill(-child.pid, 'SIGKILL')
      } catch {
        // The group is gone already; 'close' tells.
      }
    },
    removeDirectory() {
      rmSync(settings.directory, { recursive: true, force: true })
    },
  }
}
