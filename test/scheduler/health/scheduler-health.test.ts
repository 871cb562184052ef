// What probes are told, and by which address.
import { afterEach, expect, test, vi } from 'vitest'
import { createHealthServer } from '../../../scheduler/health/health-server.ts'
import { createSchedulerHealth } from '../../../scheduler/health/scheduler-health.ts'
import { createPass } from '../../../scheduler/pass.ts'
import type { Scheduler, SchedulerStatus } from '../../../scheduler/scheduler.ts'
import { keptLog } from '../../support/kubernetes-pods.ts'

const well: SchedulerStatus = {
  isLeaseHeld: true,
  leaseTurnedMs: 100,
  hasLoaded: true,
  passes: [
    { name: 'load-dags', busyMs: 0 },
    { name: 'start-runs', busyMs: 5 },
  ],
  watches: [],
}

/** A process that runs a scheduler which says this of itself. */
function healthOf(status: Partial<SchedulerStatus>) {
  const health = createSchedulerHealth({ hangTimeoutMs: 1_000, stopGraceMs: 500 })
  health.enter('running', { status: () => ({ ...well, ...status }) } as Scheduler)
  return health
}

const failing = (checks: { isOk: boolean; message: string }[]) =>
  checks.filter(({ isOk }) => !isOk).map(({ message }) => message)

const watch = (ageMs: number, its: Partial<SchedulerStatus['watches'][number]> = {}) => ({
  namespace: 'workers',
  ageMs,
  hasHeard: true,
  trouble: null,
  applyBusyMs: 0,
  counters: { events: 0, relists: 1, expired: 0, reconnects: 0 },
  ...its,
})

test.each<[string, Partial<SchedulerStatus>, { live: string[]; ready: string[] }]>([
  ['one that does well', {}, { live: [], ready: [] }],
  [
    'one whose lease is not renewed, since Postgres is away',
    { isLeaseHeld: false },
    { live: [], ready: ['not renewed: postgres does not answer'] },
  ],
  [
    'one whose lease loop stands',
    { isLeaseHeld: false, leaseTurnedMs: 4_000 },
    {
      live: ['the loop that renews the lease has not ended for 4 s: it hangs'],
      ready: ['not renewed: postgres does not answer'],
    },
  ],
  [
    'one with a pass that does not end',
    { passes: [{ name: 'take-over', busyMs: 61_000 }] },
    { live: ['the pass take-over has not ended for 61 s: it hangs'], ready: [] },
  ],
  ['one that loads for long', { passes: [{ name: 'load-dags', busyMs: 600_000 }] }, { live: [], ready: [] }],
  [
    'one that loads for ever',
    { passes: [{ name: 'load-dags', busyMs: 3_600_000 }] },
    { live: ['the pass load-dags has not ended for 3600 s: it hangs'], ready: [] },
  ],
  [
    'one that has loaded nothing yet',
    { hasLoaded: false },
    { live: [], ready: ['nothing is published yet, or the Dags are being loaded'] },
  ],
  ['one that hears of the API server', { watches: [watch(59_000)] }, { live: [], ready: [] }],
  [
    'one that the API server does not answer',
    { watches: [watch(120_000)] },
    { live: [], ready: ['heard of the API server 120 s ago: it does not answer'] },
  ],
  [
    'one that the API server never answered',
    { watches: [watch(5_000, { hasHeard: false })] },
    { live: [], ready: ['nothing was heard of the API server yet, for 5 s: it does not answer'] },
  ],
  [
    'one whose watch is refused, a moment ago',
    { watches: [watch(500, { trouble: 'watch pods of workers: forbidden' })] },
    { live: [], ready: ['heard of the API server 1 s ago: watch pods of workers: forbidden'] },
  ],
  [
    'one whose pod events are never written',
    { watches: [watch(500, { applyBusyMs: 30_000 })] },
    { live: ['the write of pod events of workers has not ended for 30 s: it hangs'], ready: [] },
  ],
])('%s', (_name, status, expected) => {
  const health = healthOf(status)
  expect({ live: failing(health.live()), ready: failing(health.ready()) }).toEqual(expected)
})

