// One task runner as whoever drives it sees it: the process, the pipes to it, the directory with its output and
// journal. Knows nothing of attempts but their messages.
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, existsSync, mkdirSync, openSync, rmSync, writeFileSync } from 'node:fs'
import type { Writable } from 'node:stream'
import { killProcessGroup } from '../process-group.ts'
import { processStartTime } from '../process-start.ts'
import { programPath } from '../programs.ts'
import { readLines } from '../read-lines.ts'
import { parseReport } from './parse-report.ts'
import type { RunnerOrder, RunnerReport, RunnerSettings } from './protocol.ts'
import { outputFile, processFile } from './runner-files.ts'

export interface RunnerExit {
  code: number | null
  signal: NodeJS.Signals | null
}

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
 * @throws an error with code ENOENT where the scheduler's directory was closed by one that adopted its attempts
 */
export function startRunnerProcess(deps: {
  settings: RunnerSettings
  env: NodeJS.ProcessEnv
  onReport: (report: RunnerReport) => void
  onExit: (exit: RunnerExit) => void
}): RunnerProcess {
  const { settings } = deps
  mkdirSync(settings.directory)
  const child = spawnRunner(settings, deps.env)
  let exit: RunnerExit = { code: null, signal: null }
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
  const { pid } = child
  try {
    if (pid === undefined) throw new Error(noProcess)
    nameProcess(settings.directory, pid)
  } catch (error) {
    // The caller has the error, and nobody whose exit could be told.
    isOver = true
    removeDirectory(settings.directory)
    throw error
  }
  // From here on it has a process and all pipes; without a process it may have no `stdio` either.
  const orders = child.stdio[3] as Writable
  orders.on('error', () => {})
  readLines(child.stdio[4] as import('node:stream').Readable, (line) => {
    const report = parseReport(line)
    if (report !== null) deps.onReport(report)
  })
  return {
    pid,
    directory: settings.directory,
    send(order) {
      orders.write(`${JSON.stringify(order)}\n`)
    },
    kill() {
      killProcessGroup(pid)
    },
    removeDirectory() {
      removeDirectory(settings.directory)
    },
  }
}

/** Where it cannot be removed it is left: it goes when the scheduler's directory does. */
function removeDirectory(directory: string): void {
  try {
    rmSync(directory, { recursive: true, force: true })
  } catch {}
}

/** Node tells the reason only later, and then without more. */
const noProcess = `the system started no process: look whether ${process.execPath} is there, and at the limits of open files (ulimit -n) and processes (ulimit -u)`

function spawnRunner(settings: RunnerSettings, env: NodeJS.ProcessEnv): ChildProcess {
  // Read and append: the runner reads back what it and its children wrote to 1 and 2.
  const output = openSync(outputFile(settings.directory), 'a+')
  try {
    return spawn(process.execPath, [programPath('task'), JSON.stringify(settings)], {
      detached: true,
      env,
      stdio: ['ignore', output, output, 'pipe', 'pipe'],
    })
  } finally {
    closeSync(output)
  }
}

/**
 * Notes who has the directory, and then looks whether it still is there: one that adopts closes the directory and
 * then kills whoever is named in it. Whatever the order, one of them sees the other, and the runner is killed
 * before it is given an attempt.
 */
function nameProcess(directory: string, pid: number): void {
  const path = processFile(directory)
  try {
    writeFileSync(path, JSON.stringify({ pid, start_time: processStartTime(pid) }))
    if (existsSync(path)) return
    throw Object.assign(new Error(`${directory} was closed`), { code: 'ENOENT' })
  } catch (error) {
    killProcessGroup(pid)
    throw error
  }
}
