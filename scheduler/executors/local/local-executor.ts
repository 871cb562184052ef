// The `local` executor: warm task runners on this machine, one attempt at a time in each. Attempts wait here by
// priority; a runner whose attempts have been short is given a few ahead, so that the pipe's latency is not paid
// for each, and gives back what it has not begun when one of them turns out long.
//
// A runner that dies fails the one attempt that it had begun; what it was given ahead goes to another. Whether an
// attempt had begun is never guessed: `start` leaves the runner before the task's code runs.
import { mkdirSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import TinyQueue from 'tinyqueue'
import { messageOf } from '../../../runtime/errors.ts'
import type { Logger } from '../../../runtime/log.ts'
import type { CancelReason, RunnerReport, RunnerSettings } from '../../../runtime/task-runner/protocol.ts'
import { runnerEnded } from '../../../runtime/task-runner/runner-ended.ts'
import { outputTail, saveLastOutput } from '../../../runtime/task-runner/runner-files.ts'
import {
  type RunnerExit,
  type RunnerProcess,
  startRunnerProcess,
} from '../../../runtime/task-runner/runner-process.ts'
import { endedWithoutRunner } from '../ended-without-runner.ts'
import type { DispatchOrder, Executor, ExecutorReport } from '../executor.ts'
import { adoptLocal } from './adopt-local.ts'
import { isStopped } from './is-stopped.ts'
import { createReaper } from './reaper.ts'
import { schedulerDirectory } from './runner-directory.ts'

export interface LocalExecutorSettings {
  /** Attempts at once, and so runners. */
  slots: number
  /** Directory below which each scheduler has one for its runners. */
  runnersDir: string
  /** Between an abort signal and the kill. */
  killGraceMs: number
  /** A runner that is stopped and silent for so long is killed. */
  heartbeatTimeoutMs: number
  runner: Omit<RunnerSettings, 'directory'>
  /** Environment of task runners; must not hold the database's credentials. */
  env: NodeJS.ProcessEnv
}

/** Attempts given ahead to a runner whose recent attempts took this long on average, at most. */
const aheadByDuration = [
  { belowMs: 1, ahead: 32 },
  { belowMs: 5, ahead: 8 },
] as const
/** A runner is told to give back what it was given ahead after one attempt has run for so long. */
const revokeAfterMs = 25
/** An idle runner beyond the first ends after so long; starting one takes about 50 ms. */
const idleRunnerMs = 60_000
const tickMs = 25
/** Until a runner that could not be started (a full disk, no memory) is tried again. */
const restartRunnerMs = 1_000
/** Of the output of a runner that ended before it was ready, in the scheduler's log. */
const shownOutputBytes = 4_096

interface Waiting extends DispatchOrder {
  sequence: number
}

interface Given {
  dispatch: DispatchOrder
  givenAt: number
  /** null: not begun. */
  startedAt: number | null
  /** What ended it from outside, if something did. */
  cancelReason: CancelReason | null
  killAt: number | null
}

interface Runner {
  process: RunnerProcess
  isReady: boolean
  /** Takes one attempt and is replaced after it. */
  isFresh: boolean
  /** Takes nothing more and ends when it has nothing left. */
  isRetiring: boolean
  /** In the order given; the first is the one that runs or runs next. */
  given: Map<string, Given>
  averageMs: number
  hasRevokePending: boolean
  heardAt: number
  idleSince: number
}

export function createLocalExecutor(deps: {
  schedulerId: number
  settings: LocalExecutorSettings
  onReport: (report: ExecutorReport) => void
  /** Milliseconds since the epoch: everything that was reported before is committed. */
  committedUntil: () => number
  log: Logger
}): Executor {
  const { onReport, log } = deps
  let { settings } = deps
  const host = hostname()
  const reaper = createReaper(log)
  const waiting = new TinyQueue<Waiting>(
    [],
    (a, b) => b.task.priority_weight - a.task.priority_weight || a.sequence - b.sequence,
  )
  /** Ids of waiting attempts that were cancelled meanwhile; they are dropped when they come up. */
  const cancelledWaiting = new Set<string>()
  const waitingIds = new Set<string>()
  const runners = new Set<Runner>()
  /** Runners whose journals may still say something that is not committed. */
  const ended: { process: RunnerProcess; at: number }[] = []
  let sequence = 0
  let runnerNumber = 0
  let tick: NodeJS.Timeout | undefined
  let isStopping = false
  /** Before this time no runner is started. */
  let startAfter = 0

  const roomOf = (runner: Runner) => {
    if (!runner.isReady || runner.isRetiring) return 0
    const ahead = runner.isFresh
      ? 0
      : (aheadByDuration.find(({ belowMs }) => runner.averageMs < belowMs)?.ahead ?? 0)
    return 1 + ahead - runner.given.size
  }

  /** Nothing where it fails: attempts wait. A directory that is closed means that another has adopted them. */
  function startRunner(isFresh: boolean): void {
    if (Date.now() < startAfter) return
    try {
      addRunner(isFresh)
    } catch (error) {
      const isClosed = (error as NodeJS.ErrnoException).code === 'ENOENT'
      startAfter = isClosed ? Number.POSITIVE_INFINITY : Date.now() + restartRunnerMs
      log.error({ error: messageOf(error) }, 'task runner could not be started')
    }
  }

  function addRunner(isFresh: boolean): void {
    runnerNumber += 1
    const directory = join(schedulerDirectory(settings.runnersDir, deps.schedulerId), String(runnerNumber))
    const runner: Runner = {
      process: startRunnerProcess({
        settings: { ...settings.runner, directory, ...(isFresh && { max_attempts: 1 }) },
        env: settings.env,
        onReport: (report) => reported(runner, report),
        onExit: (exit) => exited(runner, exit),
      }),
      isReady: false,
      isFresh,
      isRetiring: false,
      given: new Map(),
      averageMs: Number.POSITIVE_INFINITY,
      hasRevokePending: false,
      heardAt: Date.now(),
      idleSince: Date.now(),
    }
    runners.add(runner)
    reaper.add(runner.process.pid)
  }

  function reported(runner: Runner, report: RunnerReport): void {
    runner.heardAt = Date.now()
    if (report.type === 'ready') {
      runner.isReady = true
    } else if (report.type === 'start') {
      const given = runner.given.get(report.attempt_id)
      // Of an attempt that this runner has not: user code wrote it.
      if (!given) return
      given.startedAt = runner.heardAt
      const timeoutMs = given.dispatch.order.execution_timeout_ms
      if (given.cancelReason)
        runner.process.send({ type: 'cancel', attempt_id: report.attempt_id, reason: given.cancelReason })
      else if (timeoutMs !== null) timeouts.set(report.attempt_id, runner.heardAt + timeoutMs)
      onReport({ ...report, hostname: host, pid: runner.process.pid })
    } else if (report.type === 'revoked') {
      runner.hasRevokePending = false
      for (const id of report.attempt_ids) {
        const given = runner.given.get(id)
        if (!given || given.startedAt !== null) continue
        runner.given.delete(id)
        putBack(given.dispatch, given.cancelReason)
      }
    } else if (report.type === 'finish') {
      if (!runner.given.delete(report.attempt_id)) return
      timeouts.delete(report.attempt_id)
      runner.idleSince = runner.heardAt
      const durationMs = report.end_ms - report.start_ms
      runner.averageMs = Number.isFinite(runner.averageMs)
        ? runner.averageMs * 0.8 + durationMs * 0.2
        : durationMs
      if (!report.reusable) runner.isRetiring = true
      onReport({ ...report, hostname: host, pid: runner.process.pid })
    }
    if (report.type === 'heartbeat') return
    if (runner.isRetiring) retire(runner)
    scheduleFill()
  }

  const timeouts = new Map<string, number>()

  /** Ends a runner that has begun nothing more; what it was given ahead is asked back first. */
  function retire(runner: Runner): void {
    runner.isRetiring = true
    if (runner.given.size === 0) runner.process.kill()
    else revoke(runner)
  }

  function revoke(runner: Runner): void {
    if (runner.hasRevokePending) return
    const ids = [...runner.given].filter(([, given]) => given.startedAt === null).map(([id]) => id)
    if (ids.length === 0) return
    runner.hasRevokePending = true
    runner.process.send({ type: 'revoke', attempt_ids: ids })
  }

  function exited(runner: Runner, exit: RunnerExit): void {
    runners.delete(runner)
    // Its children may still run: the group is killed with it, begun or not.
    runner.process.kill()
    reaper.remove(runner.process.pid)
    for (const [id, given] of runner.given) {
      timeouts.delete(id)
      if (given.startedAt === null) {
        putBack(given.dispatch, given.cancelReason)
        continue
      }
      const { order } = given.dispatch
      saveLastOutput(runner.process.directory, order.log_path)
      log.warn(
        { attempt_id: id, exit_code: exit.code, signal: exit.signal },
        'task runner ended during an attempt',
      )
      onReport({
        ...endedWithoutRunner(order, runnerEnded(exit, given.cancelReason)),
        exit_code: exit.code,
        start_ms: given.startedAt,
        hostname: host,
        pid: runner.process.pid,
      })
    }
    if (!runner.isReady && !runner.isRetiring) endedUnready(runner, exit)
    ended.push({ process: runner.process, at: Date.now() })
    scheduleFill()
  }

  /** The next one would most likely end as it did. */
  function endedUnready({ process: { directory, pid } }: Runner, exit: RunnerExit): void {
    let output = ''
    try {
      output = outputTail(directory, shownOutputBytes)
    } catch {
      // The directory was closed by one that adopted it, or removed.
    }
    log.warn(
      { pid, exit_code: exit.code, signal: exit.signal, output },
      'task runner ended before it was ready',
    )
    startAfter = Math.max(startAfter, Date.now() + restartRunnerMs)
  }

  /** What was given ahead and had not begun waits again. At shutdown it is left queued, for the next scheduler. */
  function putBack(dispatch: DispatchOrder, cancelReason: CancelReason | null): void {
    if (cancelReason !== null && cancelReason !== 'shutdown') endUnbegun(dispatch, cancelReason)
    else enqueue(dispatch)
  }

  function endUnbegun({ order }: DispatchOrder, reason: CancelReason): void {
    const message = `ended before it began: ${reason}`
    onReport(endedWithoutRunner(order, { name: 'AttemptCancelled', message, stack: null }))
  }

  function enqueue(dispatch: DispatchOrder): void {
    sequence += 1
    waitingIds.add(dispatch.order.attempt_id)
    waiting.push({ ...dispatch, sequence })
  }

  /** The next waiting attempt that nobody cancelled; it stays first until `popWaiting`. */
  function peekWaiting(): Waiting | undefined {
    for (let next = waiting.peek(); next; next = waiting.peek()) {
      if (!cancelledWaiting.delete(next.order.attempt_id)) return next
      popWaiting()
    }
    return undefined
  }

  function popWaiting(): void {
    const first = waiting.pop()
    if (first) waitingIds.delete(first.order.attempt_id)
  }

  let isFillScheduled = false
  /** One fill for all reports of this turn: a batch of finishes gives batches of orders. */
  function scheduleFill(): void {
    if (isFillScheduled) return
    isFillScheduled = true
    queueMicrotask(() => {
      isFillScheduled = false
      fill()
    })
  }

  function fill(): void {
    if (isStopping) return
    const batches = new Map<Runner, DispatchOrder[]>()
    for (let next = peekWaiting(); next; next = peekWaiting()) {
      const runner = chooseRunner(next.task.isolation === 'fresh')
      if (!runner) break
      popWaiting()
      runner.given.set(next.order.attempt_id, {
        dispatch: next,
        givenAt: Date.now(),
        startedAt: null,
        cancelReason: null,
        killAt: null,
      })
      const batch = batches.get(runner)
      if (batch) batch.push(next)
      else batches.set(runner, [next])
    }
    for (const [runner, batch] of batches) {
      runner.process.send({ type: 'run', attempts: batch.map(({ order }) => order) })
    }
  }

  /** The runner with the fewest attempts that has room; starts one where slots allow and none is idle. */
  function chooseRunner(isFresh: boolean): Runner | undefined {
    let best: Runner | undefined
    let isStarting = false
    let idle: Runner | undefined
    for (const runner of runners) {
      if (!runner.isReady && runner.isFresh === isFresh) isStarting = true
      if (runner.isReady && runner.given.size === 0 && !runner.isRetiring) idle = runner
      if (runner.isFresh !== isFresh || roomOf(runner) <= 0) continue
      if (!best || runner.given.size < best.given.size) best = runner
    }
    if (best && best.given.size === 0) return best
    if (!isStarting && runners.size < settings.slots) startRunner(isFresh)
    // All slots hold idle runners of the other kind: one of them makes room.
    else if (!isStarting && !best && idle && idle.isFresh !== isFresh) retire(idle)
    return best
  }

  function onTick(): void {
    const now = Date.now()
    while (ended.length > 0 && ended[0]!.at < deps.committedUntil()) ended.shift()!.process.removeDirectory()
    for (const [id, at] of timeouts) {
      if (now >= at) {
        timeouts.delete(id)
        executor.cancel(id, 'timeout')
      }
    }
    if (startAfter !== 0 && now >= startAfter) {
      startAfter = 0
      fill()
    }
    for (const runner of runners) {
      for (const given of runner.given.values()) {
        if (given.killAt !== null && now >= given.killAt) runner.process.kill()
        if (given.startedAt !== null && now - given.startedAt > revokeAfterMs) {
          runner.averageMs = Math.max(runner.averageMs, now - given.startedAt)
          revoke(runner)
        }
      }
      const isSilent = silentMs(runner, now) > settings.heartbeatTimeoutMs
      if (isSilent && isStopped(runner.process.pid)) {
        log.warn({ pid: runner.process.pid }, 'task runner is stopped and silent, killing it')
        runner.process.kill()
      }
      // A task closed the descriptor by which it would hear. What it was given goes to another.
      if (isSilent && !isBusy(runner)) {
        log.warn({ pid: runner.process.pid }, 'task runner begins nothing of what it was given, killing it')
        runner.process.kill()
      }
      if (runner.given.size === 0 && runners.size > 1 && now - runner.idleSince > idleRunnerMs) retire(runner)
    }
  }

  /** Since it had something to say: it says nothing while it has nothing to do. */
  function silentMs({ given, heardAt }: Runner, now: number): number {
    const [first] = given.values()
    return first ? now - Math.max(first.givenAt, heardAt) : 0
  }

  const isBusy = ({ given }: Runner) => given.values().next().value?.startedAt != null

  const executor: Executor = {
    name: 'local',
    async start() {
      mkdirSync(schedulerDirectory(settings.runnersDir, deps.schedulerId), { recursive: true })
      reaper.start()
      startRunner(false)
      tick = setInterval(onTick, tickMs)
    },
    dispatch(orders) {
      for (const order of orders) enqueue(order)
      fill()
    },
    cancel(attemptId, reason) {
      if (waitingIds.has(attemptId)) {
        if (cancelledWaiting.has(attemptId)) return
        cancelledWaiting.add(attemptId)
        const found = waiting.data.find(({ order }) => order.attempt_id === attemptId)!
        endUnbegun(found, reason)
        return
      }
      for (const runner of runners) {
        const given = runner.given.get(attemptId)
        if (!given || given.cancelReason) continue
        given.cancelReason = reason
        given.killAt = Date.now() + settings.killGraceMs
        if (given.startedAt === null) runner.process.send({ type: 'revoke', attempt_ids: [attemptId] })
        else runner.process.send({ type: 'cancel', attempt_id: attemptId, reason })
      }
    },
    adopt: (schedulerId, orphans) =>
      adoptLocal({ runnersDir: settings.runnersDir, schedulerId, orphans, log }),
    async stop(graceMs) {
      isStopping = true
      settings = { ...settings, killGraceMs: graceMs }
      for (const runner of runners) {
        for (const id of runner.given.keys()) executor.cancel(id, 'shutdown')
        retire(runner)
      }
      while (runners.size > 0) await delay(5)
      clearInterval(tick)
      reaper.stop()
    },
  }
  return executor
}
