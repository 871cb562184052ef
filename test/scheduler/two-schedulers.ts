// Two schedulers on one database, as processes, with Dags whose tasks keep a ledger and wait for the test's word:
// what the tests share that kill, pause and stop one of them, or take Postgres away from both.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import {
  type AttemptRow,
  createDeployment,
  type Deployment,
  dagsLoaded,
  type ProgramProcess,
} from '../support/deployment.ts'
import { eventually } from '../support/eventually.ts'
import { type LedgerEntry, ledgerFiles, readLedger } from '../support/ledger.ts'

const modules = {
  ...ledgerFiles,
  'work.ts': `
    import { existsSync } from 'node:fs'
    import { dag, task, bash, chain } from 'branchline'
    import { attempt } from './ledger.ts'

    const defaults = { retries: 5, retryDelay: '20ms' }
    const quick = { lines: 1, pauseMs: 0 }
    const go = async ({ runId, signal }) => {
      while (!existsSync(process.env.LEDGER + '/../go-' + runId)) {
        await new Promise((done) => setTimeout(done, 5))
        signal.throwIfAborted()
      }
    }
    export const spread = dag('spread', { defaults }, () => {
      chain(...[1, 2, 3, 4].map((n) => task('t' + n, (context) => attempt(context, { lines: 2, pauseMs: 5 }))))
    })
    export const waits = dag('waits', { defaults }, () => {
      const first = task('first', (context) => attempt(context, quick))
      const middle = task('middle', { after: [first] }, async (context) => {
        const result = await attempt(context, quick)
        await go(context)
        return result
      })
      task('last', { after: [middle] }, (context) => attempt(context, quick))
    })
    export const stubborn = dag('stubborn', { defaults }, () => {
      task('loops', async (context) => {
        await attempt(context, quick)
        while (context.tryNumber === 1);
      })
      bash('children', \`
        . ./account.sh
        line 1
        [ $try = 1 ] || exit 0
        child sleep 1000
        child bash -c 'trap "" TERM; while :; do sleep 1; done'
        line 2
        wait\`)
    })
    // No scheduler has read it before its first run.
    export const unread = dag('unread', { defaults }, () => {
      task('only', (context) => attempt(context, quick))
    })
    // More attempts than there are places: some wait in the scheduler.
    export const crowd = dag('crowd', { defaults }, () => {
      for (let n = 0; n < 6; n += 1) {
        task('t' + n, async (context) => {
          await attempt(context, quick)
          await go(context)
        })
      }
    })
  `,
}

/** A run that was triggered, seen from outside. */
export interface WatchedRun {
  runId: string
  /** Waits until the `count`th attempt of a task has begun. */
  begun(taskId: string, count?: number): Promise<void>
  ledger(): LedgerEntry[]
  entry(taskId: string): LedgerEntry | undefined
  /** Lets its waiting tasks end. */
  go(): void
  attempts(): Promise<AttemptRow[]>
  /** The scheduler that leases it, and the other one. */
  owners(): Promise<[owner: ProgramProcess, other: ProgramProcess]>
  /** Waits for its end: it succeeds, no attempt began twice or overlapped another, each task succeeded once. */
  endsWell(timeoutMs?: number): Promise<void>
  /** The largest try number. */
  tries(): Promise<number>
}

export interface TwoSchedulers extends AsyncDisposable {
  deployment: Deployment
  schedulers(): readonly ProgramProcess[]
  /** Starts what a test has ended, and waits until both are there. */
  complete(): Promise<void>
  run(dagId: string): Promise<WatchedRun>
  runs(dagId: string, count: number): Promise<WatchedRun[]>
}

export async function startTwoSchedulers(): Promise<TwoSchedulers> {
  const deployment = await createDeployment({
    files: modules,
    env: { BRANCHLINE_TASK_KILL_GRACE: '500ms' },
  })
  let schedulers: ProgramProcess[] = []
  let runNumber = 0

  const two: TwoSchedulers = {
    deployment,
    schedulers: () => schedulers,
    async complete() {
      schedulers = schedulers.filter(({ child }) => child.exitCode === null && child.signalCode === null)
      while (schedulers.length < 2) schedulers.push(deployment.startProgram('scheduler'))
      await dagsLoaded(deployment, 5)
      await eventually('both schedulers', async () => {
        const { rows } = await deployment.db.query<{ pid: number }>('select pid from scheduler')
        const pids = rows.map(({ pid }) => pid).sort()
        return String(pids) === String(schedulers.map(({ pid }) => pid).sort())
      })
    },
    async run(dagId) {
      runNumber += 1
      const runId = `run-${runNumber}`
      await deployment.trigger(dagId, runId)
      return watch(dagId, runId)
    },
    runs: (dagId, count) => Promise.all(Array.from({ length: count }, () => two.run(dagId))),
    [Symbol.asyncDispose]: () => deployment[Symbol.asyncDispose](),
  }

  function watch(dagId: string, runId: string): WatchedRun {
    const run: WatchedRun = {
      runId,
      begun: async (taskId, count = 1) => {
        await eventually(
          `attempt ${count} of ${taskId} of ${runId}`,
          () => (run.entry(taskId)?.attempts.length ?? 0) >= count,
        )
      },
      ledger: () => readLedger(join(deployment.ledger), dagId, runId),
      entry: (taskId) => run.ledger().find((entry) => entry.taskId === taskId),
      go: () => writeFileSync(join(deployment.directory, `go-${runId}`), ''),
      attempts: () => deployment.attempts(dagId, runId),
      async owners() {
        const find = async () => {
          const pid = await deployment.ownerOf(dagId, runId)
          return schedulers.find((program) => program.pid === pid)
        }
        const owner = await eventually(`an owner of ${runId}`, find)
        return [owner, schedulers.find((program) => program !== owner)!]
      },
      async endsWell(timeoutMs) {
        expect(await deployment.ended(dagId, runId, timeoutMs)).toBe('success')
        for (const { taskId, attempts, overlaps } of run.ledger()) {
          expect(overlaps, taskId).toEqual([])
          const tries = attempts.map(({ tryNumber }) => tryNumber)
          expect(new Set(tries).size, `${taskId} began as ${tries}`).toBe(tries.length)
        }
        for (const attempts of Map.groupBy(await run.attempts(), (row) => row.task_id).values()) {
          expect(attempts.map(({ try_number }) => try_number)).toEqual(attempts.map((_, index) => index + 1))
          expect(attempts.filter(({ state }) => state === 'success')).toEqual([attempts.at(-1)])
        }
      },
      tries: async () => Math.max(...(await run.attempts()).map(({ try_number }) => try_number)),
    }
    return run
  }
  return two
}

/** For afterEach: a failed test's state is looked at afterwards. */
export function keepWhenFailed(deployment: Deployment, hasFailed: boolean): void {
  if (!hasFailed) return
  deployment.keepFiles()
  console.error(`state kept in ${deployment.directory}`)
}
