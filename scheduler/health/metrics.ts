// The metrics of a scheduler, in Prometheus' text format. Nothing is measured for them: what the parts know anyhow is
// read when somebody asks. The library is loaded with the first question.
import { DatabaseUnavailableError } from '../../runtime/errors.ts'
import type { Queryable } from '../database/connection.ts'
import { countLivePods } from '../database/queries/count-live-pods.ts'
import type { PodCallCounts } from './count-pod-calls.ts'
import type { MetricsPage } from './health-server.ts'
import type { SchedulerHealth } from './scheduler-health.ts'

interface MetricsDeps {
  health: SchedulerHealth
  db: Queryable
  /** Undefined where there is no executor `kubernetes`. */
  podCalls: PodCallCounts | undefined
}

export function createSchedulerMetrics(deps: MetricsDeps): MetricsPage {
  let registry: Promise<{ metrics(): Promise<string> }> | undefined
  return {
    contentType: 'text/plain; version=0.0.4; charset=utf-8',
    async text() {
      registry ??= createRegistry(deps)
      return (await registry).metrics()
    },
  }
}

async function createRegistry({ health, db, podCalls }: MetricsDeps) {
  const { Counter, Gauge, Registry } = await import('prom-client')
  const registry = new Registry()
  const registers = [registry]
  type Sample = [labels: Record<string, string>, value: number]
  const gauge = (
    name: string,
    help: string,
    labelNames: string[],
    read: () => Sample[] | Promise<Sample[]>,
  ) =>
    new Gauge({
      name: `branchline_${name}`,
      help,
      labelNames,
      registers,
      async collect() {
        this.reset()
        for (const [labels, value] of await read()) this.set(labels, value)
      },
    })
  const counter = (name: string, help: string, labelNames: string[], read: () => Sample[]) =>
    new Counter({
      name: `branchline_${name}`,
      help,
      labelNames,
      registers,
      collect() {
        this.reset()
        for (const [labels, value] of read()) this.inc(labels, value)
      },
    })
  const status = () => health.scheduler?.status()
  const watches = () => status()?.watches ?? []
  const perWatch = (key: 'events' | 'relists' | 'expired' | 'reconnects') => () =>
    watches().map(({ namespace, counters }): Sample => [{ namespace }, counters[key]])

  gauge('scheduler_lease_held', 'Whether this scheduler holds its lease: 1 or 0', [], () => [
    [{}, status()?.isLeaseHeld === true ? 1 : 0],
  ])
  gauge('scheduler_lease_turn_age_seconds', 'Time since the loop that renews the lease last turned', [], () =>
    one(status()?.leaseTurnedMs),
  )
  gauge(
    'scheduler_pass_busy_seconds',
    'How long the present run of a pass has taken; 0 where there is none',
    ['pass'],
    () => (status()?.passes ?? []).map(({ name, busyMs }) => [{ pass: name }, busyMs / 1000]),
  )
  gauge(
    'pods',
    'Pods of this deployment that are not gone, by their state in the ledger',
    ['namespace', 'state'],
    () => podsByState(db),
  )
  gauge(
    'pod_watch_age_seconds',
    'Time since anything was heard of the pods of a namespace that this scheduler watches',
    ['namespace'],
    () => watches().map(({ namespace, ageMs }) => [{ namespace }, ageMs / 1000]),
  )
  counter('pod_watch_events_total', 'Events of pods', ['namespace'], perWatch('events'))
  counter(
    'pod_watch_relists_total',
    'Lists of all pods, the first among them',
    ['namespace'],
    perWatch('relists'),
  )
  counter(
    'pod_watch_expired_total',
    'Versions that the API server had forgotten',
    ['namespace'],
    perWatch('expired'),
  )
  counter('pod_watch_reconnects_total', 'Streams after the first', ['namespace'], perWatch('reconnects'))
  if (podCalls !== undefined) {
    const samples = (counts: Readonly<Record<string, number>>) => () =>
      Object.entries(counts).map(([outcome, count]): Sample => [{ outcome }, count])
    counter(
      'pod_creations_total',
      'Requests for pods by their outcome',
      ['outcome'],
      samples(podCalls.creations),
    )
    counter(
      'pod_deletions_total',
      'Requests to delete pods by their outcome',
      ['outcome'],
      samples(podCalls.deletions),
    )
  }
  return registry

  function one(ms: number | undefined): Sample[] {
    return ms === undefined ? [] : [[{}, ms / 1000]]
  }
}

/** Nothing while Postgres is away: a 0 would be a lie. */
async function podsByState(db: Queryable): Promise<[Record<string, string>, number][]> {
  try {
    return (await countLivePods(db)).map(({ namespace, state, pods }) => [{ namespace, state }, pods])
  } catch (error) {
    if (error instanceof DatabaseUnavailableError) return []
    throw error
  }
}
