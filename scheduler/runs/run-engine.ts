// The heart of a scheduler: events of the runs that it leases go through `decide`, what was decided is committed
// (commit-loop.ts), and only then acted on. Memory runs ahead of the database by at most what is pending and under
// way; where a commit is refused, memory is worth nothing any more and the engine's owner begins anew.
//
// A task may stand only once in a commit. Reports of attempts keep to that by themselves: a task starts, ends and
// is queued again in that order, each acted on after the commit before. Every other event (a retry that is due, a
// cancel, a clear) waits until nothing of its run is uncommitted, and reports that come meanwhile wait behind it.

import { attemptId, notMapped } from '../../runtime/ids.ts'
import type { Logger } from '../../runtime/log.ts'
import { storableError } from '../../runtime/task-runner/parse-report.ts'
import type { ErrorReport } from '../../runtime/task-runner/protocol.ts'
import type { CommitRefusal } from '../database/commit-changes.ts'
import type { Database } from '../database/connection.ts'
import type { RunCommandRow } from '../database/run-commands.ts'
import { decide, type InfrastructureBudget, type RunEvent } from '../decide/decide.ts'
import { endedWithoutRunner } from '../executors/ended-without-runner.ts'
import type { DispatchOrder, Executor, ExecutorReport } from '../executors/executor.ts'
import { executorOf } from '../executors/executor-of.ts'
import { type Act, type AttemptReport, addChanges, type PendingBatch } from './change-batch.ts'
import { createCommitLoop } from './commit-loop.ts'
import { dispatchOrder, type LeasedRun } from './leased-run.ts'
import { createLongTimers } from './long-timers.ts'

export interface RunEngine {
  /** Opens its connection, where Postgres is there. */
  start(): Promise<void>
  /** Takes runs whose lease this scheduler has, and decides what can be done at once. */
  add(runs: readonly LeasedRun[]): void
  /** A report of an executor; one that is not of a current attempt changes nothing. */
  report(report: ExecutorReport): void
  /** Everything that is asked of a leased run by now. */
  setCommands(commands: readonly RunCommandRow[]): void
  /** Ids of the runs that it has. */
  runIds(): number[]
  /** Milliseconds since the epoch: all reports taken before are committed. */
  committedUntil(): number
  /** Commits what is pending, and closes; waits for a database that is away no longer than `timeoutMs`. */
  stop(timeoutMs: number): Promise<void>
}

