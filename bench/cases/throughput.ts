// (d) Twenty Dags, ten runs of each, five tasks in a row in every run, all started at once: tasks a second, each
// state change durable. The runs are triggered while the Dags are paused, so that what is measured is running them
// and not inserting them; unpausing all in one statement is the start.
import { availableParallelism } from 'node:os'
import type { Database } from '../../scheduler/database/connection.ts'
import { channel } from '../../scheduler/database/notifications.ts'
import { triggerRun } from '../../scheduler/database/trigger-run.ts'
import { chainsWorkload, startBareLoop } from '../floor/bare-loop.ts'
import type { BenchCase } from '../support/bench-case.ts'
import { chainsModule } from '../support/dag-modules.ts'
import { nextRunId } from '../support/dag-runs.ts'
import { inTurn } from '../support/rounds.ts'
import { startSystem } from '../support/system.ts'
import { waitUntil } from '../support/wait-until.ts'

const dagCount = 20
const runsOfDag = 10
const tasksOfRun = 5
const runCount = dagCount * runsOfDag
const taskCount = runCount * tasksOfRun

export const throughput: BenchCase = {
  letter: 'd',
  name: 'throughput',
  async measure(context) {
    const { signal, isQuick } = context
    const slots = availableParallelism()
    const dagIds = Array.from({ length: dagCount }, (_, n) => `chain-${n}`)
    const modules = Object.fromEntries(
      dagIds.map((dagId) => [
        `${dagId}.ts`,
        chainsModule(dagId, { chains: 1, length: tasksOfRun, isPaused: true }),
      ]),
    )
    await using system = await startSystem(context, { modules, slots })
    await using loop = await startBareLoop(context, { workers: slots })
    const workload = chainsWorkload(runCount, tasksOfRun, 'nothing')
    const rounds = await inTurn({
      rounds: isQuick ? 2 : 15,
      warmUp: isQuick ? 1 : 5,
      signal,
      async measure() {
        const lastRunId = await prepareRuns(system.db, dagIds)
        return taskCount / (await runAll(system.db, lastRunId, signal))
      },
      floor: async () => (taskCount / (await loop.run(workload)).elapsedMs) * 1_000,
    })
    const settings = {
      slots,
      dags: dagCount,
      runs_of_dag: runsOfDag,
      tasks_of_run: tasksOfRun,
      task: 'no-op',
    }
    return [{ name: 'd-throughput', unit: 'tasks/s', ...rounds, target: '12,000 tasks/s', settings }]
  },
}

/** Queues all runs of paused Dags. @returns the newest dag_run_id before them */
async function prepareRuns(db: Database, dagIds: readonly string[]): Promise<number> {
  await db.query('update dag set is_paused = true')
  const { rows } = await db.query<{ newest: number }>(
    'select coalesce(max(dag_run_id), 0) as newest from dag_run',
  )
  for (const dagId of dagIds) {
    for (let run = 0; run < runsOfDag; run += 1) {
      await triggerRun(db, { dagId, runId: nextRunId(), actor: 'bench' })
    }
  }
  return rows[0]!.newest
}

/** Unpauses all Dags. @returns seconds until the last run had ended, by Postgres' clock */
async function runAll(db: Database, afterRunId: number, signal: AbortSignal): Promise<number> {
  const { rows } = await db.query<{ began: string }>(
    `with unpaused as (update dag set is_paused = false returning dag_id)
     select clock_timestamp()::text as began, pg_notify($1, 'runs') from unpaused limit 1`,
    [channel],
  )
  return await waitUntil('end of all runs', { everyMs: 15, signal }, async () => {
    const seen = await db.query<{ ended: number; failed: number; seconds: number }>(
      `select count(*) filter (where end_date is not null) as ended,
         count(*) filter (where state = 'failed') as failed,
         extract(epoch from max(end_date) - $2::timestamptz)::float8 as seconds
       from dag_run where dag_run_id > $1`,
      [afterRunId, rows[0]!.began],
      'end-of-all-runs',
    )
    const { ended, failed, seconds } = seen.rows[0]!
    if (failed > 0) throw new Error(`${failed} runs failed`)
    return ended === runCount ? seconds : undefined
  })
}
