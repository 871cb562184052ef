import { execFileSync } from 'node:child_process'
import { request } from 'node:http'
import { resolve } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { createLogger } from '../../../runtime/log.ts'
import { createHttpEndpoint } from '../../../sync/http/http-endpoint.ts'
import { createMetrics, type MetricsRegistry } from '../../../sync/http/metrics.ts'
import { noMetrics } from '../../../sync/http/sync-metrics.ts'

const commit = 'a'.repeat(40)
const laterCommit = 'b'.repeat(40)

/** Metrics behind a real endpoint, at a time that the test says. */
async function startMetrics() {
  const clock = { time: 1_000_000, now: () => clock.time }
  const metrics = await createMetrics({ clock })
  const endpoint = createHttpEndpoint({
    bind: '127.0.0.1:0',
    isReady: () => false,
    onSync: () => {},
    metrics,
    log: createLogger('sync', { level: 'silent' }),
  })
  const { port } = await endpoint.start()
  const url = `http://127.0.0.1:${port}/metrics`
  return {
    clock,
    metrics,
    url,
    scrape: async () => (await fetch(url)).text(),
    [Symbol.asyncDispose]: () => endpoint.stop(),
  }
}

/** `name{labels}` → value of every sample. */
function samplesOf(text: string): Record<string, number> {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  return Object.fromEntries(
    lines.map((line) => {
      const space = line.lastIndexOf(' ')
      return [line.slice(0, space), Number(line.slice(space + 1))]
    }),
  )
}

function useAll(metrics: MetricsRegistry): void {
  metrics.syncFinished('success', 1.5)
  metrics.syncFinished('noop', 0.25)
  metrics.syncFinished('noop', 0.5)
  metrics.updateRequired()
  metrics.askpassCalled('error')
  metrics.githubTokenRefreshed('success')
  metrics.hookRan('exechook', 'success')
  metrics.hookRan('pre-publish-exechook', 'error')
  metrics.hookRan('webhook', 'error')
}

test('git-sync’s metrics have its names, types and labels', async () => {
  await using sync = await startMetrics()
  useAll(sync.metrics)
  const text = await sync.scrape()
  const types = Object.fromEntries(
    [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, type]) => [name, type]),
  )
  expect(types).toMatchObject({
    git_sync_duration_seconds: 'summary',
    git_sync_count_total: 'counter',
    git_fetch_count_total: 'counter',
    git_sync_askpass_calls: 'counter',
    git_sync_refresh_github_app_token_count: 'counter',
    git_sync_hook_run_count_total: 'counter',
    process_cpu_seconds_total: 'counter',
    process_resident_memory_bytes: 'gauge',
    process_open_fds: 'gauge',
    process_max_fds: 'gauge',
    process_start_time_seconds: 'gauge',
    process_virtual_memory_bytes: 'gauge',
    process_virtual_memory_max_bytes: 'gauge',
    promhttp_metric_handler_requests_total: 'counter',
    promhttp_metric_handler_requests_in_flight: 'gauge',
  })
  const samples = samplesOf(text)
  const own = Object.entries(samples).filter(([name]) => name.startsWith('git_'))
  expect(Object.fromEntries(own)).toEqual({
    'git_sync_duration_seconds_sum{status="success"}': 1.5,
    'git_sync_duration_seconds_count{status="success"}': 1,
    'git_sync_duration_seconds_sum{status="noop"}': 0.75,
    'git_sync_duration_seconds_count{status="noop"}': 2,
    'git_sync_count_total{status="success"}': 1,
    'git_sync_count_total{status="noop"}': 2,
    git_fetch_count_total: 1,
    'git_sync_askpass_calls{status="error"}': 1,
    'git_sync_refresh_github_app_token_count{status="success"}': 1,
    'git_sync_hook_run_count_total{name="exechook",status="success"}': 1,
    'git_sync_hook_run_count_total{name="pre-publish-exechook",status="error"}': 1,
    'git_sync_hook_run_count_total{name="webhook",status="error"}': 1,
  })
})

test('a labelled series appears only after its first use', async () => {
  await using sync = await startMetrics()
  const text = await sync.scrape()
  expect(text).not.toContain('git_sync_count_total')
  const before = samplesOf(text)
  expect(Object.keys(before).filter((name) => name.startsWith('git_'))).toEqual(['git_fetch_count_total'])
  sync.metrics.syncFinished('error', 1)
  const after = samplesOf(await sync.scrape())
  expect(Object.keys(after).filter((name) => name.startsWith('git_sync_count_total'))).toEqual([
    'git_sync_count_total{status="error"}',
  ])
})

test('the process’s own figures are those of this process', async () => {
  await using sync = await startMetrics()
  const samples = samplesOf(await sync.scrape())
  const value = (name: string) => samples[`process_${name}`]!
  expect(value('cpu_seconds_total')).toBeGreaterThan(0)
  expect(value('cpu_seconds_total')).toBeLessThanOrEqual(
    (process.cpuUsage().user + process.cpuUsage().system) / 1e6,
  )
  expect(value('resident_memory_bytes')).toBeGreaterThan(10 * 1_024 * 1_024)
  expect(value('virtual_memory_bytes')).toBeGreaterThan(value('resident_memory_bytes'))
  expect(value('virtual_memory_max_bytes')).toBeGreaterThan(value('virtual_memory_bytes'))
  expect(value('open_fds')).toBeGreaterThan(3)
  expect(value('max_fds')).toBeGreaterThan(value('open_fds'))
  expect(Math.abs(value('start_time_seconds') - (Date.now() / 1_000 - process.uptime()))).toBeLessThan(60)
})

