// kill -9 of schedulers and servers at random moments while tasks pass through pods, and now and then a scheduler that is
// only paused for longer than its lease: then each task instance has exactly one successful attempt, no pod is left, and
// no log is cut. BRANCHLINE_POD_KILLS says how many kills, BRANCHLINE_POD_TASKS how many tasks, BRANCHLINE_POD_SEED
// repeats a choice of victims and pauses.
import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { createSeededRandom, type SeededRandom } from '../chaos/seeded-random.ts'
import { connectCluster } from '../support/cluster.ts'
import { dagsLoaded, kill, type ProgramProcess } from '../support/deployment.ts'
import { eventually } from '../support/eventually.ts'
import { createKubernetesDeployment, type KubernetesDeployment } from '../support/kubernetes-deployment.ts'
import {
  accountOfPods,
  explainFailure,
  numberedLines,
  podsGone,
  quickRetries,
  taskLines,
} from './pains/pains.ts'

const kills = Number(process.env.BRANCHLINE_POD_KILLS || 20)
const taskCount = Number(process.env.BRANCHLINE_POD_TASKS || kills * 2)
const seed = Number(process.env.BRANCHLINE_POD_SEED || Date.now() % 1_000_000)

const tasksPerRun = 10
const linesPerTask = 30
/** Pods at once: as many as a small machine has room for. */
const runsAtOnce = 2
const longestPauseMs = 1_500
/** Longer than a lease and a takeover. */
const stoppedMs = [2_000, 3_500] as const
const killsPerStop = 7

const files = {
  'dags/crash.ts': `
    import { dag, task } from 'branchline'

    export default dag('crash', { maxActiveRuns: ${runsAtOnce} }, () => {
      for (let t = 0; t < ${tasksPerRun}; t += 1) {
        task('t' + t, { retries: 0 }, async ({ log }) => {
          for (let n = 1; n <= ${linesPerTask}; n += 1) {
            log.info('line ' + n)
            await new Promise((done) => setTimeout(done, t * 5))
          }
          return t
        })
      }
    })`,
}

type Victim = 'scheduler-1' | 'scheduler-2' | 'web'
const victims: readonly Victim[] = ['scheduler-1', 'scheduler-2', 'scheduler-1', 'scheduler-2', 'web']

test(
  `after ${kills} kills each of ${taskCount} tasks has succeeded once, no pod is left and no log is cut`,
  async () => {
    const random = createSeededRandom(seed)
    const cluster = await connectCluster()
    await using deployment = await createKubernetesDeployment({ cluster, files, env: quickRetries })
    explainFailure(deployment)
    await using account = await accountOfPods(deployment)
    const programs = startPrograms(deployment)
    await dagsLoaded(deployment)
    const runIds = Array.from({ length: Math.ceil(taskCount / tasksPerRun) }, (_, n) => `r${n}`)
    for (const runId of runIds) await deployment.trigger('crash', runId)

    const made = await breakThings(programs, random, async () => {
      const { rows } = await deployment.db.query('select 1 from dag_run where end_date is null limit 1')
      return rows.length > 0
    })
    for (const runId of runIds) await deployment.ended('crash', runId, 600_000)
    console.info(JSON.stringify({ seed, tasks: runIds.length * tasksPerRun, ...made }))

    const faults: string[] = []
    for (const runId of runIds) {
      const attempts = await deployment.attempts('crash', runId)
      for (let t = 0; t < tasksPerRun; t += 1) {
        const taskId = `t${t}`
        const own = attempts.filter(({ task_id }) => task_id === taskId)
        const states = own.map(
          ({ try_number, state, error }) => `${try_number} ${state} ${error?.message ?? ''}`,
        )
        if (states.join() !== '1 success ') faults.push(`${runId} ${taskId}: ${states.join('; ')}`)
        const lines = taskLines(deployment, 'crash', runId, taskId)
        if (lines.join() !== numberedLines(linesPerTask).join()) {
          faults.push(`${runId} ${taskId}: its log has ${lines.length} lines: ${lines.join().slice(0, 200)}`)
        }
      }
    }
    expect(faults).toEqual([])
    await podsGone(deployment, 60_000)
    // The ledger hears of the last ones a moment later.
    await eventually('the ledger knows that they are gone', async () => {
      const { rows } = await deployment.db.query(`select 1 from pod where state <> 'deleted'`)
      return rows.length === 0
    })
    // A late create of a scheduler that was paused may make a second one, which nothing runs in.
    const doubles = [...account.made()].filter(([, uids]) => uids.size > 1)
    console.info(JSON.stringify({ pods: account.made().size, doubles: doubles.length }))
  },
  300_000 + kills * 30_000,
)

interface Programs {
  pid(victim: Victim): number
  restart(victim: Victim): Promise<void>
}

function startPrograms(deployment: KubernetesDeployment): Programs {
  const web = () => deployment.processes().find(({ command }) => command.includes('web/server/main'))?.pid
  const schedulers = new Map<Victim, ProgramProcess>([
    ['scheduler-1', deployment.startScheduler()],
    ['scheduler-2', deployment.startScheduler()],
  ])
  return {
    pid: (victim) => schedulers.get(victim)?.pid ?? web()!,
    async restart(victim) {
      const scheduler = schedulers.get(victim)
      if (scheduler === undefined) {
        kill(web()!, 'SIGKILL')
        await eventually('the server has ended', () => web() === undefined)
        deployment.startWeb()
        await eventually('it is there again', () => web() !== undefined)
        return
      }
      scheduler.kill('SIGKILL')
      await scheduler.exited
      schedulers.set(victim, deployment.startScheduler())
    },
  }
}

/** So many kills, as long as there is work. */
async function breakThings(programs: Programs, random: SeededRandom, isBusy: () => Promise<boolean>) {
  const made: Record<string, number> = { kills: 0, stops: 0 }
  while (made.kills! < kills && (await isBusy())) {
    await delay(random.next() * longestPauseMs)
    const victim = random.pick(victims)
    if (victim !== 'web' && random.between(1, killsPerStop) === 1) {
      const pid = programs.pid(victim)
      kill(pid, 'SIGSTOP')
      await delay(random.between(...stoppedMs))
      kill(pid, 'SIGCONT')
      made.stops! += 1
    }
    await programs.restart(victim)
    made.kills! += 1
    made[victim] = (made[victim] ?? 0) + 1
  }
  return made
}
