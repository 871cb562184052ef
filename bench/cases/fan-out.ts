// (c) One task, two hundred at once, one: how a wide step is begun, shared among processes and gathered.
import { availableParallelism } from 'node:os'
import { fanOutWorkload, startBareLoop } from '../floor/bare-loop.ts'
import type { BenchCase } from '../support/bench-case.ts'
import { fanOutModule } from '../support/dag-modules.ts'
import { runOnce } from '../support/dag-runs.ts'
import { inTurn } from '../support/rounds.ts'
import { startSystem } from '../support/system.ts'

const width = 200
const dagId = 'fan-out'

export const fanOut: BenchCase = {
  letter: 'c',
  name: 'fan-out-200',
  async measure(context) {
    const { signal, isQuick } = context
    const slots = availableParallelism()
    await using system = await startSystem(context, {
      modules: { 'fan-out.ts': fanOutModule(dagId, width) },
      slots,
    })
    await using loop = await startBareLoop(context, { workers: slots })
    const workload = fanOutWorkload(width)
    const rounds = await inTurn({
      rounds: isQuick ? 3 : 21,
      warmUp: isQuick ? 1 : 10,
      signal,
      measure: async () => (await runOnce(system.db, dagId, signal)).durationMs,
      floor: async () => (await loop.run(workload)).elapsedMs,
    })
    const settings = { slots, max_active_tasks: width, task: 'no-op' }
    return [{ name: 'c-fan-out-200', unit: 'ms', ...rounds, target: '20 ms', settings }]
  },
}
