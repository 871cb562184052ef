// Breaks the system under load: so many kills, with pauses of random length between them, while new runs are
// triggered and new commits pushed all the time. Now and then a scheduler is only paused, for longer than a lease.
import { setTimeout as delay } from 'node:timers/promises'
import { kill, whileAway } from '../support/deployment.ts'
import { chaosDagIds, chaosModules } from './chaos-dags.ts'
import type { ChaosSystem, ProgramName } from './chaos-system.ts'
import type { SeededRandom } from './seeded-random.ts'

/** Victims by how often they are chosen. */
const victims: readonly (ProgramName | 'task runner')[] = [
  ...(['scheduler-1', 'scheduler-2'] as const),
  ...(['task runner', 'task runner', 'task runner', 'task runner', 'task runner'] as const),
  ...(['postgres', 'sync', 'web'] as const),
]
/** Some kills come at once after another, some leave time for a takeover. */
const longestPauseMs = 1_400
/** One kill in so many comes after a pause of a scheduler, or a push. */
const killsPerPause = 6
const killsPerPush = 9
/** Longer than a lease and a takeover; nothing is killed meanwhile, so that both come about. */
const schedulerPauseMs = [2_000, 3_500] as const
/** More unfinished runs than this add nothing to the load. */
const mostUnfinishedRuns = 16
const triggerEveryMs = 60

export interface ChaosReport {
  runs: { dagId: string; runId: string }[]
  /** Victim → how often it was killed. */
  kills: Record<string, number>
  pauses: number
  pushes: number
}

export async function runChaosRounds(
  system: ChaosSystem,
  random: SeededRandom,
  kills: number,
): Promise<ChaosReport> {
  const report: ChaosReport = { runs: [], kills: {}, pauses: 0, pushes: 0 }
  const over = new AbortController()
  const load = makeLoad(system, report, over.signal)
  for (let made = 0; made < kills; ) {
    await delay(random.next() ** 2 * longestPauseMs)
    if (random.between(1, killsPerPause) === 1) await pauseScheduler(system, random, report)
    if (random.between(1, killsPerPush) === 1) {
      report.pushes += 1
      await system.repository.commit(chaosModules(report.pushes))
    }
    const victim = random.pick(victims)
    const pids = victim === 'task runner' ? system.runners() : [system.pidOf(victim) ?? []].flat()
    if (pids.length === 0) continue
    kill(random.pick(pids), 'SIGKILL')
    report.kills[victim] = (report.kills[victim] ?? 0) + 1
    made += 1
  }
  over.abort()
  await load
  return report
}

/** A scheduler that others take for dead, and that then goes on. */
async function pauseScheduler(system: ChaosSystem, random: SeededRandom, report: ChaosReport): Promise<void> {
  const pid = system.pidOf(random.pick(['scheduler-1', 'scheduler-2'] as const))
  if (pid === undefined) return
  report.pauses += 1
  kill(pid, 'SIGSTOP')
  await delay(random.between(...schedulerPauseMs))
  kill(pid, 'SIGCONT')
}

async function makeLoad(system: ChaosSystem, report: ChaosReport, signal: AbortSignal): Promise<void> {
  const { db, trigger } = system.deployment
  while (!signal.aborted) {
    const { rows } = await whileAway(() =>
      db.query<{ n: number }>('select count(*)::integer as n from dag_run where end_date is null'),
    )
    if (rows[0]!.n < mostUnfinishedRuns) {
      const dagId = chaosDagIds[report.runs.length % chaosDagIds.length]!
      const runId = `r${report.runs.length}`
      await trigger(dagId, runId)
      report.runs.push({ dagId, runId })
    }
    await delay(triggerEveryMs)
  }
}
