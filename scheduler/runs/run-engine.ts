// The heart of a scheduler: events of the runs that it leases go through `decide`, what was decided since the last
// commit is committed together, and only then acted on. While one commit is under way, what comes gathers for the
// next; so the busier it is, the more each commit carries, and an idle one commits at once.
//
// Memory runs ahead of the database by at most what is pending and under way. Where a commit is refused (the
// lease is lost), memory is worth nothing any more: the engine stops and says so, and its owner begins anew.
import { setTimeout as delay } from 'node:timers/promises'
import { DatabaseUnavailableError, messageOf } from '../../runtime/errors.ts'
import type { Logger } from '../../runtime/log.ts'
import { type CommitRefusal, commitChanges, commitRefusal } from '../database/commit-changes.ts'
import type { Connection, Database } from '../database/connection.ts'
import type { RunCommandRow } from '../database/run-commands.ts'
import { decide, type RunEvent } from '../decide/decide.ts'
import type { DispatchOrder, Executor, ExecutorReport } from '../executors/executor.ts'
import {
  type Act,
  type AttemptReport,
  addChanges,
  createPendingBatch,
  type PendingBatch,
} from './change-batch.ts'
import { attemptId, dispatchOrder, type LeasedRun, notMapped } from './leased-run.ts'

/** Starts alone wait so long for company: most tasks are over by then, and one write tells both. */
const startDelayMs = 10
const retryCommitMinMs = 50
const retryCommitMaxMs = 1_000
/** What setTimeout can wait for; a later time is waited for in several steps. */
const maxTimerMs = 2 ** 31 - 1

export interface RunEngine {
  /** Opens its connection. @throws DatabaseUnavailableError */
  start(): Promise<void>
  /** Takes runs whose lease this scheduler has, and decides what can be done at once. */
  add(runs: readonly LeasedRun[]): void
  /** A report of an executor; one that is not of a current attempt changes nothing. */
  report(report: ExecutorReport): void
  /** Everything that is asked of a leased run by now. */
  setCommands(commands: readonly RunCommandRow[]): void
  /** Milliseconds since the epoch: all reports taken before are committed. */
  committedUntil(): number
  /** Ids of leased runs. */
  runIds(): number[]
  /** Commits of runs that are leased, for the worktrees that must stay. */
  commits(): Set<string>
  /** Commits what is pending, and closes. Waits for a database that is away no longer than `timeoutMs`. */
  stop(timeoutMs: number): Promise<void>
}

