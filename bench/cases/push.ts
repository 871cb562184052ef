// (e) From the end of `git push` until the changed Dag is live, that is until its new version is what Postgres says,
// with five hundred Dag modules of which one changed. Once with the webhook (a POST to sync right after the push)
// and once without, where the push comes at a moment of sync's period that nobody chose.
//
// Floor: git's fetch and checkout by hand, then esbuild over the one changed module.
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { freePort } from '../../cli/dev/ports.ts'
import { bareBuild } from '../floor/bare-build.ts'
import type { BenchCase, BenchContext, Measurement } from '../support/bench-case.ts'
import { ordinaryModule, ordinaryModules } from '../support/dag-modules.ts'
import { createGitRepository, type GitRepository, git } from '../support/git-repository.ts'
import { inTurn } from '../support/rounds.ts'
import { createSite, dagsAreLive, type Site, startProgram, startScheduler } from '../support/system.ts'
import { pause, waitUntil } from '../support/wait-until.ts'

const moduleCount = 500
const changedDagId = 'dag-250'
const changedFile = `${changedDagId}.ts`
/** A look costs Postgres 0.1 ms; rarer ones would be seen in the figure. */
const lookEveryMs = 2

const variants = {
  /** A period so long that the webhook alone can be what brings the push. */
  webhook: { periodMs: 60_000, rounds: 15 },
  period: { periodMs: 1_000, rounds: 15 },
} as const

export const push: BenchCase = {
  letter: 'e',
  name: 'push-to-live',
  async measure(context) {
    const directory = join(context.directory, 'push')
    await mkdir(directory)
    const repository = await createGitRepository(directory, ordinaryModules(moduleCount))
    const floor = await createFloor(context, directory, repository)
    const measurements: Measurement[] = []
    for (const variant of ['webhook', 'period'] as const) {
      measurements.push(await measureVariant(context, variant, { directory, repository, floor }))
    }
    return measurements
  },
}

async function measureVariant(
  context: BenchContext,
  variant: keyof typeof variants,
  parts: { directory: string; repository: GitRepository; floor: () => Promise<number> },
): Promise<Measurement> {
  const { signal, isQuick } = context
  const { periodMs, rounds } = variants[variant]
  const { repository } = parts
  const port = (await freePort('127.0.0.1', 0))!
  const root = join(parts.directory, `sync-${variant}`)
  await using site = await createSite(context)
  await using running = new AsyncDisposableStack()
  const sync = await startProgram(context, 'sync', {
    args: [
      context.programPath('sync'),
      ...['--repo', repository.url, '--ref', 'main', '--root', root, '--link', 'current'],
      ...['--period', `${periodMs}ms`, '--http-bind', `127.0.0.1:${port}`],
    ],
    env: {},
  })
  running.defer(() => sync.stop())
  const scheduler = await startScheduler(context, site, { sourcePath: join(root, 'current') })
  running.defer(() => scheduler.stop())
  await dagsAreLive(context, site.db, moduleCount, 10)

  const measured = await inTurn({
    rounds: isQuick ? 1 : rounds,
    warmUp: 1,
    signal,
    async measure(round) {
      await repository.commit(changedFile, ordinaryModule(changedDagId, `${variant} ${round}`))
      const before = await liveVersion(site)
      // Another moment of the period in each round, and the same ones in each benchmark.
      if (variant === 'period') await pause((periodMs * (Math.max(round, 0) + 0.5)) / rounds, signal)
      await repository.push()
      const began = performance.now()
      if (variant === 'webhook') await fetch(`http://127.0.0.1:${port}/sync`, { method: 'POST' })
      await waitUntil('the changed Dag', { everyMs: lookEveryMs, signal }, async () => {
        return (await liveVersion(site)) === before ? undefined : true
      })
      return performance.now() - began
    },
    floor: parts.floor,
  })
  return {
    name: `e-push-to-live-${variant}`,
    unit: 'ms',
    ...measured,
    target: variant === 'webhook' ? '300 ms' : 'period + 300 ms',
    settings: {
      modules: moduleCount,
      changed: 1,
      ...(variant === 'period' && { period_ms: periodMs }),
    },
  }
}

async function liveVersion({ db }: Site): Promise<number> {
  const { rows } = await db.query<{ dag_version_id: number }>(
    'select dag_version_id from dag where dag_id = $1',
    [changedDagId],
    'live-version',
  )
  return rows[0]!.dag_version_id
}

/** Does by hand what sync and loader do, in a clone of its own; the clean-up after it is not counted. */
async function createFloor(
  { signal }: BenchContext,
  directory: string,
  repository: GitRepository,
): Promise<() => Promise<number>> {
  const clone = join(directory, 'floor-clone')
  const worktree = join(directory, 'floor-worktree')
  const outdir = join(directory, 'floor-bundle')
  await git(directory, ['clone', '--quiet', '--no-checkout', '--depth=1', repository.url, clone])
  // The system is asked for its answer before this one begins, so the two never share the processor.
  return async () => {
    signal.throwIfAborted()
    const began = performance.now()
    await git(clone, ['fetch', '--quiet', '--depth=1', 'origin', 'main'])
    await git(clone, ['worktree', 'add', '--quiet', '--detach', worktree, 'FETCH_HEAD'])
    await bareBuild(worktree, [changedFile], outdir)
    const elapsedMs = performance.now() - began
    await git(clone, ['worktree', 'remove', '--force', worktree])
    await rm(outdir, { recursive: true })
    return elapsedMs
  }
}
