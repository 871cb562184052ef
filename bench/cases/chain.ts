// (b) Forty tasks in a row, each fibonacci(10), in one worker process: what one step costs where nothing can be
// shared, neither commits nor messages.
import { chainsWorkload, startBareLoop } from '../floor/bare-loop.ts'
import type { BenchCase } from '../support/bench-case.ts'
import { fibonacciChainModule } from '../support/dag-modules.ts'
import { runOnce } from '../support/dag-runs.ts'
import { inTurn } from '../support/rounds.ts'
import { startSystem } from '../support/system.ts'

const length = 40
const dagId = 'chain'

export const chain: BenchCase = {
  letter: 'b',
  name: 'chain-of-40',
  async measure(context) {
    const { signal, isQuick } = context
    const modules = { 'chain.ts': fibonacciChainModule(dagId, length) }
    await using system = await startSystem(context, { modules, slots: 1 })
    await using loop = await startBareLoop(context, { workers: 1 })
    const workload = chainsWorkload(1, length, 'fibonacci')
    const rounds = await inTurn({
      rounds: isQuick ? 3 : 21,
      warmUp: isQuick ? 1 : 10,
      signal,
      measure: async () => (await runOnce(system.db, dagId, signal)).durationMs,
      floor: async () => (await loop.run(workload)).elapsedMs,
    })
    return [
      {
        name: 'b-chain-of-40',
        unit: 'ms',
        ...rounds,
        target: '30 ms',
        settings: { slots: 1, task: 'fibonacci(10)' },
      },
    ]
  },
}