export function createRunEngine(deps: {
  db: Database
  schedulerId: number
  leaseTtlMs: number
  logsDir: string
  executors: ReadonlyMap<string, Executor>
  defaultExecutor: string
  /** The lease is lost or the rows are not as they were left: this engine is over. Called once. */
  onRefused: (refusal: CommitRefusal, error: unknown) => void
  /** After each commit, with the runs that it changed, and whether one of them ended. */
  onCommitted: (commit: { dagRunIds: number[]; hasEnded: boolean }) => void
  log: Logger
}): RunEngine {
  const { db, schedulerId, leaseTtlMs, logsDir, executors, defaultExecutor, log } = deps
  const runs = new Map<number, LeasedRun>()
  /** Attempt → where it belongs, from its dispatch to its end. */
  const dispatched = new Map<string, { run: LeasedRun; task: number }>()
  const afterCommit = new Map<LeasedRun, (() => void)[]>()
  const timers = new Set<NodeJS.Timeout>()
  let pending = createPendingBatch()
  let pendingSince = 0
  let underWaySince: number | undefined
  let commitNumber = 0
  let connection: Connection | undefined
  let isCommitting = false
  let isOver = false
  let startTimer: NodeJS.Timeout | undefined

  function happen(run: LeasedRun, event: RunEvent, report?: AttemptReport): void {
    if (isOver) return
    const changes = decide(run.state, event)
    if (changes.length === 0) return
    if (pending.runs.size === 0) pendingSince = Date.now()
    addChanges(pending, run, changes, { defaultExecutor, ...(report && { report }) })
    const isEnded = changes.some((change) => change.type === 'run' && change.state !== 'running')
    // A cancellation is fulfilled when the run has ended, by itself or by it.
    if (isEnded) finishCommands(run, (command) => command.command === 'cancel')
    if (pending.isUrgent) kick()
    else startTimer ??= setTimeout(onStartTimer, startDelayMs)
  }

  function onStartTimer(): void {
    startTimer = undefined
    kick()
  }

  let isKicked = false
  function kick(): void {
    if (isKicked || isCommitting) return
    isKicked = true
    // After everything that this turn of the event loop brings: reports come in chunks.
    setImmediate(() => {
      isKicked = false
      void commitPending()
    })
  }

  async function commitPending(): Promise<void> {
    if (isCommitting) return
    isCommitting = true
    while (!isOver && pending.runs.size > 0) {
      const batch = pending
      underWaySince = pendingSince
      pending = createPendingBatch()
      batch.changes.started = [...batch.started.values()]
      commitNumber += 1
      if (!(await commitUntilMade(batch))) return
      underWaySince = undefined
      act(batch.acts)
      settle(batch)
      deps.onCommitted({
        dagRunIds: [...batch.runs.keys()].map((run) => run.row.dag_run_id),
        hasEnded: batch.acts.some((one) => one.type === 'release'),
      })
    }
    isCommitting = false
  }

  /** @returns false where it was refused for good */
  async function commitUntilMade(batch: PendingBatch): Promise<boolean> {
    let waitMs = retryCommitMinMs
    for (;;) {
      try {
        connection ??= await db.connect(() => {
          connection = undefined
        })
        await commitChanges(connection, { schedulerId, commitNumber, leaseTtlMs, batch: batch.changes })
        if (waitMs > retryCommitMinMs) log.info('postgres is back, waiting changes are committed')
        return true
      } catch (error) {
        if (isOver) return false
        if (!(error instanceof DatabaseUnavailableError)) {
          isOver = true
          deps.onRefused(commitRefusal(error) ?? 'inconsistent', error)
          return false
        }
        if (waitMs === retryCommitMinMs) {
          log.warn({ error: messageOf(error) }, 'postgres is away, changes wait for it')
        }
        void connection?.close()
        connection = undefined
        await delay(waitMs)
        waitMs = Math.min(waitMs * 2, retryCommitMaxMs)
      }
    }
  }

  function act(acts: readonly Act[]): void {
    const orders = new Map<string, DispatchOrder[]>()
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
          runs.delete(one.run.row.dag_run_id)
          break
      }
    }
    for (const [name, batch] of orders) executors.get(name)!.dispatch(batch)
  }

  function addOrder(
    orders: Map<string, DispatchOrder[]>,
    run: LeasedRun,
    task: number,
    tryNumber: number,
  ): void {
    const attempt = run.attempts.get(task)
    if (attempt?.tryNumber !== tryNumber) return
    const name = run.version.graph.tasks[task]!.executor ?? defaultExecutor
    const order = dispatchOrder(run, task, logsDir)
    dispatched.set(order.order.attempt_id, { run, task })
    if (!executors.has(name)) {
      failUndispatched(
        order,
        `there is no executor '${name}' here; there is ${[...executors.keys()].join(', ')}`,
      )
      return
    }
    const batch = orders.get(name)
    if (batch) batch.push(order)
    else orders.set(name, [order])
  }

  function failUndispatched({ order }: DispatchOrder, message: string): void {
    const now = Date.now()
    engine.report({
      type: 'finish',
      attempt_id: order.attempt_id,
      token: order.token,
      state: 'failed',
      retryable: false,
      result: null,
      error: { name: 'ConfigError', message, stack: null },
      exit_code: null,
      start_ms: now,
      end_ms: now,
      hostname: null,
      pid: null,
    })
  }

  function retryAt(run: LeasedRun, task: number, at: number): void {
    const { tryNumber } = run.state.tasks[task]!
    after(at - Date.now(), () => {
      const isSame = run.state.tasks[task]!.tryNumber === tryNumber && runs.has(run.row.dag_run_id)
      if (isSame) whenCommitted(run, () => happen(run, { type: 'retry_due', task }))
    })
  }

  function after(ms: number, callback: () => void): void {
    const timer = setTimeout(
      () => {
        timers.delete(timer)
        if (ms > maxTimerMs) after(ms - maxTimerMs, callback)
        else callback()
      },
      Math.max(0, Math.min(ms, maxTimerMs)),
    )
    timers.add(timer)
  }

  function settle(batch: PendingBatch): void {
    for (const [run, count] of batch.runs) {
      run.uncommitted -= count
      if (run.commands.length > 0) whenCommitted(run, () => applyCommands(run))
      const waiting = afterCommit.get(run)
      if (run.uncommitted > 0 || !waiting) continue
      afterCommit.delete(run)
      for (const callback of waiting) whenCommitted(run, callback)
    }
  }

  /** Calls back when no change of the run is uncommitted: a task may stand only once in a commit. */
  function whenCommitted(run: LeasedRun, callback: () => void): void {
    if (run.uncommitted === 0) callback()
    else if (afterCommit.has(run)) afterCommit.get(run)!.push(callback)
    else afterCommit.set(run, [callback])
  }

  function finishCommands(run: LeasedRun, which: (command: RunCommandRow) => boolean): void {
    for (const { run_command_id } of run.commands.filter(which)) {
      pending.changes.commandsDone.push(run_command_id)
      run.commandsDone.add(run_command_id)
    }
    run.commands = run.commands.filter((command) => !which(command))
  }

  function applyCommands(run: LeasedRun): void {
    for (const command of [...run.commands]) {
      if (command.command === 'cancel') {
        if (!run.state.isCancelled) happen(run, { type: 'cancel', reason: 'cancelled' })
      } else clear(run, command)
      if (run.uncommitted > 0) return
    }
  }

  /** Clears once the attempts of the tasks that are asked for have ended; those that run are told to. */
  function clear(run: LeasedRun, command: RunCommandRow): void {
    const { numberOf } = run.version.graph
    const tasks = (command.arguments.task_ids ?? []).flatMap((taskId) => numberOf.get(taskId) ?? [])
    const active = tasks.filter((task) => run.attempts.has(task))
    for (const task of active) {
      const id = attemptId(
        run.row.dag_run_id,
        run.version.graph.tasks[task]!.task_id,
        notMapped,
        run.attempts.get(task)!.tryNumber,
      )
      for (const executor of executors.values()) executor.cancel(id, 'cancelled')
    }
    if (active.length > 0) return
    if (pending.runs.size === 0) pendingSince = Date.now()
    pending.runs.set(run, pending.runs.get(run) ?? 0)
    pending.isUrgent = true
    finishCommands(run, (one) => one === command)
    happen(run, { type: 'clear', tasks })
    kick()
  }

  const engine: RunEngine = {
    async start() {
      connection = await db.connect(() => {
        connection = undefined
      })
    },
    add(added) {
      for (const run of added) {
        runs.set(run.row.dag_run_id, run)
        for (const [task, { tryNumber }] of run.attempts) {
          const { task_id } = run.version.graph.tasks[task]!
          dispatched.set(attemptId(run.row.dag_run_id, task_id, notMapped, tryNumber), { run, task })
        }
        // What was asked of it comes first: a run that had ended would end again before it could be cleared.
        applyCommands(run)
        happen(run, { type: 'leased' })
        for (const [task, at] of run.retriesAt) retryAt(run, task, at)
        const timeoutMs = run.version.graph.manifest.dagrun_timeout_ms
        if (timeoutMs !== null && run.row.start_date) {
          after(run.row.start_date.getTime() + timeoutMs - Date.now(), () => {
            if (runs.get(run.row.dag_run_id) !== run) return
            whenCommitted(run, () => happen(run, { type: 'cancel', reason: 'timeout' }))
          })
        }
      }
    },
    report(report) {
      const place = dispatched.get(report.attempt_id)
      if (!place) return
      const { run, task } = place
      const attempt = run.attempts.get(task)
      if (attempt?.token !== report.token) return
      const { tryNumber } = attempt
      if (report.type === 'start') {
        happen(
          run,
          { type: 'attempt_started', task, tryNumber },
          {
            startMs: report.start_ms,
            endMs: report.start_ms,
            hostname: report.hostname,
            pid: report.pid,
            exitCode: null,
            error: null,
            result: null,
          },
        )
        return
      }
      dispatched.delete(report.attempt_id)
      const { state, retryable, result } = report
      if (state === 'success' && result !== null && run.version.isInput[task]) run.results.set(task, result)
      happen(
        run,
        { type: 'attempt_finished', task, tryNumber, state, retryable },
        {
          startMs: report.start_ms,
          endMs: report.end_ms,
          hostname: report.hostname,
          pid: report.pid,
          exitCode: report.exit_code,
          error: report.error,
          result,
        },
      )
    },
    setCommands(commands) {
      for (const [dagRunId, list] of Map.groupBy(commands, (command) => command.dag_run_id)) {
        const run = runs.get(dagRunId)
        if (!run) continue
        // The list may have been read before the commit that deletes what is done.
        run.commands = list.filter((command) => !run.commandsDone.has(command.run_command_id))
        whenCommitted(run, () => applyCommands(run))
      }
    },
    committedUntil() {
      return underWaySince ?? (pending.runs.size > 0 ? pendingSince : Date.now())
    },
    runIds: () => [...runs.keys()],
    commits: () => new Set([...runs.values()].flatMap((run) => run.row.commit_sha ?? [])),
    async stop(timeoutMs) {
      const deadline = Date.now() + timeoutMs
      clearTimeout(startTimer)
      for (const timer of timers) clearTimeout(timer)
      kick()
      while (!isOver && (isCommitting || isKicked || pending.runs.size > 0) && Date.now() < deadline) {
        await delay(2)
      }
      isOver = true
      await connection?.close()
    },
  }
  return engine
}
