// (j) Tasks in pods on a real kubelet. One at a time: from queued until the task's first line is in its log file. Fifty
// at once: until all have succeeded, and what they cost the scheduler and the API.
//
// Floor: the very pods that the tasks ran in, init container and all, made once more through the same client. One at a
// time `base` only says when it began, so that the task's program counts as ours; of fifty `base` starts Node and ends,
// since any task in Node must do that, and two cores are busy with it.
import { readFileSync } from 'node:fs'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import type { V1Pod } from '../../runtime/kubernetes-types.ts'
import { attemptLogPath } from '../../runtime/log-line.ts'
import { triggerRun } from '../../scheduler/database/trigger-run.ts'
import { type BarePods, runBarePods } from '../floor/bare-pods.ts'
import type { BenchCase, BenchContext, Measurement } from '../support/bench-case.ts'
import { nextRunId, succeeded } from '../support/dag-runs.ts'
import { barePodsOf } from '../support/pod-ledger.ts'
import { type PodSite, startPodSite } from '../support/pod-site.ts'
import { podConcurrency } from '../support/pod-system.ts'
import { useOf } from '../support/process-tree.ts'
import { inTurn } from '../support/rounds.ts'
import { pause, waitUntil } from '../support/wait-until.ts'

const width = 50
const lookEveryMs = 2
const firstLine = 'here'

const modules = {
  'pods.ts': `import { dag, task } from 'branchline'

export const one = dag('one', {}, () => {
  task('say', ({ log }) => log.info('${firstLine}'))
})
export const fifty = dag('fifty', { maxActiveTasks: ${width} }, () => {
  for (let n = 0; n < ${width}; n += 1) task(\`task-\${n}\`, () => {})
})
`,
}

export const pods: BenchCase = {
  letter: 'j',
  name: 'pods',
  async measure(context) {
    await using site = await startPodSite(context, 'pods', { files: modules, dags: 2 })
    return [...(await measureOne(context, site)), ...(await measureFifty(context, site))]
  },
}

async function measureOne(context: BenchContext, site: PodSite): Promise<Measurement[]> {
  const { isQuick, signal } = context
  let lastRunId = 0
  let count = 0
  const rounds = await inTurn({
    rounds: isQuick ? 2 : 11,
    warmUp: 1,
    signal,
    async measure() {
      const runId = nextRunId()
      await triggerRun(site.db, { dagId: 'one', runId, actor: 'bench' })
      const path = attemptLogPath(site.logsDir, {
        ...{ dag_id: 'one', run_id: runId, task_id: 'say', map_index: -1, try_number: 1 },
      })
      const seenAt = await waitUntil('the first line', { everyMs: lookEveryMs, signal }, async () =>
        logOf(path).includes(firstLine) ? Date.now() : undefined,
      )
      const { dagRunId } = await succeeded(site.db, 'one', runId, signal)
      lastRunId = dagRunId - 1
      return seenAt - (await queuedAt(site, dagRunId))
    },
    async floor() {
      const [pod] = await barePodsOf(site.db, lastRunId)
      count += 1
      return await startOfBare(site, withBase(pod!, `first-${count}`, ['sh', '-c', 'date +%s%N']), signal)
    },
  })
  const settings = { from: 'queued', to: 'the line is in the log file', floor_to: 'the container begins' }
  return [{ name: 'j-pod-to-first-line', unit: 'ms', ...rounds, target: 'floor + 400 ms', settings }]
}

function logOf(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

async function queuedAt({ db }: PodSite, dagRunId: number): Promise<number> {
  const { rows } = await db.query<{ queued_at: Date }>(
    'select queued_at from task_instance where dag_run_id = $1',
    [dagRunId],
  )
  return rows[0]!.queued_at.getTime()
}

/** @returns milliseconds from its create until its container began, as the container itself says */
async function startOfBare({ place }: PodSite, pod: V1Pod, signal: AbortSignal): Promise<number> {
  const { client, namespace } = place
  const name = pod.metadata!.name!
  const beganAt = Date.now()
  await runBarePods({
    ...{ client, namespace: namespace.name, pods: [pod], concurrency: 1, signal },
    isKept: true,
  })
  const said = await text(Readable.from(client.podLog(namespace.name, name, { container: 'base' })))
  await client.deletePod(namespace.name, name, { gracePeriodSeconds: 0 })
  return Number(BigInt(said.trim()) / 1_000n) / 1_000 - beganAt
}

async function measureFifty(context: BenchContext, site: PodSite): Promise<Measurement[]> {
  const { isQuick, signal } = context
  const cpu = { scheduler: [] as number[], web: [] as number[] }
  let lastRunId = 0
  const rate = await inTurn({
    rounds: isQuick ? 1 : 3,
    warmUp: isQuick ? 0 : 1,
    signal,
    async measure(round) {
      const before = [useOf(site.scheduler.pid), useOf(site.web.pid)] as const
      const runId = nextRunId()
      await triggerRun(site.db, { dagId: 'fifty', runId, actor: 'bench' })
      const { dagRunId, durationMs } = await succeeded(site.db, 'fifty', runId, signal)
      lastRunId = dagRunId - 1
      // Their deletion is theirs too, and is not to fall into the floor's time.
      await podsAreGone(site, signal)
      const after = [useOf(site.scheduler.pid), useOf(site.web.pid)] as const
      if (round >= 0) {
        cpu.scheduler.push(((after[0].cpuSeconds - before[0].cpuSeconds) * 1_000) / width)
        cpu.web.push(((after[1].cpuSeconds - before[1].cpuSeconds) * 1_000) / width)
      }
      return (width / durationMs) * 60_000
    },
    async floor(round) {
      const same = (await barePodsOf(site.db, lastRunId)).map((pod, n) =>
        withBase(pod, `fifty-${round + 1}-${n}`, ['node', '--eval', '0']),
      )
      const { client, namespace } = site.place
      const bare: BarePods = await runBarePods({
        ...{ client, namespace: namespace.name, pods: same, concurrency: podConcurrency, signal },
      })
      return (width / bare.succeededMs) * 60_000
    },
  })
  const settings = { pods: width, concurrency: podConcurrency }
  return [
    { name: 'j-fifty-pods', unit: 'pods/min', ...rate, target: '1.11 × floor', settings },
    { name: 'j-fifty-scheduler-cpu', unit: 'ms/pod', ...only(cpu.scheduler), target: '10 ms', settings },
    { name: 'j-fifty-web-cpu', unit: 'ms/pod', ...only(cpu.web), target: null, settings },
  ]
}

const only = (values: number[]) => ({ values, floors: null })

async function podsAreGone({ place }: PodSite, signal: AbortSignal): Promise<void> {
  const { client, namespace } = place
  await waitUntil('no pod is left', { everyMs: 200, signal }, async () => {
    const { pods: left } = await client.listPods(namespace.name)
    return left.length === 0 || undefined
  })
  await pause(500, signal)
}

/** The pod under another name, its container `base` with another command. */
function withBase(pod: V1Pod, name: string, command: string[]): V1Pod {
  const { containers, ...spec } = pod.spec!
  const { args: _args, ...base } = containers[0]!
  return {
    ...pod,
    metadata: { ...pod.metadata, name },
    spec: { ...spec, containers: [{ ...base, command }, ...containers.slice(1)] },
  }
}
