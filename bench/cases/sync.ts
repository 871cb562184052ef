// (i) What sync adds to git: the first sync of a small and of a big repository from the start of its process to its
// end, and a push until its files are published, by each way in which sync learns of it.
// What it costs while nothing is new is in sync-idle.ts.
//
// Floor: the same git commands by hand (floor/bare-sync.ts).
import { createHmac } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { freePort } from '../../cli/dev/ports.ts'
import { bareFirstSync, createBareUpdate } from '../floor/bare-sync.ts'
import type { BenchCase, BenchContext, Measurement } from '../support/bench-case.ts'
import { inTurn } from '../support/rounds.ts'
import {
  changedFile,
  createSampleRepository,
  memoryDirectory,
  type RepositorySize,
  repositorySizes,
  type SyncSite,
} from '../support/sample-repository.ts'
import { type SyncProgram, startSync, syncOnceFromNothing } from '../support/sync-program.ts'
import { pause } from '../support/wait-until.ts'
import { measureIdleSync } from './sync-idle.ts'

const sizes: readonly RepositorySize[] = ['small', 'big']
const rounds = { small: 21, big: 9 } as const
/** So long that only what a way is named after brings the push. */
const never = '1h'
const listenSecret = 'secret of the benchmark'

export const sync: BenchCase = {
  letter: 'i',
  name: 'sync',
  async measure(context) {
    await using memory = await memoryDirectory(context.directory)
    const measurements: Measurement[] = []
    for (const size of sizes) {
      const directory = join(memory.path, size)
      const repository = await createSampleRepository(directory, size, context.isQuick)
      const site = { size, repository, directory }
      measurements.push(await measureFirstSync(context, site))
      for (const way of Object.values(ways)) measurements.push(await measurePush(context, site, way))
      measurements.push(...(await measureIdleSync(context, site)))
      await rm(directory, { recursive: true })
    }
    return measurements
  },
}

async function measureFirstSync(context: BenchContext, { size, repository, directory }: SyncSite) {
  const { signal, isQuick } = context
  const [root, floorRoot] = [join(directory, 'root'), join(directory, 'floor-root')]
  const timed = async (path: string, work: () => Promise<void>): Promise<number> => {
    const began = performance.now()
    await work()
    const elapsedMs = performance.now() - began
    await rm(path, { recursive: true })
    return elapsedMs
  }
  const measured = await inTurn({
    rounds: isQuick ? 1 : rounds[size],
    warmUp: isQuick ? 0 : 2,
    signal,
    measure: () => timed(root, () => syncOnceFromNothing(context, repository.url, root)),
    floor: () => timed(floorRoot, () => bareFirstSync(repository.url, floorRoot)),
  })
  return {
    name: `i-sync-first-${size}`,
    unit: 'ms',
    ...measured,
    target: size === 'small' ? 'floor + 90 ms' : '1.1 × floor',
    settings: { ...repositorySizes[size], depth: 1 },
  } as const
}

/** How sync learns of a push. */
interface Way {
  name: string
  target: string
  args(port: number): string[]
  env?: Record<string, string>
  /** Tells it, at once after the push. */
  tell?(sync: SyncProgram, port: number): Promise<unknown>
  /** Pushes come evenly spread over it. */
  periodMs?: number
}

const ways = {
  post: {
    name: 'post',
    target: 'floor + 30 ms',
    args: (port) => ['--period', never, '--http-bind', `127.0.0.1:${port}`],
    tell: (_sync, port) => fetch(`http://127.0.0.1:${port}/sync`, { method: 'POST' }),
  },
  listen: {
    name: 'listen',
    target: 'floor + 30 ms',
    args: (port) => ['--period', never, '--listen', `127.0.0.1:${port}`],
    env: { GITSYNC_LISTEN_SECRET: listenSecret },
    tell: (_sync, port) => sendNotification(`http://127.0.0.1:${port}/`),
  },
  signal: {
    name: 'signal',
    target: 'floor + 30 ms',
    args: () => ['--period', never, '--sync-on-signal', 'SIGHUP'],
    tell: async ({ pid }) => process.kill(pid, 'SIGHUP'),
  },
  period: { name: 'period-1s', target: 'period + floor', args: () => ['--period', '1s'], periodMs: 1_000 },
} as const satisfies Record<string, Way>

async function measurePush(context: BenchContext, site: SyncSite, way: Way): Promise<Measurement> {
  const { signal, isQuick } = context
  const { size, repository, directory } = site
  const [root, floorRoot] = [join(directory, 'root'), join(directory, 'floor-root')]
  const count = isQuick ? 1 : rounds[size]
  const port = (await freePort('127.0.0.1', 0))!
  const floor = await createBareUpdate(repository.url, floorRoot)
  let measured: Awaited<ReturnType<typeof inTurn>>
  {
    const args = ['--depth=1', ...way.args(port)]
    await using running = await startSync(context, { url: repository.url, root, args, env: way.env ?? {} })
    measured = await inTurn({
      rounds: count,
      warmUp: isQuick ? 0 : 2,
      signal,
      async measure(round) {
        const before = running.published()
        await repository.commit(changedFile, `${way.name} ${round}\n`)
        if (way.periodMs !== undefined) {
          await pause((way.periodMs * (Math.max(round, 0) + 0.5)) / count, signal)
        }
        await repository.push()
        const began = performance.now()
        await way.tell?.(running, port)
        await running.publishedAfter(before)
        return performance.now() - began
      },
      async floor() {
        // The old files are removed behind the answer: not in somebody else's time.
        await pause(settleMs[size], signal)
        return await floor()
      },
    })
  }
  await Promise.all([root, floorRoot].map((path) => rm(path, { recursive: true })))
  return {
    name: `i-sync-push-${way.name}-${size}`,
    unit: 'ms',
    ...measured,
    target: way.target,
    settings: { ...repositorySizes[size], depth: 1 },
  }
}

/** What sync does after it has published, until it is idle. */
const settleMs = { small: 100, big: 700 } as const

async function sendNotification(url: string): Promise<void> {
  const body = JSON.stringify({ ref: 'refs/heads/main' })
  const signature = createHmac('sha256', listenSecret).update(body).digest('hex')
  const headers = { 'content-type': 'application/json', 'x-hub-signature-256': `sha256=${signature}` }
  const response = await fetch(url, { method: 'POST', body, headers })
  if (response.status !== 202)
    throw new Error(`--listen answered with ${response.status}: ${await response.text()}`)
}
