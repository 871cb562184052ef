// Takes runs that this scheduler has just leased into its engine: new ones as they are, others with what the
// database has of them, and with certainty about the attempts that a scheduler before had dispatched.
import { attemptId } from '../../runtime/ids.ts'
import type { Logger } from '../../runtime/log.ts'
import { attemptLogPath } from '../../runtime/log-line.ts'
import type { Database } from '../database/connection.ts'
import type { DagRunRow } from '../database/rows.ts'
import { readRunCommands } from '../database/run-commands.ts'
import { type ActiveAttemptRow, adoptAttempts, readRunRows } from '../database/run-rows.ts'
import { endedWithoutRunner } from '../executors/ended-without-runner.ts'
import type { Adoption, DispatchOrder, Executor, ExecutorReport, Orphan } from '../executors/executor.ts'
import { createLeasedRun, dispatchOrder, type LeasedRun } from './leased-run.ts'
import type { RunEngine } from './run-engine.ts'
import type { VersionCache } from './version-cache.ts'

export interface TakeRunsDeps {
  db: Database
  schedulerId: number
  engine: RunEngine
  versions: VersionCache
  executors: ReadonlyMap<string, Executor>
  defaultExecutor: string
  logsDir: string
  /** Directory of a commit on this machine; of the plain source directory for null. */
  sourcePathOf: (commitSha: string | null) => string
  log: Logger
}

/** Runs that have no task instance yet. */
export async function takeNewRuns(deps: TakeRunsDeps, rows: readonly DagRunRow[]): Promise<void> {
  const versions = await deps.versions.load(rows.map((row) => row.dag_version_id))
  deps.engine.add(
    rows.map((row) =>
      createLeasedRun({
        row,
        version: versions.get(row.dag_version_id)!,
        sourcePath: deps.sourcePathOf(row.commit_sha),
      }),
    ),
  )
}

/** Runs that were begun before: by a scheduler that is gone, or that ended and are to be changed. */
export async function takeBegunRuns(deps: TakeRunsDeps, rows: readonly DagRunRow[]): Promise<void> {
  const ids = rows.map((row) => row.dag_run_id)
  const [versions, runRows, commands] = await Promise.all([
    deps.versions.load(rows.map((row) => row.dag_version_id)),
    readRunRows(deps.db, ids),
    readRunCommands(deps.db, deps.schedulerId),
  ])
  const taskInstances = Map.groupBy(runRows.taskInstances, (row) => row.dag_run_id)
  const activeAttempts = Map.groupBy(runRows.activeAttempts, (row) => row.dag_run_id)
  const results = Map.groupBy(runRows.results, (row) => row.dag_run_id)
  const runs = new Map(
    rows.map((row) => [
      row.dag_run_id,
      createLeasedRun({
        row,
        version: versions.get(row.dag_version_id)!,
        sourcePath: deps.sourcePathOf(row.commit_sha),
        commands: commands.filter((command) => command.dag_run_id === row.dag_run_id),
        rows: {
          taskInstances: taskInstances.get(row.dag_run_id) ?? [],
          activeAttempts: activeAttempts.get(row.dag_run_id) ?? [],
          results: results.get(row.dag_run_id) ?? [],
        },
      }),
    ]),
  )
  const adopted = await adopt(deps, runs, runRows.activeAttempts)
  deps.engine.add([...runs.values()])
  for (const report of adopted.reports) deps.engine.report(report)
  for (const follow of adopted.follows) follow()
  for (const [executor, orders] of adopted.orders) executor.dispatch(orders)
}

interface Adopted {
  reports: ExecutorReport[]
  follows: (() => void)[]
  orders: Map<Executor, DispatchOrder[]>
}

/** Asks each executor what became of the attempts that an earlier scheduler gave it. */
async function adopt(
  deps: TakeRunsDeps,
  runs: ReadonlyMap<number, LeasedRun>,
  attempts: readonly ActiveAttemptRow[],
): Promise<Adopted> {
  const adopted: Adopted = { reports: [], follows: [], orders: new Map() }
  const byId = new Map(attempts.map((row) => [idOf(row), row]))
  const notBegun: ActiveAttemptRow[] = []
  for (const group of Map.groupBy(attempts, (row) => `${row.scheduler_id} ${row.executor}`).values()) {
    const { scheduler_id, executor: name } = group[0]!
    const executor = deps.executors.get(name)
    if (scheduler_id === deps.schedulerId && executor) {
      // Adopted before, when Postgres went away before the answer: it was dispatched nowhere since.
      notBegun.push(...group)
      continue
    }
    const adoptions: Adoption[] = executor
      ? await executor.adopt(
          scheduler_id,
          group.map((row) => orphanOf(deps, runs.get(row.dag_run_id)!, row)),
        )
      : group.map((row) => ({
          attempt_id: idOf(row),
          fate: 'lost',
          error: {
            name: 'AttemptLost',
            message: `there is no executor '${name}' here any more`,
            stack: null,
          },
        }))
    for (const adoption of adoptions) {
      const row = byId.get(adoption.attempt_id)!
      if (adoption.fate === 'not_begun') notBegun.push(row)
      else if (adoption.fate === 'running') adopted.follows.push(adoption.follow)
      else if (adoption.fate === 'finished') adopted.reports.push(adoption.report)
      else if (adoption.fate === 'lost')
        adopted.reports.push(endedWithoutRunner({ attempt_id: idOf(row), token: row.token }, adoption.error))
    }
    const fates = Map.groupBy(adoptions, (adoption) => adoption.fate)
    deps.log.warn(
      {
        scheduler_id,
        executor: name,
        ...Object.fromEntries([...fates].map(([fate, list]) => [fate, list.length])),
      },
      'adopted attempts of a scheduler that is gone',
    )
  }
  await adoptAttempts(deps.db, deps.schedulerId, notBegun)
  for (const row of notBegun) {
    const run = runs.get(row.dag_run_id)!
    const executor = deps.executors.get(row.executor)!
    const order = dispatchOrder(run, run.version.graph.numberOf.get(row.task_id)!, deps.logsDir)
    const orders = adopted.orders.get(executor)
    if (orders) orders.push(order)
    else adopted.orders.set(executor, [order])
  }
  return adopted
}

function idOf(row: ActiveAttemptRow): string {
  return attemptId(row.dag_run_id, row.task_id, row.map_index, row.try_number)
}

function orphanOf({ logsDir }: TakeRunsDeps, leased: LeasedRun, row: ActiveAttemptRow): Orphan {
  const { row: run, version } = leased
  const { task_id, map_index, try_number, token } = row
  const task = version.graph.numberOf.get(task_id)!
  const place = { dag_id: run.dag_id, run_id: run.run_id, task_id, map_index, try_number }
  return {
    attempt_id: idOf(row),
    token,
    dag_run_id: row.dag_run_id,
    place,
    task: version.graph.tasks[task]!,
    log_path: attemptLogPath(logsDir, place),
    order: () => dispatchOrder(leased, task, logsDir).order,
  }
}