test('scrapes are counted as Go counts them: the present one is in flight and not yet done', async () => {
  await using sync = await startMetrics()
  await sync.scrape()
  expect(samplesOf(await sync.scrape())).toMatchObject({
    'promhttp_metric_handler_requests_total{code="200"}': 1,
    'promhttp_metric_handler_requests_total{code="500"}': 0,
    promhttp_metric_handler_requests_in_flight: 1,
  })
})

test('the published commit is told with its time, and the one before it no longer', async () => {
  await using sync = await startMetrics()
  expect(await sync.scrape()).not.toMatch(/^branchline_sync_commit_timestamp_seconds \d/m)
  sync.metrics.published({ commit, committedAt: 5_000 })
  sync.metrics.published({ commit: laterCommit, committedAt: 7_500 })
  const text = await sync.scrape()
  expect(text).not.toContain(commit)
  expect(samplesOf(text)).toMatchObject({
    [`branchline_sync_commit_info{commit_sha="${laterCommit}"}`]: 1,
    branchline_sync_commit_timestamp_seconds: 7.5,
  })
})

test('the age of the last success grows while syncs fail, and failures in a row are counted', async () => {
  await using sync = await startMetrics()
  sync.metrics.syncFinished('error', 1)
  expect(await sync.scrape()).not.toMatch(/^branchline_sync_last_success_age_seconds \d/m)
  sync.metrics.syncFinished('noop', 1)
  sync.clock.time += 30_000
  sync.metrics.syncFinished('error', 1)
  sync.metrics.syncFinished('error', 1)
  expect(samplesOf(await sync.scrape())).toMatchObject({
    branchline_sync_last_success_timestamp_seconds: 1_000,
    branchline_sync_last_success_age_seconds: 30,
    branchline_sync_consecutive_failures: 2,
  })
  sync.metrics.syncFinished('success', 1)
  expect(samplesOf(await sync.scrape())).toMatchObject({
    branchline_sync_last_success_age_seconds: 0,
    branchline_sync_consecutive_failures: 0,
  })
})

test('fetches, phases, gates and readiness are measured', async () => {
  await using sync = await startMetrics()
  expect(samplesOf(await sync.scrape())).toMatchObject({ branchline_sync_ready: 0 })
  sync.metrics.fetched({ bytes: 1_000, seconds: 0.5 })
  sync.metrics.fetched({ bytes: 24, seconds: 0.25 })
  sync.metrics.phase('checkout', 0.125)
  sync.metrics.gate('refused')
  sync.metrics.becameReady()
  expect(samplesOf(await sync.scrape())).toMatchObject({
    branchline_sync_fetch_bytes_total: 1_024,
    branchline_sync_fetch_duration_seconds_sum: 0.75,
    branchline_sync_fetch_duration_seconds_count: 2,
    'branchline_sync_phase_duration_seconds_sum{phase="checkout"}': 0.125,
    'branchline_sync_gate_runs_total{status="refused"}': 1,
    branchline_sync_ready: 1,
  })
})

test.for([
  ['gzip', true],
  ['deflate, gzip;q=0.5', true],
  ['gzip;q=0', false],
  ['identity', false],
] as const)('to a client that accepts %j, the text is gzipped: %j', async ([accepted, isGzipped]) => {
  await using sync = await startMetrics()
  const { headers, body } = await new Promise<{
    headers: Record<string, unknown>
    body: Buffer
  }>((resolve) => {
    request(sync.url, { headers: { 'accept-encoding': accepted } }, async (response) => {
      resolve({ headers: response.headers, body: Buffer.concat(await response.toArray()) })
    }).end()
  })
  expect(headers['content-encoding']).toBe(isGzipped ? 'gzip' : undefined)
  expect(headers['content-type']).toBe('text/plain; version=0.0.4; charset=utf-8')
  expect((isGzipped ? gunzipSync(body) : body).toString()).toContain('# TYPE git_fetch_count_total counter\n')
})

test('every metric that there is can be told of where metrics are off', async () => {
  const { handle, ...metrics } = await createMetrics({ clock: { now: () => 0 } })
  expect(Object.keys(noMetrics).sort()).toEqual(Object.keys(metrics).sort())
})

test('the library is loaded when metrics are made, and not before', () => {
  const modulePath = resolve(import.meta.dirname, '../../../sync/http/metrics.ts')
  const script = `
    import { createRequire } from 'node:module'
    const { createMetrics } = await import(${JSON.stringify(modulePath)})
    const { cache } = createRequire(import.meta.url)
    const loaded = () => Object.keys(cache).some((path) => path.includes('prom-client'))
    const before = loaded()
    await createMetrics({ clock: { now: () => 0 } })
    console.log(JSON.stringify([before, loaded()]))`
  const output = execFileSync(process.execPath, ['--input-type=module', '--eval', script], {
    encoding: 'utf8',
  })
  expect(JSON.parse(output)).toEqual([false, true])
})