afterEach(() => {
  vi.useRealTimers()
})

test('waiting for Postgres is no hanging, however long; starting and stopping are, when they do not end', () => {
  vi.useFakeTimers({ toFake: ['performance'] })
  const health = createSchedulerHealth({ hangTimeoutMs: 1_000, stopGraceMs: 500 })
  vi.advanceTimersByTime(3_600_000)
  expect(failing(health.live())).toEqual([])
  expect(failing(health.ready())).toEqual(['waiting for postgres'])
  health.enter('starting')
  vi.advanceTimersByTime(2_000)
  expect(failing(health.live())).toEqual(['starting for 2 s: it hangs'])
  health.enter('stopping')
  vi.advanceTimersByTime(1_200)
  expect(failing(health.live())).toEqual([])
  vi.advanceTimersByTime(800)
  expect(failing(health.live())).toEqual(['stopping for 2 s: it hangs'])
})

test('a pass says how long its present run takes', async () => {
  vi.useFakeTimers({ toFake: ['performance'] })
  const { promise, resolve } = Promise.withResolvers<void>()
  const pass = createPass('a', keptLog().log, () => promise)
  expect(pass.busyMs()).toBe(0)
  pass.wake()
  vi.advanceTimersByTime(250)
  expect(pass.busyMs()).toBe(250)
  resolve()
  await pass.stop()
  expect(pass.busyMs()).toBe(0)
})

test('the pages: a line for each check, 503 where one fails, and what hangs is logged once', async () => {
  const { log, lines } = keptLog()
  const health = healthOf({ hasLoaded: false, passes: [{ name: 'take-over', busyMs: 61_000 }] })
  const metrics = { contentType: 'text/plain; version=0.0.4', text: async () => 'a 1\n' }
  const server = createHealthServer({ bind: '127.0.0.1:0', health, metrics, log })
  const { port } = await server.start()
  try {
    const get = async (path: string) => {
      const response = await fetch(`http://127.0.0.1:${port}${path}`)
      return `${response.status} ${await response.text()}`
    }
    const live =
      '503 [+] stage: running\n[+] lease: turns\n[-] take-over: the pass take-over has not ended for 61 s: it hangs\n'
    expect(await get('/livez')).toBe(live)
    expect(await get('/livez?verbose')).toBe(live)
    expect(await get('/readyz')).toBe(
      '503 [+] lease: held\n[-] dags: nothing is published yet, or the Dags are being loaded\n',
    )
    expect(await get('/metrics')).toBe('200 a 1\n')
    expect(await get('/')).toBe('404 there is /livez, /readyz and /metrics\n')
    expect(lines).toEqual([
      expect.objectContaining({
        level: 'error',
        hanging: ['the pass take-over has not ended for 61 s: it hangs'],
      }),
    ])
  } finally {
    await server.stop()
  }
})

test.each(['8974', '127.0.0.1', 'localhost:', ':99999', '::1:8974'])(
  '%j is no address to listen on',
  (bind) => {
    const deps = {
      health: healthOf({}),
      metrics: { contentType: '', text: async () => '' },
      log: keptLog().log,
    }
    expect(() => createHealthServer({ bind, ...deps })).toThrow(/must be :port or address:port/)
  },
)

test('an address that is taken is refused with what to do', async () => {
  const deps = {
    health: healthOf({}),
    metrics: { contentType: '', text: async () => '' },
    log: keptLog().log,
  }
  const first = createHealthServer({ bind: '[::1]:0', ...deps })
  const { port } = await first.start()
  const second = createHealthServer({ bind: `[::1]:${port}`, ...deps })
  await expect(second.start()).rejects.toThrow(/cannot be listened on.*Choose a port that is free/)
  await first.stop()
})
