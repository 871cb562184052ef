// The program of a local task runner: a warm process that runs attempts one at a time, as protocol.ts says. It is
// the leader of a process group, and everything that a task starts is in that group: when the scheduler's end of
// the orders pipe closes, the whole group is killed, so that nothing outlives the scheduler that knows of it.
import { openSync } from 'node:fs'
import { Socket } from 'node:net'
import { join } from 'node:path'
import { installAuthoring } from '../authoring/authoring-global.ts'
import { readLines } from '../read-lines.ts'
import { writeFully } from '../write-fully.ts'
import {
  type AttemptOrder,
  ordersFd,
  type RunnerOrder,
  type RunnerReport,
  type RunnerSettings,
  reportsFd,
} from './protocol.ts'
import { createRawOutput } from './raw-output.ts'
import { createTaskRunner } from './task-runner.ts'

const settings = JSON.parse(process.argv[2]!) as RunnerSettings
process.setSourceMapsEnabled(true)
/** What a task might replace is taken before one runs. */
const { parse, stringify } = JSON
installAuthoring()

const journalFd = openSync(join(settings.directory, 'journal'), 'a')

/**
 * Where it fails (nobody reads any more, a full disk) the runner ends: what it cannot report did not happen.
 * @returns how many bytes that was
 */
function writeAll(fd: number, text: string): number {
  return writeFully(fd, text, killGroup)
}

/**
 * Results stand in the journal, and whoever adopts this runner's attempts reads all of it. Larger: that takes
 * longer; smaller: runners with large results are replaced more often.
 */
const maxJournalBytes = 64 * 1024 * 1024

let journalBytes = 0
let journalText = ''
let reportsText = ''

/** What was reported leaves; the journal has it first. */
function flush(): void {
  if (journalText !== '') journalBytes += writeAll(journalFd, journalText)
  if (reportsText !== '') writeAll(reportsFd, reportsText)
  journalText = ''
  reportsText = ''
}

/**
 * A `finish` waits for the end of this turn, because the `start` of the next attempt usually comes within it and
 * one write serves both. Everything else leaves at once, above all a `start`: the task's code runs after it.
 */
function report(message: RunnerReport): void {
  const line = `${stringify(message)}\n`
  if (message.type === 'start' || message.type === 'finish') journalText += line
  reportsText += line
  if (message.type === 'finish') process.nextTick(flush)
  else flush()
}

function killGroup(): void {
  process.kill(-process.pid, 'SIGKILL')
}

const rawOutput = createRawOutput(1, openSync(join(settings.directory, 'output-position'), 'w'))
const isJournalFull = () => journalBytes > maxJournalBytes
const runner = createTaskRunner({ settings, rawOutput, report, isJournalFull, onBroken: killGroup })
process.on('uncaughtException', (error) => runner.uncaught(error))
process.on('unhandledRejection', (error) => runner.uncaught(error))
// The terminal's ctrl-C and a supervisor's SIGTERM are the scheduler's business; it tells the runner what to do.
process.on('SIGINT', () => {})
process.on('SIGTERM', () => {})

const orders = new Socket({ fd: ordersFd, readable: true, writable: false })
readLines(orders, (line) => {
  const order = parse(line) as RunnerOrder
  if (order.type === 'run') runner.run(order.attempts satisfies AttemptOrder[], order.xcom_max_bytes)
  else if (order.type === 'cancel') runner.cancel(order.attempt_id, order.reason, order.message)
  else runner.revoke(order.attempt_ids)
})
orders.on('close', killGroup)
orders.on('error', killGroup)
report({ type: 'ready', pid: process.pid })
