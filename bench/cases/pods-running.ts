// (m) Ten thousand pods that run at once, on fake nodes (KWOK): what a scheduler takes of memory with them, how soon
// another one has all of them when the first is killed, what it asks of the API server for that, and whether the ends
// of all of them, which then come at once, are known.

import { podRequests } from '../support/api-server-metrics.ts'
import type { BenchCase, Measurement } from '../support/bench-case.ts'
import { fakePodsModule } from '../support/pod-modules.ts'
import { podsRun, prepareRuns, releaseRuns, runsAreOver } from '../support/pod-runs.ts'
import { createPodPlace, podConcurrency } from '../support/pod-system.ts'
import { useOf } from '../support/process-tree.ts'
import { startScheduler, startSystem } from '../support/system.ts'

const dagId = 'pods'
const podsOfRun = 100
/** Longer than the case. */
const neverMs = 3_600_000

export const podsRunning: BenchCase = {
  letter: 'm',
  name: 'pods-running',
  async measure(context) {
    const { isQuick, signal } = context
    const pods = isQuick ? 300 : 10_000
    const runs = pods / podsOfRun
    await using place = await createPodPlace('running')
    const { cluster, env } = place
    await using _nodes = await cluster.startFakeNodes({ runsForMs: neverMs })
    await using system = await startSystem(context, {
      modules: { 'pods.ts': fakePodsModule(dagId, { width: podsOfRun, maxActiveRuns: runs }) },
      env,
    })
    const { db } = system
    const afterRunId = await prepareRuns(db, dagId, runs)
    await releaseRuns(db, dagId)
    await podsRun(db, afterRunId, pods, signal)
    const { rssMib: rssBefore } = useOf(system.scheduler.pid)

    await system.scheduler.kill()
    const before = await podRequests(cluster)
    const adopted = Promise.withResolvers<number>()
    let count = 0
    const began = performance.now()
    const next = await startScheduler(context, system, {
      sourcePath: system.sourcePath,
      env,
      onText(text) {
        count += adoptedBy(text)
        if (count >= pods) adopted.resolve(performance.now() - began)
      },
    })
    await using _next = { [Symbol.asyncDispose]: () => next.stop() }
    const adoptedMs = await orAborted(adopted.promise, signal)
    const after = await podRequests(cluster)
    const { rssMib: rssAfter, cpuSeconds } = useOf(next.pid)
    // Of pods themselves: their status is what nodes write.
    const requests = (verb: string) => (after.get(`${verb} pods`) ?? 0) - (before.get(`${verb} pods`) ?? 0)

    // All end within the second in which the nodes' program is back.
    await using _ending = await cluster.startFakeNodes({ runsForMs: 1_000 })
    await runsAreOver(db, afterRunId, { everyMs: 200, signal })
    const { rows } = await db.query<{ repeated: number }>(
      'select count(*) as repeated from task_instance where dag_run_id > $1 and (try_number <> 1 or state <> $2)',
      [afterRunId, 'success'],
    )
    const settings = { pods, runs, concurrency: podConcurrency }
    const one = (value: number) => ({ values: [value], floors: null, settings })
    return [
      { name: 'm-running-rss', unit: 'MiB', ...one(rssBefore), target: '500 MiB' },
      { name: 'm-adoption', unit: 's', ...one(adoptedMs / 1_000), target: '10 s' },
      { name: 'm-adoption-cpu', unit: 's', ...one(cpuSeconds), target: null },
      { name: 'm-adoption-rss', unit: 'MiB', ...one(rssAfter), target: '500 MiB' },
      { name: 'm-adoption-patches', unit: 'requests', ...one(requests('PATCH')), target: '0' },
      { name: 'm-adoption-creates', unit: 'requests', ...one(requests('POST')), target: '0' },
      { name: 'm-ends-rss', unit: 'MiB', ...one(useOf(next.pid).rssMib), target: '500 MiB' },
      { name: 'm-ends-lost', unit: 'pods', ...one(rows[0]!.repeated), target: '0' },
    ] satisfies Measurement[]
  },
}

/** How many attempts a line of a scheduler's log says that it goes on with. */
function adoptedBy(text: string): number {
  if (!text.includes('adopted attempts')) return 0
  const { running = 0 } = JSON.parse(text) as { running?: number }
  return running
}

/** @throws the signal's reason when it fires first */
async function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted()
  const aborted = Promise.withResolvers<never>()
  const onAbort = () => aborted.reject(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    return await Promise.race([promise, aborted.promise])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
