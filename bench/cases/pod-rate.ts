// (l) How many pods a minute one scheduler brings from queued to gone, and what each costs it, on fake nodes (KWOK),
// where the cluster's API server is real and nothing is started: the runs of a Dag of pods are released by one
// statement; the clock stops when the ledger has seen the last pod gone.
//
// Floor: a bare loop creates, sees finished and deletes the same pods, through the same client (floor/bare-pods.ts).
import { type BarePods, runBarePods } from '../floor/bare-pods.ts'
import type { BenchCase, BenchContext, Measurement } from '../support/bench-case.ts'
import { barePodsOf } from '../support/pod-ledger.ts'
import { fakePodsModule } from '../support/pod-modules.ts'
import { prepareRuns, releaseRuns, runsAreOver } from '../support/pod-runs.ts'
import { createPodPlace, podConcurrency } from '../support/pod-system.ts'
import { useOf } from '../support/process-tree.ts'
import { inTurn } from '../support/rounds.ts'
import { type System, startSystem } from '../support/system.ts'

const dagId = 'pods'
const podsOfRun = 100
/** How late the end is known, at most. */
const lookEveryMs = 100
const stages = { startsAfterMs: 100, runsForMs: 1_000 }

export const podRate: BenchCase = {
  letter: 'l',
  name: 'pod-rate',
  async measure(context) {
    const { isQuick, signal } = context
    const pods = isQuick ? 300 : 3_000
    const runs = pods / podsOfRun
    await using place = await createPodPlace('rate')
    await using _nodes = await place.cluster.startFakeNodes(stages)
    await using system = await startSystem(context, {
      modules: { 'pods.ts': fakePodsModule(dagId, { width: podsOfRun, maxActiveRuns: runs }) },
      env: place.env,
    })
    const ofScheduler: Round[] = []
    const ofFloor: BarePods[] = []
    let measured: Round | undefined
    const rate = await inTurn({
      rounds: isQuick ? 1 : 2,
      warmUp: 1,
      signal,
      async measure(round) {
        measured = await runPods(context, system, round < 0 ? 3 : runs)
        if (round >= 0) ofScheduler.push(measured)
        return measured.podsPerMinute
      },
      async floor(round) {
        const same = await barePodsOf(system.db, measured!.afterRunId)
        const { namespace, client } = place
        const bare = await runBarePods({
          client,
          namespace: namespace.name,
          pods: same,
          concurrency: podConcurrency,
          signal,
        })
        if (round >= 0) ofFloor.push(bare)
        return (same.length / bare.elapsedMs) * 60_000
      },
    })
    const settings = { pods, runs, concurrency: podConcurrency, fake_nodes: stages }
    const cpu = {
      values: ofScheduler.map(({ cpuMs }) => cpuMs / pods),
      floors: ofFloor.map(({ cpuMs }) => cpuMs / pods),
    }
    const rss = { values: ofScheduler.map(({ rssMib }) => rssMib), floors: null }
    return [
      { name: 'l-pod-rate', unit: 'pods/min', ...rate, target: '3,000; 1.43 × floor', settings },
      { name: 'l-pod-scheduler-cpu', unit: 'ms/pod', ...cpu, target: '10 ms', settings },
      { name: 'l-pod-scheduler-rss', unit: 'MiB', ...rss, target: '500 MiB', settings },
    ] satisfies Measurement[]
  },
}

interface Round {
  /** The newest run before those of the round. */
  afterRunId: number
  podsPerMinute: number
  cpuMs: number
  rssMib: number
}

async function runPods({ signal }: BenchContext, system: System, runs: number): Promise<Round> {
  const { db, scheduler } = system
  const afterRunId = await prepareRuns(db, dagId, runs)
  const before = useOf(scheduler.pid)
  const began = performance.now()
  await releaseRuns(db, dagId)
  await runsAreOver(db, afterRunId, { everyMs: lookEveryMs, signal })
  const elapsedMs = performance.now() - began
  const after = useOf(scheduler.pid)
  return {
    afterRunId,
    podsPerMinute: ((runs * podsOfRun) / elapsedMs) * 60_000,
    cpuMs: (after.cpuSeconds - before.cpuSeconds) * 1_000,
    rssMib: after.rssMib,
  }
}
