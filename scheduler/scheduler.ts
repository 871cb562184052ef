// A scheduler: one lease, the runs that it holds, the executors that it feeds, and the passes that find work. It
// lives as long as its lease; when that is lost, everything in memory is worth nothing, and whoever made it makes
// a new one. The parts are wired here and nowhere else.
import { realpath } from 'node:fs/promises'
import { hostname } from 'node:os'
import { dirname, join } from 'node:path'
import type { Config } from '../runtime/config.ts'
import type { LoadResult } from '../runtime/loader/load-result.ts'
import type { Logger } from '../runtime/log.ts'
import type { CommitRefusal } from './database/commit-changes.ts'
import { type Connection, type Database, openDatabase } from './database/connection.ts'
import { makeDueRuns } from './database/make-due-runs.ts'
import { changesChannel, channel, dagsChanged, type Wake } from './database/notifications.ts'
import { readDeploymentId } from './database/pod-ledger.ts'
import { leaseCommandedRuns, readRunCommands } from './database/run-commands.ts'
import {
  type Beat,
  readLeasedRuns,
  registerScheduler,
  releaseScheduler,
  schedulersInUse,
  takeOverRuns,
} from './database/scheduler-lease.ts'
import { startRuns } from './database/start-runs.ts'
import type { Executor } from './executors/executor.ts'
import { createPodBuilder } from './executors/kubernetes/build-pod.ts'
import type { Kubernetes } from './executors/kubernetes/connect.ts'
import { createKubernetesExecutor } from './executors/kubernetes/kubernetes-executor.ts'
import type { WatchStatus } from './executors/kubernetes/pod-watches.ts'
import { kubernetesExecutorSettings } from './executors/kubernetes/settings.ts'
import { createLocalExecutor } from './executors/local/local-executor.ts'
import { forgetRunners } from './executors/local/runner-directory.ts'
import { createLeaseKeeper, type LeaseKeeper } from './lease-keeper.ts'
import { loadDags } from './load-dags.ts'
import { createPass } from './pass.ts'
import { createRunEngine, type RunEngine } from './runs/run-engine.ts'
import { type TakeRunsDeps, takeBegunRuns, takeNewRuns } from './runs/take-runs.ts'
import { createVersionCache } from './runs/version-cache.ts'
import { createSourceWatcher } from './source-watcher.ts'
import { createWorktreeHolds } from './worktree-holds.ts'

/** Runs that one pass starts; the next pass follows at once where there are more. */
const startAtOnce = 500
/** Live views hear of changed runs at most so often; between, changes of one run are one. */
const tellChangesMs = 40
/** Postgres takes payloads below 8,000 bytes; an id and its comma have at most 17. */
const idsPerNotification = 400
/** How often worktrees that nobody needs any more are let go. */
const refreshHoldsMs = 10_000
/** How long a stopping scheduler waits for a database that is away before it leaves the rest to the next one. */
const lastCommitMs = 5_000

/** What a scheduler says of itself, to those who judge whether it does what it is for. */
export interface SchedulerStatus {
  /** Whether nobody else can have taken its runs over. */
  isLeaseHeld: boolean
  /** Since the loop that renews the lease last began a turn. */
  leaseTurnedMs: number
  /** Whether this scheduler has loaded the Dags of a commit, or of the source directory. */
  hasLoaded: boolean
  passes: readonly { name: string; busyMs: number }[]
  /** Of the namespaces that this scheduler watches; empty where another one does, or there are no pods. */
  watches: readonly WatchStatus[]
}

export interface Scheduler {
  readonly schedulerId: number
  start(): Promise<void>
  /** Has the source read again, also where it did not change. */
  reload(): void
  status(): SchedulerStatus
  /** Resolves with the reason when this scheduler is over and another must be made. */
  readonly lost: Promise<CommitRefusal>
  /** @param graceMs how long running attempts may clean up; 0 where their runs are another's already */
  stop(graceMs: number): Promise<void>
}

