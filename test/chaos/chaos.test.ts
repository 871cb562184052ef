// kill -9 of everything, again and again, under load; then every run has finished, and nothing was lost, doubled
// or left behind. CHAOS_KILLS says how many kills, CHAOS_SEED repeats a choice of victims and pauses.
import { expect, test } from 'vitest'
import { dagsLoaded, whileAway } from '../support/deployment.ts'
import { eventually } from '../support/eventually.ts'
import { chaosDagIds } from './chaos-dags.ts'
import { runChaosRounds } from './chaos-rounds.ts'
import { startChaosSystem } from './chaos-system.ts'
import { findFaults, findOrphans } from './find-faults.ts'
import { createSeededRandom } from './seeded-random.ts'

const kills = Number(process.env.CHAOS_KILLS || 12)
const seed = Number(process.env.CHAOS_SEED || Date.now() % 1_000_000)
/** For all that was triggered, after the last kill. */
const finishMs = 60_000

test(
  `after ${kills} kills every run has finished, nothing twice, nothing lost`,
  async () => {
    await using system = await startChaosSystem()
    const { deployment } = system
    try {
      await dagsLoaded(deployment, chaosDagIds.length)
      const report = await runChaosRounds(system, createSeededRandom(seed), kills)
      await eventually(
        'the end of all runs',
        () =>
          whileAway(async () => {
            const { rows } = await deployment.db.query('select 1 from dag_run where end_date is null limit 1')
            return rows.length === 0
          }),
        finishMs,
      )
      console.info(JSON.stringify({ seed, ...report, runs: report.runs.length }))
      expect(await findFaults(deployment)).toEqual([])
      await eventually('the end of orphans', () => findOrphans(deployment).length === 0, 5_000).catch(() => {
        expect(findOrphans(deployment)).toEqual([])
      })
      await system.supervisor.stop()
      expect(deployment.processes()).toEqual([])
    } catch (error) {
      deployment.keepFiles()
      console.error(`CHAOS_SEED=${seed}; the state is kept in ${deployment.directory}`)
      throw error
    }
  },
  120_000 + kills * 3_000,
)