export function createRunEngine(deps: {
  db: Database
  schedulerId: number
  leaseTtlMs: number
  logsDir: string
  executors: ReadonlyMap<string, Executor>
  defaultExecutor: string
  infrastructureBudget: InfrastructureBudget
  /** The lease is lost or the rows are not as they were left: this engine is over. Called once. */
  onRefused: (refusal: CommitRefusal, error: unknown) => void
  /** After each commit, with the runs that it changed, and whether one of them ended. */
  onCommitted: (commit: { dagRunIds: number[]; hasEnded: boolean }) => void
  log: Logger
}): RunEngine {
  const { logsDir, executors, defaultExecutor } = deps
  const runs = new Map<number, LeasedRun>()
  /** Attempt → where it belongs, from its dispatch to its end. */
  const dispatched = new Map<string, { run: LeasedRun; task: number }>()
  /** What waits until nothing of its run is uncommitted, in order. */
  const waiting = new Map<LeasedRun, { since: number; list: (() => void)[] }>()
  const timers = createLongTimers()
  const commits = createCommitLoop({ ...deps, onMade })

  function happen(run: LeasedRun, event: RunEvent, report?: AttemptReport): void {
    if (commits.isOver()) return
    const changes = decide(run.state, event)
    if (changes.length === 0) return
    const isReport = event.type === 'attempt_started' || event.type === 'attempt_finished'
    if (!isReport) run.isExclusive = true
    addChanges(commits.pending(), run, changes, { defaultExecutor, ...(report && { report }) })
    const isEnded = changes.some((change) => change.type === 'run' && change.state !== 'running')
    // A cancellation is fulfilled when the run has ended, by itself or by it.
    if (isEnded) fulfil(run, (command) => command.command === 'cancel')
    commits.added()
  }

  function onMade(batch: PendingBatch): void {
    act(batch.acts)
    for (const [run, count] of batch.runs) {
      run.uncommitted -= count
      if (run.uncommitted === 0) goOn(run)
    }
    deps.onCommitted({
      dagRunIds: [...batch.runs.keys()].map((run) => run.row.dag_run_id),
      hasEnded: batch.acts.some((one) => one.type === 'release'),
    })
  }

  /** Nothing of the run is uncommitted: what waited happens, up to the first that must be committed by itself. */
  function goOn(run: LeasedRun): void {
    run.isExclusive = false
    // It ended and was given back: what is still asked of it stands in the database, for whoever leases it next.
    if (runs.get(run.row.dag_run_id) !== run) {
      waiting.delete(run)
      return
    }
    applyCommands(run)
    const waits = waiting.get(run)
    if (!waits) return
    while (waits.list.length > 0 && !mustWait(run)) {
      waits.list.shift()!()
      commits.holdsSince(waits.since)
    }
    if (waits.list.length === 0) waiting.delete(run)
  }

  const mustWait = (run: LeasedRun) => run.isExclusive || run.uncommitted > 0

  /** For anything but reports. */
  function whenCommitted(run: LeasedRun, callback: () => void): void {
    if (!mustWait(run) && !waiting.has(run)) callback()
    else waitFor(run, callback)
  }

  function waitFor(run: LeasedRun, callback: () => void): void {
    const waits = waiting.get(run)
    if (waits) waits.list.push(callback)
    else waiting.set(run, { since: Date.now(), list: [callback] })
  }

  function act(acts: readonly Act[]): void {
    const orders = new Map<Executor, DispatchOrder[]>()
    for (const one of acts) {
      switch (one.type) {
        case 'dispatch':
          addOrder(orders, one.run, one.task, one.tryNumber)
          break
        case 'cancel_attempt':
          for (const executor of executors.values()) executor.cancel(one.attemptId, one.reason)
          break
        case 'retry':
          retryAt(one.run, one.task, one.at)
          break
        case 'release':
          // Cleared since, it may have been taken again.
          if (runs.get(one.run.row.dag_run_id) === one.run) runs.delete(one.run.row.dag_run_id)
          one.run.cancelTimeout?.()
          break
      }
    }
    for (const [executor, batch] of orders) executor.dispatch(batch)
  }

  function addOrder(
    orders: Map<Executor, DispatchOrder[]>,
    run: LeasedRun,
    task: number,
    tryNumber: number,
  ): void {
    if (run.attempts.get(task)?.tryNumber !== tryNumber) return
    const name = executorOf(run.version.graph.tasks[task]!, defaultExecutor)
    const executor = executors.get(name)
    const order = dispatchOrder(run, task, logsDir)
    dispatched.set(order.order.attempt_id, { run, task })
    if (!executor) {
      const message = `there is no executor '${name}' here; there is ${[...executors.keys()].join(', ')}`
      failUndispatched(order, { name: 'ConfigError', message, stack: null })
      return
    }
    const batch = orders.get(executor)
    if (batch) batch.push(order)
    else orders.set(executor, [order])
  }

  function failUndispatched({ order }: DispatchOrder, error: ErrorReport): void {
    report({ ...endedWithoutRunner(order, error), retryable: false })
  }

  function retryAt(run: LeasedRun, task: number, at: number): void {
    const { tryNumber } = run.state.tasks[task]!
    timers.set(at, () => {
      const isSame = run.state.tasks[task]!.tryNumber === tryNumber && runs.get(run.row.dag_run_id) === run
      if (isSame) whenCommitted(run, () => happen(run, { type: 'retry_due', task }))
    })
  }

  /** The commands are done with what is committed next. */
  function fulfil(run: LeasedRun, which: (command: RunCommandRow) => boolean): void {
    const done = run.commands.filter(which)
    if (done.length === 0) return
    run.commands = run.commands.filter((command) => !which(command))
    const batch = commits.pending()
    for (const { run_command_id } of done) {
      batch.changes.commandsDone.push(run_command_id)
      run.commandsDone.add(run_command_id)
    }
    batch.isUrgent = true
    commits.added()
  }

  function applyCommands(run: LeasedRun): void {
    for (const command of [...run.commands]) {
      if (mustWait(run)) return
      if (command.command === 'cancel') cancel(run, command)
      else clear(run, command)
    }
  }

  function cancel(run: LeasedRun, command: RunCommandRow): void {
    // It ended before anybody looked: there is nothing to cancel, and it stays as it ended.
    if (run.state.state !== 'running') fulfil(run, (one) => one === command)
    else if (!run.state.isCancelled) happen(run, { type: 'cancel', reason: 'cancelled' })
  }

  /** Clears once the attempts of the tasks that are asked for have ended; those that run are told to. */
  function clear(run: LeasedRun, command: RunCommandRow): void {
    // Ending, it has its own way with every task; when it has ended, the command is taken up again.
    if (run.state.isCancelled && run.state.state === 'running') return
    const { numberOf, tasks: manifests } = run.version.graph
    const tasks = (command.arguments.task_ids ?? []).flatMap((taskId) => numberOf.get(taskId) ?? [])
    const active = tasks.filter((task) => run.attempts.has(task))
    for (const task of active) {
      const { tryNumber } = run.attempts.get(task)!
      const id = attemptId(run.row.dag_run_id, manifests[task]!.task_id, notMapped, tryNumber)
      for (const executor of executors.values()) executor.cancel(id, 'cancelled')
    }
    if (active.length > 0) return
    fulfil(run, (one) => one === command)
    happen(run, { type: 'clear', tasks })
  }

  function add(run: LeasedRun): void {
    const { dag_run_id, start_date } = run.row
    runs.set(dag_run_id, run)
    for (const [task, { tryNumber }] of run.attempts) {
      const { task_id } = run.version.graph.tasks[task]!
      dispatched.set(attemptId(dag_run_id, task_id, notMapped, tryNumber), { run, task })
    }
    // What was asked of it comes first: a cancelled run starts nothing, and one that had ended is to be cleared.
    applyCommands(run)
    if (run.state.state !== 'running' && run.uncommitted === 0) {
      releaseUnchanged(run)
      return
    }
    if (!run.isExclusive) happen(run, { type: 'leased' })
    else waitFor(run, () => happen(run, { type: 'leased' }))
    for (const [task, at] of run.retriesAt) retryAt(run, task, at)
    const timeoutMs = run.version.graph.manifest.dagrun_timeout_ms
    if (timeoutMs === null || start_date === null) return
    // One that had ended begins anew now, as its start_date does with the commit.
    const startMs = run.row.state === 'running' ? start_date.getTime() : Date.now()
    run.cancelTimeout = timers.set(startMs + timeoutMs, () => {
      if (runs.get(dag_run_id) !== run) return
      whenCommitted(run, () => happen(run, { type: 'cancel', reason: 'run_timeout' }))
    })
  }

  /** A run that had ended and stays as it ended is given back. */
  function releaseUnchanged(run: LeasedRun): void {
    const state = run.state.state === 'failed' ? 'failed' : 'success'
    addChanges(commits.pending(), run, [{ type: 'run', state }], { defaultExecutor })
    commits.added()
  }

  function report(received: ExecutorReport): void {
    const place = dispatched.get(received.attempt_id)
    if (!place) return
    const { run, task } = place
    if (received.type === 'finish') dispatched.delete(received.attempt_id)
    if (run.isExclusive || waiting.has(run)) waitFor(run, () => take(run, task, received))
    else take(run, task, received)
  }

  function take(run: LeasedRun, task: number, received: ExecutorReport): void {
    const attempt = run.attempts.get(task)
    if (attempt?.token !== received.token) return
    const { tryNumber } = attempt
    const { hostname, pid, start_ms: startMs } = received
    if (received.type === 'start') {
      const started = { startMs, endMs: startMs, hostname, pid, exitCode: null, error: null, result: null }
      happen(run, { type: 'attempt_started', task, tryNumber }, started)
      return
    }
    const { state, retryable, result, exit_code: exitCode, end_ms: endMs } = received
    // Words of others may be part of it: of the cluster, of a container.
    const error = received.error && storableError(received.error)
    if (state === 'success' && result !== null && run.version.isInput[task]) run.results.set(task, result)
    const finished = { startMs, endMs, hostname, pid, exitCode, error, result }
    const infrastructure = received.isInfrastructure ? deps.infrastructureBudget : null
    happen(run, { type: 'attempt_finished', task, tryNumber, state, retryable, infrastructure }, finished)
  }

  return {
    start: () => commits.start(),
    add(added) {
      for (const run of added) add(run)
    },
    report,
    setCommands(commands) {
      for (const [dagRunId, list] of Map.groupBy(commands, (command) => command.dag_run_id)) {
        const run = runs.get(dagRunId)
        if (!run) continue
        // The list may have been read before the commit that deletes what is done.
        run.commands = list.filter((command) => !run.commandsDone.has(command.run_command_id))
        whenCommitted(run, () => applyCommands(run))
      }
    },
    runIds: () => [...runs.keys()],
    committedUntil: () =>
      Math.min(commits.committedUntil(), ...[...waiting.values()].map(({ since }) => since)),
    async stop(timeoutMs) {
      timers.clear()
      await commits.stop(timeoutMs)
    },
  }
}