/**
 * Registers a scheduler and wires its parts; nothing moves before `start`.
 * @param deps.sourcePath link or directory, absolute
 * @param deps.load the loader's pass over it
 * @param deps.env environment of task runners, without the database's credentials
 */
export async function createScheduler(deps: {
  db: Database
  config: Config
  sourcePath: string
  load: () => Promise<LoadResult>
  env: NodeJS.ProcessEnv
  /** Absent where the configuration has no executor `kubernetes`. */
  kubernetes?: Kubernetes | undefined
  log: Logger
}): Promise<Scheduler> {
  const { db, config, sourcePath } = deps
  const leaseTtlMs = config.scheduler_lease_ttl
  const schedulerId = await registerScheduler(db, { hostname: hostname(), pid: process.pid, leaseTtlMs })
  const log = deps.log.child({ scheduler_id: schedulerId })
  // One connection for the lease and for starting runs, used several times a second: its plans are always at hand.
  // One that a pool opens anew takes milliseconds to start a run, which is what a trigger would wait for.
  const control = openDatabase(db.url, { max: 1, applicationName: 'branchline scheduler' })
  const lost = Promise.withResolvers<CommitRefusal>()
  const bundlesDir = join(config.data_dir, 'bundles')
  const runnersDir = join(config.data_dir, 'runners')

  /** The directory that `sourcePath` led to at the last load. */
  let loadedPath: string | undefined
  let isStopping = false
  let listener: Connection | undefined

  const sourcePathOf = (commitSha: string | null): string =>
    commitSha === null ? loadedPath! : join(dirname(loadedPath!), commitSha)
  const publishedPath = () => realpath(sourcePath).catch(() => undefined)

  const localExecutor = createLocalExecutor({
    schedulerId,
    settings: {
      slots: config.local_executor_slots,
      runnersDir,
      killGraceMs: config.task_kill_grace,
      heartbeatTimeoutMs: config.task_heartbeat_timeout,
      runner: {
        heartbeat_interval_ms: config.task_heartbeat_interval,
        max_attempts: config.task_runner_max_attempts,
        max_rss_mb: config.task_runner_max_rss_mb,
        xcom_max_bytes: config.xcom_max_bytes,
      },
      env: deps.env,
    },
    onReport: (report) => engine.report(report),
    committedUntil: () => engine.committedUntil(),
    log,
  })
  const deploymentId = await readDeploymentId(db)
  const kubernetesExecutor =
    deps.kubernetes &&
    createKubernetesExecutor({
      schedulerId,
      deploymentId,
      db,
      client: deps.kubernetes.client,
      settings: kubernetesExecutorSettings(config, deps.kubernetes.podSettings.namespaces),
      env: deps.env,
      build: createPodBuilder({ ...deps.kubernetes, deploymentId }),
      logsDir: config.logs_dir,
      onReport: (report) => engine.report(report),
      committedUntil: () => engine.committedUntil(),
      mayCreate: () => keeper.isHeld(),
      log,
    })
  const executors: ReadonlyMap<string, Executor> = new Map(
    [config.executors.includes('local') ? localExecutor : null, kubernetesExecutor]
      .filter((executor) => executor != null)
      .map((executor) => [executor.name, executor]),
  )
  const { logs_dir: logsDir } = config
  const defaultExecutor = config.default_executor ?? config.executors[0]!

  const changedRuns = new Set<number>()
  let tellTimer: NodeJS.Timeout | undefined
  function tellChanges(dagRunIds: readonly number[]): void {
    for (const id of dagRunIds) changedRuns.add(id)
    tellTimer ??= setTimeout(() => {
      tellTimer = undefined
      const ids = [...changedRuns]
      changedRuns.clear()
      const payloads: string[] = []
      while (ids.length > 0) payloads.push(JSON.stringify(ids.splice(0, idsPerNotification)))
      // Only a hint for live views; where it is lost they read again by themselves.
      db.query('select pg_notify($1, payload) from unnest($2::text[]) payload', [
        changesChannel,
        payloads,
      ]).catch(() => {})
    }, tellChangesMs)
  }

  const engine: RunEngine = createRunEngine({
    db,
    schedulerId,
    leaseTtlMs,
    logsDir,
    executors,
    defaultExecutor,
    infrastructureBudget: {
      retries: config.infrastructure_retries,
      retryDelayMs: config.infrastructure_retry_delay,
    },
    onRefused: (refusal, error) => {
      log.error({ refusal, err: error }, 'a commit was refused')
      lost.resolve(refusal)
    },
    onCommitted: ({ dagRunIds, hasEnded }) => {
      tellChanges(dagRunIds)
      // A run that ended made room under its Dag's max_active_runs.
      if (hasEnded) startPass.wake()
    },
    log,
  })
  const takeDeps: TakeRunsDeps = {
    db,
    schedulerId,
    engine,
    versions: createVersionCache(db, bundlesDir),
    executors,
    defaultExecutor,
    logsDir,
    sourcePathOf,
    log,
  }

  /** Set where taking failed half way: runs may be leased by now that the engine does not know. */
  let mayHaveUntaken = false
  let taking: Promise<void> = Promise.resolve()
  /** Passes that lease runs, one at a time: what one of them is taking must not look untaken to another. */
  const createTakePass = (name: string, take: () => Promise<void>) =>
    createPass(name, log, async () => {
      // Where a run's commit is, is known by where the link leads; until it does, runs wait.
      loadedPath ??= await publishedPath()
      if (loadedPath === undefined) return
      const taken = taking.then(take).catch((error: unknown) => {
        mayHaveUntaken = true
        throw error
      })
      taking = taken.catch(() => {})
      await taken
    })

  const startPass = createTakePass('start-runs', async () => {
    const rows = await startRuns(control, schedulerId, startAtOnce)
    if (rows.length > 0) await takeNewRuns(takeDeps, rows)
    if (rows.length === startAtOnce) startPass.wake()
  })
  const duePass = createPass('make-due-runs', log, async () => {
    // Not before it is known what the source has: Dags of another one may stand in the database.
    if (!hasLoaded) return
    if ((await makeDueRuns(db, Date.now())) > 0) startPass.wake()
  })
  const commandPass = createTakePass('run-commands', async () => {
    const rows = await leaseCommandedRuns(db, schedulerId)
    if (rows.length > 0) await takeBegunRuns(takeDeps, rows)
    engine.setCommands(await readRunCommands(db, schedulerId))
  })
  const takeOverPass = createTakePass('take-over', async () => {
    const rows = await takeOverRuns(db, schedulerId)
    if (rows.length === 0) return
    log.warn({ runs: rows.length }, 'taking over runs of a scheduler that is gone')
    await takeBegunRuns(takeDeps, rows)
  })
  /** Postgres may go away between the lease and what must be read of the runs. */
  const untakenPass = createTakePass('untaken-runs', async () => {
    // Known before it is asked who is leased: one that ends meanwhile is not taken again.
    const known = new Set(engine.runIds())
    const leased = await readLeasedRuns(db, schedulerId)
    const rows = leased.filter(({ dag_run_id }) => !known.has(dag_run_id))
    if (rows.length > 0) await takeBegunRuns(takeDeps, rows)
    mayHaveUntaken = false
  })
  /** Set where loading failed half way, as it does while Postgres is away: the next beat has it tried again. */
  let hasLoadFailed = false
  let hasLoaded = false
  const loadPass = createPass('load-dags', log, async () => {
    hasLoadFailed = true
    const load = await loadDags({
      db,
      load: deps.load,
      publishedPath,
      executorNames: [...executors.keys()],
      arePausedAtCreation: config.dags_are_paused_at_creation,
      log,
    })
    hasLoadFailed = false
    // Nothing is published yet, or something else by now: the watcher tells.
    if (!load) return
    loadedPath = load.source_path
    hasLoaded = true
    await db.query('select pg_notify($1, $2)', [changesChannel, dagsChanged])
    duePass.wake()
    holdPass.wake()
  })
  const worktrees = createWorktreeHolds({
    db,
    owner: `scheduler-${schedulerId}`,
    loadedPath: () => loadedPath,
    log,
  })
  const holdPass = createPass('hold-worktrees', log, () => worktrees.refresh())
  /** Journals of schedulers that are gone and whose runs are all somebody's by now say nothing any more. */
  const tidyPass = createPass('tidy-runners', log, async () => {
    await forgetRunners(runnersDir, () => schedulersInUse(db))
  })
  const passes = [startPass, duePass, commandPass, takeOverPass, untakenPass, loadPass, holdPass, tidyPass]

  const watcher = createSourceWatcher({
    path: sourcePath,
    // Ours, in case they are within the source: the database and the logs of runs change all the time.
    ignore: [config.data_dir, logsDir],
    onChange: () => loadPass.wake(),
    log,
  })

  function onBeat(seen: Beat): void {
    if (seen.has_queued) startPass.wake()
    if (seen.has_due) duePass.wake()
    if (seen.has_commands) commandPass.wake()
    if (seen.has_expired && keeper.mayTakeOver()) takeOverPass.wake()
    if (mayHaveUntaken) untakenPass.wake()
    if (seen.has_pods) kubernetesExecutor?.look()
    kubernetesExecutor?.beat()
    if (!listener) void listen()
    if (hasLoadFailed && !loadPass.isRunning()) loadPass.wake()
  }
  const keeper: LeaseKeeper = createLeaseKeeper({
    db: control,
    schedulerId,
    leaseTtlMs,
    onBeat,
    onLost: () => lost.resolve('lease_lost'),
    log,
  })

  let isListening = false
  async function listen(): Promise<void> {
    if (isListening || isStopping) return
    isListening = true
    try {
      listener = await db.listen(
        channel,
        (payload) => {
          const wake = payload as Wake
          if (wake === 'pods') kubernetesExecutor?.look()
          else if (wake === 'commands') commandPass.wake()
          else if (wake === 'dags') duePass.wake()
          if (wake === 'runs' || wake === 'dags') startPass.wake()
        },
        () => {
          listener = undefined
        },
      )
    } catch {
      // The next beat tries again; until then beats alone find work.
    } finally {
      isListening = false
    }
  }

  let holdTimer: NodeJS.Timeout | undefined
  return {
    schedulerId,
    lost: lost.promise,
    reload: () => loadPass.wake(),
    status: () => ({
      isLeaseHeld: keeper.isHeld(),
      leaseTurnedMs: keeper.turnedMs(),
      hasLoaded,
      passes: [...passes, ...(kubernetesExecutor?.passes ?? [])].map((pass) => ({
        name: pass.name,
        busyMs: pass.busyMs(),
      })),
      watches: kubernetesExecutor?.watches() ?? [],
    }),
    async start() {
      for (const executor of executors.values()) await executor.start()
      await engine.start()
      await listen()
      await watcher.start()
      keeper.start()
      holdTimer = setInterval(() => {
        holdPass.wake()
        tidyPass.wake()
      }, refreshHoldsMs)
      log.info({ pid: process.pid, executors: [...executors.keys()] }, 'scheduler started')
    },
    async stop(graceMs) {
      isStopping = true
      clearInterval(holdTimer)
      clearTimeout(tellTimer)
      await watcher.stop()
      // Attempts at once: where the lease is lost another scheduler may have them already, and a pass may take long.
      await Promise.all([
        ...[...executors.values()].map((executor) => executor.stop(graceMs)),
        ...passes.map((pass) => pass.stop()),
      ])
      await engine.stop(lastCommitMs)
      await keeper.stop()
      await worktrees.stop()
      await releaseScheduler(db, schedulerId).catch(() => {})
      await listener?.close()
      await control.close()
      log.info('scheduler stopped')
    },
  }
}
