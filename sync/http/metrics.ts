// The metrics of --http-metrics, in Prometheus' text format 0.0.4. git_sync_* keep git-sync's names, types and
// labels, so that dashboards and alerts made for it go on; branchline_sync_* are ours.
//
// Durations are summaries without quantiles (_sum and _count): a sidecar runs in every pod, so each series counts
// as often as there are pods. Two for each phase tell where time goes; a histogram would cost twelve.
import type { IncomingMessage } from 'node:http'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import type { Clock } from '../../runtime/clock.ts'
import type { HttpPages } from './http-endpoint.ts'
import { answer } from './http-server.ts'
import { type ProcessUsage, readProcessUsage } from './process-usage.ts'
import type { SyncMetrics } from './sync-metrics.ts'

/** Metrics, and the page that shows them. */
export type MetricsRegistry = SyncMetrics & HttpPages

/**
 * Loads the library, so that a process without metrics does not pay for it (1 to 2 MiB).
 * @param deps.clock tells the age of the last success when somebody asks
 */
export async function createMetrics(deps: { clock: Clock }): Promise<MetricsRegistry> {
  const { Counter, Gauge, Registry, Summary } = await import('prom-client')
  const registry = new Registry()
  const registers = [registry]
  const counter = <T extends string>(name: string, help: string, ...labelNames: T[]) =>
    new Counter<T>({ name, help, labelNames, registers })
  const gauge = <T extends string>(name: string, help: string, ...labelNames: T[]) =>
    new Gauge<T>({ name, help, labelNames, registers })
  /** The library keeps observations for quantiles that nobody asks for: folded together soon, they stay few. */
  const summary = <T extends string>(name: string, help: string, ...labelNames: T[]) =>
    new Summary<T>({ name, help, labelNames, registers, percentiles: [], compressCount: 50 })
  /** Not shown until it is set: a 0 would be a lie. */
  const laterGauge = (name: string, help: string) => {
    const made = gauge(name, help)
    made.remove()
    return made
  }

  const syncDuration = summary('git_sync_duration_seconds', 'Duration of syncs by their status', 'status')
  const syncs = counter('git_sync_count_total', 'Syncs that ended, by their status', 'status')
  const updates = counter('git_fetch_count_total', 'Syncs that found an update to be required')
  const askpass = counter('git_sync_askpass_calls', 'Calls of --askpass-url by their status', 'status')
  const tokens = counter(
    'git_sync_refresh_github_app_token_count',
    'Refreshes of the GitHub App token by their status',
    'status',
  )
  const hooks = counter('git_sync_hook_run_count_total', 'Runs of hooks by name and status', 'name', 'status')

  const commitInfo = gauge('branchline_sync_commit_info', '1 for the commit that is published', 'commit_sha')
  const commitTime = laterGauge(
    'branchline_sync_commit_timestamp_seconds',
    'Time of the commit that is published, by its committer',
  )
  const successTime = laterGauge(
    'branchline_sync_last_success_timestamp_seconds',
    'When a sync last succeeded, with something new or without',
  )
  const successAge = laterGauge(
    'branchline_sync_last_success_age_seconds',
    'Time since a sync last succeeded',
  )
  const failures = gauge('branchline_sync_consecutive_failures', 'Syncs that failed since the last success')
  const ready = gauge('branchline_sync_ready', 'Whether a commit is published: 1 or 0')
  const fetchBytes = counter(
    'branchline_sync_fetch_bytes_total',
    'Bytes that fetches added to the repository',
  )
  const fetchDuration = summary('branchline_sync_fetch_duration_seconds', 'Duration of git fetch')
  const phases = summary('branchline_sync_phase_duration_seconds', 'Duration of parts of a sync', 'phase')
  const gates = counter('branchline_sync_gate_runs_total', 'Runs of --gate-command by their status', 'status')

  const cpu = counter('process_cpu_seconds_total', 'Total user and system CPU time spent in seconds.')
  const usageGauges = {
    residentBytes: gauge('process_resident_memory_bytes', 'Resident memory size in bytes.'),
    startTimeSeconds: gauge(
      'process_start_time_seconds',
      'Start time of the process since unix epoch in seconds.',
    ),
    virtualBytes: laterGauge('process_virtual_memory_bytes', 'Virtual memory size in bytes.'),
    virtualMaxBytes: laterGauge(
      'process_virtual_memory_max_bytes',
      'Maximum amount of virtual memory available in bytes.',
    ),
    openFds: laterGauge('process_open_fds', 'Number of open file descriptors.'),
    maxFds: laterGauge('process_max_fds', 'Maximum number of open file descriptors.'),
  }
  const scrapes = counter(
    'promhttp_metric_handler_requests_total',
    'Total number of scrapes by HTTP status code.',
    'code',
  )
  // There from the start, as in Go's client: an alert on their increase misses no first failure.
  for (const code of ['200', '500', '503']) scrapes.inc({ code }, 0)
  const inFlight = gauge(
    'promhttp_metric_handler_requests_in_flight',
    'Current number of scrapes being served.',
  )

  let lastSuccess: number | undefined

  function setProcessUsage(usage: ProcessUsage): void {
    cpu.reset()
    cpu.inc(usage.cpuSeconds)
    for (const [name, metric] of Object.entries(usageGauges)) {
      const value = usage[name as keyof typeof usageGauges]
      if (value !== undefined) metric.set(value)
    }
  }

  async function text(): Promise<string> {
    setProcessUsage(await readProcessUsage())
    if (lastSuccess !== undefined) successAge.set((deps.clock.now() - lastSuccess) / 1_000)
    return withoutEmpty(await registry.metrics())
  }

  return {
    syncFinished: (status, seconds) => {
      syncDuration.observe({ status }, seconds)
      syncs.inc({ status })
      if (status === 'error') return failures.inc()
      failures.set(0)
      lastSuccess = deps.clock.now()
      successTime.set(lastSuccess / 1_000)
    },
    syncRefused: (seconds) => {
      syncDuration.observe({ status: 'error' }, seconds)
      syncs.inc({ status: 'error' })
    },
    updateRequired: () => updates.inc(),
    askpassCalled: (status) => askpass.inc({ status }),
    githubTokenRefreshed: (status) => tokens.inc({ status }),
    hookRan: (name, status) => hooks.inc({ name, status }),
    fetched: ({ bytes, seconds }) => {
      fetchBytes.inc(bytes)
      fetchDuration.observe(seconds)
    },
    phase: (name, seconds) => phases.observe({ phase: name }, seconds),
    published: ({ commit, committedAt }) => {
      commitInfo.reset()
      commitInfo.set({ commit_sha: commit }, 1)
      commitTime.set(committedAt / 1_000)
    },
    gate: (status) => gates.inc({ status }),
    becameReady: () => ready.set(1),
    handle: async (request, response) => {
      inFlight.inc()
      try {
        const body = await text()
        const headers = { 'content-type': registry.contentType, vary: 'Accept-Encoding' }
        if (takesGzip(request)) {
          response.writeHead(200, { ...headers, 'content-encoding': 'gzip' }).end(await promisify(gzip)(body))
        } else answer(response, 200, body, headers)
        scrapes.inc({ code: '200' })
      } catch (error) {
        scrapes.inc({ code: '500' })
        throw error
      } finally {
        inFlight.dec()
      }
    },
  }
}

/** Go's client says nothing of a metric that has no series yet, not even its type. */
function withoutEmpty(text: string): string {
  const families = text.split('\n\n').filter((family) => /^[^#\n]/m.test(family))
  return `${families.join('\n').trimEnd()}\n`
}

function takesGzip(request: IncomingMessage): boolean {
  return String(request.headers['accept-encoding'] ?? '')
    .split(',')
    .some((part) => /^\s*gzip\s*(;\s*q=(?!0(\.0*)?\s*$).*)?$/i.test(part))
}
