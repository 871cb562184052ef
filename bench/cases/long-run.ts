// (h) One run of ten thousand tasks: whether the last task costs what the first did. Two shapes, since they load
// different parts: a hundred rows of a hundred (each end decides the next task), and all at once under a limit
// (a long line of tasks that are ready and wait).
import { availableParallelism } from 'node:os'
import type { Database } from '../../scheduler/database/connection.ts'
import { type BareLoop, chainsWorkload, startBareLoop } from '../floor/bare-loop.ts'
import type { BareWorkload } from '../floor/protocol.ts'
import type { BenchCase, BenchContext, Measurement } from '../support/bench-case.ts'
import { chainsModule } from '../support/dag-modules.ts'
import { runOnce } from '../support/dag-runs.ts'
import { inTurn } from '../support/rounds.ts'
import { type System, startSystem } from '../support/system.ts'

const taskCount = 10_000
/** Tasks at the beginning, and at the end, over which the cost of one is taken. */
const edgeCount = 1_000
const maxActiveTasks = 256

const shapes = {
  rows: { dagId: 'rows', chains: 100, length: 100 },
  wide: { dagId: 'wide', chains: taskCount, length: 1 },
} as const

export const longRun: BenchCase = {
  letter: 'h',
  name: 'run-of-10000',
  async measure(context) {
    const slots = availableParallelism()
    const modules = Object.fromEntries(
      Object.values(shapes).map((shape) => [
        `${shape.dagId}.ts`,
        chainsModule(shape.dagId, { ...shape, maxActiveTasks }),
      ]),
    )
    await using system = await startSystem(context, { modules, slots })
    await using loop = await startBareLoop(context, { workers: slots })
    const measurements: Measurement[] = []
    for (const { dagId, chains, length } of Object.values(shapes)) {
      const settings = {
        slots,
        max_active_tasks: maxActiveTasks,
        shape: `${chains} × ${length}`,
        task: 'no-op',
      }
      const workload = chainsWorkload(chains, length, 'nothing', maxActiveTasks)
      const edges = await measureShape(context, { system, loop, dagId, workload })
      for (const [edge, rounds] of Object.entries(edges)) {
        measurements.push({
          name: `h-run-of-10000-${dagId}-${edge}-1000`,
          unit: 'µs/task',
          ...rounds,
          target: edge === 'last' ? 'as the first' : null,
          settings,
        })
      }
    }
    return measurements
  },
}

interface Edges {
  first: { values: number[]; floors: number[] }
  last: { values: number[]; floors: number[] }
}

async function measureShape(
  { signal, isQuick, progress }: BenchContext,
  parts: { system: System; loop: BareLoop; dagId: string; workload: BareWorkload },
): Promise<Edges> {
  const { system, loop, dagId, workload } = parts
  const last: { values: number[]; floors: number[] } = { values: [], floors: [] }
  const warmUp = isQuick ? 0 : 1
  const first = await inTurn({
    rounds: isQuick ? 1 : 5,
    warmUp,
    signal,
    async measure(round) {
      const { dagRunId, durationMs } = await runOnce(system.db, dagId, signal)
      progress(`${dagId}: ${Math.round(durationMs)} ms for all`)
      const costs = edgeCosts(await endsOf(system.db, dagRunId))
      if (round >= 0) last.values.push(costs.last)
      return costs.first
    },
    async floor(round) {
      const costs = edgeCosts((await loop.run(workload)).endsMs)
      if (round >= 0) last.floors.push(costs.last)
      return costs.first
    },
  })
  return { first, last }
}

/** When each task's end was committed, in milliseconds since its run was begun, in order. */
async function endsOf(db: Database, dagRunId: number): Promise<number[]> {
  const { rows } = await db.query<{ ms: number }>(
    `select (extract(epoch from pg_xact_commit_timestamp(t.xmin) - r.start_date) * 1000)::float8 as ms
     from task_instance t join dag_run r using (dag_run_id) where dag_run_id = $1 order by 1`,
    [dagRunId],
  )
  return rows.map(({ ms }) => ms)
}

/** Microseconds a task, over the first and over the last thousand. */
function edgeCosts(endsMs: readonly number[]): { first: number; last: number } {
  const microseconds = (ms: number) => (ms * 1_000) / edgeCount
  return {
    first: microseconds(endsMs[edgeCount - 1]!),
    last: microseconds(endsMs.at(-1)! - endsMs.at(-1 - edgeCount)!),
  }
}
